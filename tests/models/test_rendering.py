"""Chat templates are programs that come from anyone: what a hostile one can do."""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Iterator

import pytest

from modgap.core.errors import ModelError
from modgap.models import rendering, template
from modgap.models.base import SpeechLM
from modgap.models.rendering import EndlessTemplateError, Renderer
from modgap.models.template import ChatTokenizer

ASKED = [{"role": "user", "content": [{"type": "text", "text": "é \U0001f600 \ue000c\ue001"}]}]
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
BOUNDED = sys.platform == "linux"  # where a process can be kept from taking memory
needs_bounds = pytest.mark.skipif(not BOUNDED, reason="no limit on a process's memory here")


@pytest.fixture(scope="module")
def shared() -> Iterator[Renderer]:
    """One that no busy machine makes impatient."""
    made = Renderer(300.0)
    yield made
    made.close()


@contextlib.contextmanager
def impatient(renderer: Renderer) -> Iterator[None]:
    """While what is asked cannot end."""
    seconds, renderer._seconds = renderer._seconds, 1.0
    try:
        yield
    finally:
        renderer._seconds = seconds


def works(renderer: Renderer) -> bool:
    said = "{{ bos_token }}{% for m in messages %}{{ m.content[0].text }}{% endfor %}"
    text = renderer.render(said, ASKED, {"bos_token": "<s>"})
    return text == "<s>" + ASKED[0]["content"][0]["text"]  # type: ignore[index]


@pytest.mark.parametrize(
    "hostile",
    [
        ENDLESS,
        "{% macro f(n) %}{% for i in range(99999) %}{{ f(n + 1) if n < 9 }}{% endfor %}"
        "{% endmacro %}{{ f(0) }}",
    ],
)
def test_an_endless_template_ends(shared: Renderer, hostile: str) -> None:
    ends = pytest.raises(EndlessTemplateError, match="does not end within 1 s: use the template")
    with impatient(shared), ends:
        shared.render(hostile, ASKED, {})
    assert works(shared), "the next one is rendered"


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        ("{{ 'x' * 2000000 }}", "writes 2,000,000 characters"),
        ("{% for i in range(99999) %}abcdefghijk{% endfor %}", "writes 1,099,989 characters"),
        ("{{ range(10000000) | list }}", "Range too big"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"),
        ("{{ 1 + 'a' }}", "unsupported operand"),
        ("{% if %}", "Expected an expression"),
        ("{{ messages.__class__.__mro__ }}", "__class__"),
        ("{{ raise_exception('no, not this') }}", "no, not this"),
        ("{{ raise_exception('x' * 100000) }}", "x" * 100),
        pytest.param("{{ ('x' * 10**11) | length }}", "too much memory", marks=needs_bounds),
        pytest.param(
            "{% set n = namespace(x='x' * 1024) %}{% for i in range(60) %}"
            "{% set n.x = n.x ~ n.x %}{% endfor %}",
            "too much memory",
            marks=needs_bounds,
        ),
    ],
)
def test_what_a_template_may_not_do_is_a_sentence(
    shared: Renderer, hostile: str, reason: str
) -> None:
    with pytest.raises(ModelError) as refused:
        shared.render(hostile, ASKED, {})
    said = str(refused.value)
    assert reason in said
    assert "use the template that came with the checkpoint" in said
    assert len(said) < 800
    assert "\n" not in said
    assert works(shared)


def test_a_process_that_is_gone_is_started_again(shared: Renderer) -> None:
    assert works(shared)
    assert shared._process is not None
    shared._process.kill()
    shared._process.wait()
    assert works(shared)


def test_an_interrupted_request_leaves_no_answer_behind(
    shared: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    assert works(shared)
    monkeypatch.setattr(Renderer, "_line", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shared.render("another prompt", ASKED, {})
    monkeypatch.undo()
    assert works(shared)


def test_a_process_that_cannot_start_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/program")
    with pytest.raises(ModelError, match="cannot be started"):
        Renderer().render("", ASKED, {})
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match="reinstall transformers"):
        Renderer().render("", ASKED, {})


def test_the_prompt_is_that_of_transformers(tiny_model: SpeechLM) -> None:
    asked = [
        {"role": "system", "content": [{"type": "text", "text": "Answer."}]},
        {"role": "user", "content": [tiny_model.audio_message(), {"type": "text", "text": "é"}]},
    ]
    theirs = tiny_model.tokenizer.apply_chat_template(
        asked,
        chat_template=tiny_model.chat.chat_template,
        tokenize=False,
        add_generation_prompt=True,
    )
    assert tiny_model.chat.render(asked) == theirs


def test_a_model_with_an_endless_template_is_refused_once(
    tiny_model: SpeechLM, monkeypatch: pytest.MonkeyPatch, shared: Renderer
) -> None:
    asked = 0

    def counted() -> Renderer:
        nonlocal asked
        asked += 1
        return shared

    monkeypatch.setattr(template, "renderer", counted)
    other = copy.copy(tiny_model)
    for name in ("takes_typed", "takes_system"):
        other.__dict__.pop(name, None)
    other.chat = ChatTokenizer(tiny_model.tokenizer, ENDLESS)
    asked = 0
    for markers in ("keep", "drop"):
        with impatient(shared), pytest.raises(EndlessTemplateError, match="does not end"):
            other.text_prompt("words", markers=markers)
    with pytest.raises(EndlessTemplateError):
        _ = other.takes_system
    assert asked == 1, "nobody waits for it twice"
    assert rendering.renderer() is rendering.renderer()

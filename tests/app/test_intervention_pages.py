"""The pages that change something, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from modgap.interventions.intervention import Intervention
from modgap.ui.server.jobs import BusyError
from modgap.ui.server.service import service
from modgap.ui.session import asking
from tests.app.conftest import click_words, data_of, finish, go, result, visit_of
from tests.app.test_pages import address

Open = Callable[..., AppTest]


def shown(at: AppTest) -> list[str]:
    return [*(t.value for t in at.text), *(m.value for m in at.markdown)]


def test_empty_pages_say_what_to_do(open_app: Open) -> None:
    at = open_app()
    for page in ("interventions", "decided"):
        go(at, page)
        assert "Load an example" in [b.label for b in at.button]


def test_a_moved_control_is_a_new_answer(analysed: AppTest) -> None:
    at = go(analysed, "interventions")
    assert not at.error
    first = result()
    assert first.interventions == (Intervention(),)
    analysis = service().result(visit_of(at).shown.key)
    assert first.before.text == analysis.answers["speech"].text
    assert first.text.text == analysis.answers["text"].text
    assert (first.before.text.strip() or "(an empty answer)") in shown(at)
    at.segmented_control(key="iv_rule").set_value("patch").run()
    at.segmented_control(key="iv_tokens").set_value("all").run()
    at.select_slider(key="iv_layer").set_value(2).run()
    at.slider(key="iv_strength").set_value(0.5).run()
    assert not at.exception
    made = result()
    assert made.interventions == (
        Intervention(rule="patch", tokens="all", layers=(2,), strength=0.5),
    )
    assert at.query_params["edit"] in (
        made.interventions[0].to_text(), [made.interventions[0].to_text()]
    )  # fmt: skip
    assert len(at.get("plotly_chart")) == 2
    assert len(service()._made) == 5


def test_a_word_is_taken_out_and_the_link_brings_it_back(analysed: AppTest, open_app: Open) -> None:
    at = go(analysed, "interventions")
    marked = set(zip(result().pairs.i, result().pairs.j, strict=True))
    assert len(marked) == 3
    gone = min(marked, key=lambda pair: pair[1])
    click_words(at, gone[1])
    made = result().interventions[0]
    assert made.tokens == "given"
    assert set(made.pairs) == marked - {gone}
    query = at.query_params["edit"]
    text = query if isinstance(query, str) else query[0]
    assert Intervention.from_text(text) == made
    again = open_app(example="ex0", edit=text)
    finish(again)
    go(again, "interventions")
    assert data_of(again, "iv_words")["chosen"] == sorted(j for _, j in made.pairs)


@pytest.mark.parametrize(
    "text",
    [
        "random,layers=0+2,tokens=bottom-5,seed=7",
        "angle,tokens=random-3,seed=5",
        "both,tokens=top-1,path=dtw,measure=euclidean,path_layer=3,strength=0.33",
        "patch,layers=1,tokens=given,pairs=3:1+4:1+2:0",
    ],
)
def test_a_link_is_what_is_computed(open_app: Open, monkeypatch: Any, text: str) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    at = finish(open_app(example="ex0", edit=text))
    go(at, "interventions")
    assert not at.error
    wanted = Intervention.from_text(text)
    assert result().interventions == (wanted,)
    assert address(at)["edit"] == [wanted.to_text()]
    go(at, "decided")
    go(at, "interventions")
    assert address(at)["edit"] == [wanted.to_text()]


def test_what_a_link_brought_is_shown_and_stays_on_offer(open_app: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    at = finish(open_app(example="ex0", edit="random,layers=0+2,tokens=bottom-5,seed=7"))
    go(at, "interventions")
    assert "0 + 2" in at.select_slider(key="iv_layer").options
    assert "bottom 5" in at.segmented_control(key="iv_tokens").options
    assert at.number_input(key="iv_seed").value == 7
    at.select_slider(key="iv_layer").set_value(1).run()
    at.segmented_control(key="iv_tokens").set_value("all").run()
    assert result().interventions[0].layers == (1,)
    at.select_slider(key="iv_layer").set_value("0+2").run()
    at.segmented_control(key="iv_tokens").set_value("bottom-5").run()
    assert result().interventions[0].layers == (0, 2)
    assert result().interventions[0].tokens == "bottom-5"
    assert result().interventions[0].seed == 7
    at.segmented_control(key="iv_rule").set_value("angle").run()
    assert not at.number_input  # it decides nothing
    assert result().interventions[0].seed == 0


def test_only_paths_that_an_intervention_has_are_offered(analysed: AppTest) -> None:
    at = go(analysed, "interventions")
    for path in ("dtw", "argmax"):
        at.segmented_control(key="iv_path").set_value(path).run()
        assert not at.exception
    assert at.segmented_control(key="iv_path").options == ["argmax", "DTW"]


def test_a_full_queue_is_told_and_tried_again(
    analysed: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **more: Any) -> None:
        raise BusyError("The server is busy.")

    at = analysed
    for page, again in (("interventions", "iv_again"), ("decided", "wd_estimate_again")):
        with monkeypatch.context() as busy:
            busy.setattr(service().jobs, "submit", full)
            go(at, page)
            assert any("busy" in e.value for e in at.error)
        finish(at.button(key=again).click().run())
        assert not at.error
        assert at.get("plotly_chart")


def test_a_job_that_ends_without_a_result_is_asked_for_again(
    analysed: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another session, the only other one, has cancelled it meanwhile."""
    submit, ids = service().jobs.submit, []

    def cancelled(*given: Any, **more: Any) -> Any:
        job = submit(*given, **more)
        ids.append(job.id)
        if len(ids) == 1:
            service().jobs.cancel(job.id, given[2])
        return job

    monkeypatch.setattr(service().jobs, "submit", cancelled)
    at = finish(go(analysed, "interventions"))
    assert len(ids) > 1
    assert at.get("plotly_chart")


def test_nonsense_in_the_address_is_dropped(open_app: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    at = open_app(example="ex0", edit="angle,layers=999999999;<b>", show="everything")
    finish(at)
    for page in ("interventions", "decided"):
        go(at, page)
        assert not at.error


def test_a_layer_beyond_the_model_is_brought_back(open_app: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    at = open_app(example="ex0", edit="length,layers=80,path_layer=90")
    finish(at)
    go(at, "interventions")
    assert not at.error
    assert result().interventions[0].layers == (3,)


def test_two_sessions_get_their_own_answers(open_app: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    one, two = open_app(example="ex0"), open_app(example="ex2")
    finish(one)
    finish(two)
    for at in (one, two):
        go(at, "interventions")
    one.segmented_control(key="iv_rule").set_value("patch").run()
    two.segmented_control(key="iv_rule").set_value("length").run()
    words = {at: service().result(visit_of(at).shown.key).transcript for at in (one, two)}
    for at, rule in ((one, "patch"), (two, "length")):
        found = next(
            c for c, _ in service()._made._items.values()
            if c.transcript == words[at] and c.interventions[0].rule == rule
        )  # fmt: skip
        assert (found.text.text.strip() or "(an empty answer)") in shown(at)

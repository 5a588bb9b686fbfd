"""The pages on a tiny model with examples of their own, each test with a fresh server state."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.components.v2.bidi_component.main import _make_trigger_id
from streamlit.testing.v1 import AppTest

import modgap.analysis.examples
import modgap.ui.server.operator_models
from benchmarks import browser
from modgap.ui import estimated
from modgap.ui.server.service import service
from modgap.ui.session import asking
from modgap.ui.session.state import Visit
from tests.app.visitor import Visitor
from tests.ears import put_ears
from tests.even_words import aligned
from tests.tiny import make_clip, make_tiny_checkpoint

FAILED = pytest.StashKey[bool]()
ENTRY = str(Path(__file__).parents[2] / "modgap" / "ui" / "main.py")
PAGES = {
    name: f"pages/{name}.py"
    for name in (
        *("clip", "layers", "alignment", "interventions", "decided", "compare", "gap"),
        "correlation",
    )
}


# Streamlit reads the project's settings once, from the folder that it is in then.
st.get_option("server.address")


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips with words that look like markup."""
    folder = tmp_path_factory.mktemp("examples")
    rows = []
    words = ["What is two plus three?", "<b>bold</b> $x$ ![](http://h/x.png) :red[y]", "Paris."]
    for n, transcript in enumerate(words):
        clip = make_clip(1.2 + 0.3 * n, seed=n)
        (folder / f"clip{n}.wav").write_bytes(clip.wav_bytes())
        rows.append(
            {
                "id": f"ex{n}",
                "file": f"clip{n}.wav",
                "title": f"Example {n}",
                "transcript": transcript,
                "instruction": "Answer briefly." if n == 0 else "",
                "reference": "five" if n == 0 else None,
                "source": "synthetic",
                "licence": "CC0",
                "shows": "what an example shows",
            }
        )
    (folder / "examples.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="session")
def second_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another tiny checkpoint, with other weights."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("second") / "other", seed=1)


@pytest.fixture
def shared(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tiny_folder: Path,
    second_folder: Path,
    example_folder: Path,
    ears_folder: Path,
) -> Iterator[None]:
    """A server of its own: empty cache, two operator models and one that is missing."""
    names = [str(tiny_folder), str(second_folder), str(tmp_path / "missing")]
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    put_ears(ears_folder, tmp_path / "cache")
    monkeypatch.setenv("MODGAP_MODELS", json.dumps(names))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(modgap.ui.server.operator_models, "_embedded", tuple)
    monkeypatch.setattr(modgap.analysis.examples, "FOLDER", example_folder)
    for module in ("speech.word_times", "analysis.session"):  # the clips are tones
        monkeypatch.setattr(f"modgap.{module}.word_times", aligned)
    monkeypatch.setattr(estimated, "UNASKED", math.inf)  # no test hangs on the machine's speed
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


@pytest.fixture
def open_app(shared: None) -> Callable[..., AppTest]:
    """`open_app(**query)`: a new browser session at `/`."""

    def make(**query: str | list[str]) -> AppTest:
        at = AppTest.from_file(ENTRY, default_timeout=300)
        for name, value in query.items():
            at.query_params[name] = value
        at.run()
        assert not at.exception
        return at

    return make


def visit_of(at: AppTest) -> Visit:
    """What a browser session holds beside the values of its widgets."""
    return at.session_state["visit"]


def finish(at: AppTest, seconds: float = 300.0) -> AppTest:
    """Run until the session waits for nothing, as its polling panel would."""
    limit = time.monotonic() + seconds
    while visit_of(at).jobs:
        assert time.monotonic() < limit, "the job did not end"
        time.sleep(0.05)
        at.run()
        assert not at.exception
    return at


def go(at: AppTest, page: str) -> AppTest:
    """Open another page."""
    at.switch_page(f"../../{PAGES[page]}").run()
    assert not at.exception, at.exception
    return paint(at) if page == "alignment" and at.get("bidi_component") else at


def paint(at: AppTest, **state: object) -> AppTest:
    """The run that the alignment component asks for once its map is on the screen.

    `state` is what else it says, such as ``paths=["dtw"]``.
    """
    (component,) = at.get("bidi_component")
    states = at._tree.get_widget_states()
    told = json.dumps({"painted": True, **state})
    states.widgets.add(id=component.proto.id, json_value=told)
    at._run(states)
    assert not at.exception, at.exception
    return at


def happen(at: AppTest, component: str, event: str, value: object) -> AppTest:
    """What the browser says when a component under this key sets a trigger."""
    found = at.get("bidi_component")
    (id,) = [c.proto.id for c in found if c.proto.id.endswith(f"-{component}")]
    states = at._tree.get_widget_states()
    told = json.dumps([{"event": event, "value": value}])
    states.widgets.add(id=_make_trigger_id(id, "events"), json_trigger_value=told)
    at._run(states)
    assert not at.exception, at.exception
    return at


def click_words(at: AppTest, *tokens: int) -> AppTest:
    """Clicks on words of the Interventions page, so quick that the server sees the last alone."""
    state = at.session_state
    number = state["clicked"] if "clicked" in state else 0  # noqa: SIM401, it has no `get`
    clicks = [[number + n, token] for n, token in enumerate(tokens, 1)]
    at.session_state["clicked"] = number + len(tokens)
    return happen(at, "iv_words", "toggled", {"visit": 1, "clicks": clicks})


def data_of(at: AppTest, component: str) -> dict[str, Any]:
    """What a component under this key was told."""
    (proto,) = [c.proto for c in at.get("bidi_component") if c.proto.id.endswith(f"-{component}")]
    return json.loads(proto.json or proto.mixed.json)


@pytest.fixture
def analysed(open_app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A session with a result; scripts wait for the worker as long as it takes."""
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    at = open_app()
    next(b for b in at.button if b.label == "Analyse").click().run()
    finish(at)
    assert not at.error
    return at


def result() -> Any:
    """The last comparison that was made."""
    return list(service()._made._items.values())[-1][0]


def click(at: AppTest, chart: str, *cell: int) -> None:
    """Say what the browser says when a point of a chart is clicked."""
    point = {"customdata": list(cell)}
    at.session_state[chart] = {
        "selection": {"points": [point], "point_indices": [0], "box": [], "lasso": []}
    }
    at.run()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium; without one the test is skipped, or fails where it must run."""
    if browser.find_chromium() is None:
        if os.environ.get("MODGAP_REQUIRE_BROWSER"):
            pytest.fail(browser.ADVICE)
        pytest.skip(browser.ADVICE)
    microphone = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with browser.chromium(*microphone) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures know whether their test has failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="module")
def stock() -> Callable[[Path], object]:
    """Puts what a module's server shall find into its cache folder, beside the recogniser."""
    return lambda cache: None


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path, ears_folder: Path,
    stock: Callable[[Path], object],
) -> Iterator[str]:  # fmt: skip
    """The explorer with the recogniser and a module's `stock` in its cache; it may have another."""
    folder = tmp_path_factory.mktemp("server")
    put_ears(ears_folder, folder / "cache")
    stock(folder / "cache")
    environment = {
        "MODGAP_CACHE": str(folder / "cache"),
        "MODGAP_MODELS": json.dumps([str(tiny_folder)]),
        "HF_HUB_OFFLINE": "1",
    }
    with browser.serving("app.py", environment, folder / "log.txt") as url:
        yield url


@pytest.fixture
def visit(
    chromium: Any, server: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Visitor]]:
    """`visit(**context)`: another browser, at the module's `server` or the one that is named."""
    visitors: list[Visitor] = []

    def make(at: str = server, **context: Any) -> Visitor:
        visitors.append(Visitor(chromium, at, **context))
        return visitors[-1]

    yield make
    for n, visitor in enumerate(visitors):
        if request.node.stash.get(FAILED, False):
            visitor.tell(f"failed-{request.node.name}-{n}")
        visitor.context.close()

"""The pages without a browser: what they show, what they refuse, and what an address restores."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
import soundfile as sf
from streamlit.testing.v1 import AppTest

from modgap.analysis.result import Analysis
from modgap.audio.clip import Clip
from modgap.audio.formats import SUFFIXES
from modgap.ui import deferred, model_info
from modgap.ui.server.requests import AnalysisRequest
from modgap.ui.server.service import service
from modgap.ui.session import state
from modgap.ui.widgets import number
from tests.app.conftest import PAGES, finish, go, paint, visit_of
from tests.hostile import HOSTILE

Open = Callable[..., AppTest]
UPLOADS = set(SUFFIXES)
NASTY = "<b>bold</b> </s> $x$ ![](http://h/x.png) :red[y] **z**"


def press(at: AppTest, label: str, n: int = 0) -> AppTest:
    [b for b in at.button if b.label == label][n].click().run()
    assert not at.exception
    return at


def tone(seconds: float = 1.0) -> bytes:
    out = io.BytesIO()
    wave = (
        0.3 * np.sin(np.arange(int(seconds * 8000)) / 4) * np.linspace(0.2, 1, int(seconds * 8000))
    )
    sf.write(out, wave, 8000, format="WAV")
    return out.getvalue()


def upload(at: AppTest, name: str, data: bytes) -> AppTest:
    at.session_state["source"] = "Upload"
    at.run()
    at.file_uploader(key="upload").set_value((name, data, "audio/wav")).run()
    return at


def texts(at: AppTest) -> list[str]:
    return [t.value for t in at.text]


def markdown_with(at: AppTest, piece: str) -> list[str]:
    """Places where words would be taken for markup."""
    shown = [*at.markdown, *at.caption, *at.error, *at.info, *at.warning]
    return [m.value for m in shown if piece in m.value]


def held(at: AppTest, name: str) -> Any:
    return getattr(visit_of(at), name)


def address(at: AppTest) -> dict[str, list[str]]:
    """The query string; AppTest holds a single value as it is or in a list."""
    found = {name: at.query_params[name] for name in at.query_params}
    return {n: [v] if isinstance(v, str) else list(v) for n, v in found.items()}


def test_empty_pages_say_what_to_do(open_app: Open) -> None:
    at = open_app()
    assert [b.label for b in at.button].count("Analyse") == 3  # one per example
    for page in ("layers", "alignment"):
        go(at, page)
        assert "Load an example" in [b.label for b in at.button]
        assert not at.error


def test_an_example_goes_through_all_pages(open_app: Open) -> None:
    at = press(open_app(), "Analyse")
    finish(at)
    assert not at.error
    assert at.text_area(key="transcript").value == "What is two plus three?"
    assert "What is two plus three?" in texts(at)
    analysis = service().result(visit_of(at).shown.key)
    assert analysis is not None
    assert {analysis.answers[k].text or "(an empty answer)" for k in ("text", "speech")} <= set(
        texts(at)
    )
    assert any("Reference answer: five" in c.value for c in at.caption)
    go(at, "layers")
    assert len(at.get("plotly_chart")) == 4
    assert len(at.dataframe[0].value) == len(analysis.layers)
    go(at, "alignment")
    values = {m.label: m.value for m in at.metric}
    layer = int(values["Layer"])
    row = analysis.layers.set_index("layer").loc[layer]
    assert values["APS, cosine"] == number(row["aps_cos"])
    assert at.dataframe[0].value["piece"].tolist() == list(analysis.pieces)
    assert address(at)["run"] == [analysis.key]
    assert address(at)["example"] == ["ex0"]
    assert address(at)["layer"] == [str(layer)]


def charts(at: AppTest) -> tuple[int, int]:
    return len(at.get("plotly_chart")), len(at.dataframe)


def test_charts_wait_until_the_map_is_painted(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    for _ in range(2):  # the component is new each time the page is opened
        at.switch_page(f"../../{PAGES['alignment']}").run()
        assert charts(at) == (0, 0)
        values, seen = {m.label: m.value for m in at.metric}, address(at)
        assert values
        assert "Mismatched pairs" not in values  # nor is anything else asked for before
        finish(paint(at))
        assert charts(at) == (2, 1)  # scores, and whether they land in the word
        at.run()
        assert charts(at) == (2, 1)
        later = {m.label: m.value for m in at.metric}
        assert values.items() <= later.items()
        assert "Mismatched pairs" in later
        assert len(at.get("download_button")) == 10
        assert address(at) == seen
        go(at, "clip")


def test_charts_come_to_a_browser_that_says_nothing(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = finish(press(open_app(), "Analyse"))
    monkeypatch.setattr(deferred, "PATIENCE", 1e-9)  # it has run out when the wait begins
    at.switch_page(f"../../{PAGES['alignment']}").run()
    assert not at.exception
    assert charts(finish(at)) == (2, 1)


def test_a_link_restores_a_cached_run_without_a_model(open_app: Open) -> None:
    first = finish(press(open_app(), "Analyse", 1))
    key = visit_of(first).shown.key
    again = open_app(**address(first))
    assert visit_of(again).shown.key == key
    assert not held(again, "jobs")
    assert any("From the cache" in m.value for m in again.markdown)
    alone = open_app(run=key)  # without the example: the sound comes from the result
    assert visit_of(alone).clip.source == "run"
    assert alone.text_area(key="transcript").value == service().result(key).transcript
    assert not alone.error


def test_a_second_run_is_from_the_cache(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    assert not any("From the cache" in m.value for m in at.markdown)
    press(at, "Analyse", 3)  # the button beside the instruction: the same inputs again
    assert not held(at, "jobs"), "nothing is computed"
    assert any("From the cache" in m.value for m in at.markdown)
    other = open_app(example="ex0")
    assert visit_of(other).shown.key == visit_of(at).shown.key


def test_a_link_to_an_unknown_run_says_so(open_app: Open) -> None:
    at = open_app(run="0" * 64)
    assert len(at.info) == 1
    assert "cache" in at.info[0].value
    assert not at.error


@pytest.mark.parametrize(
    "query",
    [
        {"run": "../../etc/passwd", "layer": "-5", "model": "/etc", "example": "x"},
        {"clips": ["nope", "current"], "models": ["evil"], "measure": "<b>", "cell": "9-"},
        {"start": "nan", "end": "-3", "dtype": "float1024", "device": "cuda:9", "markers": "x"},
    ],
)
def test_bad_links_open_the_empty_page(open_app: Open, query: dict) -> None:
    at = open_app(**query)
    assert not at.error
    for page in ("layers", "alignment"):
        go(at, page)
        assert not at.error


def test_a_layer_beyond_the_model_opens_another(open_app: Open) -> None:
    first = finish(press(open_app(), "Analyse", 1))
    at = open_app(run=visit_of(first).shown.key, layer="777", cell="99999-9")
    go(at, "alignment")
    assert int({m.label: m.value for m in at.metric}["Layer"]) <= 4
    assert "cell" not in address(at)


def test_hostile_files_give_one_error(open_app: Open) -> None:
    at = open_app()
    at.session_state["source"] = "Upload"
    at.run()
    for name, bad in HOSTILE.items():
        visit_of(at).error, visit_of(at).clip = "", None
        suffix = bad.suffix if bad.suffix.lstrip(".") in UPLOADS else ".wav"
        at.file_uploader(key="upload").set_value((f"<b>{name}{suffix}", bad.data, "audio/wav"))
        at.run()
        assert not at.exception, name
        assert not markdown_with(at, "<b>"), name
        assert len(at.error) == (0 if held(at, "clip") else 1), name
        if bad.expect is not None:
            assert len(at.error) == 1, name


def test_words_of_the_user_are_text(open_app: Open) -> None:
    at = upload(open_app(), f"{NASTY}.wav".replace("/", "_"), tone())
    assert not at.error
    at.text_area(key="transcript").set_value(NASTY).run()
    at.text_input(key="instruction").set_value(NASTY).run()
    finish(press(at, "Analyse"))
    assert not at.error
    assert NASTY in texts(at)
    for page in ("layers", "alignment", "clip"):
        go(at, page)
        for piece in ("<b>", "![](", ":red[", "**z**", "$x$"):
            assert not markdown_with(at, piece), (page, piece)


def test_an_upload_survives_a_page_switch(open_app: Open) -> None:
    at = upload(open_app(), "mine.wav", tone())
    at.text_area(key="transcript").set_value("hello").run()
    go(at, "layers")
    go(at, "clip")
    assert visit_of(at).clip.name == "mine.wav"
    assert at.text_area(key="transcript").value == "hello"
    assert at.slider(key="trim").value == (0.0, 1.0)


def test_trim_changes_what_is_analysed(open_app: Open) -> None:
    at = upload(open_app(), "mine.wav", tone(2.0))
    at.text_area(key="transcript").set_value("hello there").run()
    at.slider(key="trim").set_range(0.5, 1.25).run()
    finish(press(at, "Analyse"))
    analysis = service().result(visit_of(at).shown.key)
    assert analysis.clip["seconds"] == pytest.approx(0.75)
    at.slider(key="trim").set_range(0.5, 0.55).run()
    assert len(at.error) == 1
    assert not at.exception


def test_without_words_nothing_is_computed(open_app: Open) -> None:
    at = press(upload(open_app(), "mine.wav", tone()), "Analyse")
    assert len(at.info) == 1
    assert not held(at, "jobs")


def test_changed_inputs_are_noticed(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    assert not any("changed since" in m.value for m in at.markdown)
    at.text_area(key="transcript").set_value("something else").run()
    assert any("changed since" in m.value for m in at.markdown)


def test_a_model_that_fails_leaves_the_last_one(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    run, usable = visit_of(at).shown.key, at.selectbox(key="model").value
    at.selectbox(key="model").select("missing").run()
    finish(at)
    assert len(at.error) == 1
    assert at.selectbox(key="model").value == usable
    assert visit_of(at).shown.key == run
    folder = str(Path(json.loads(os.environ["MODGAP_MODELS"])[-1]).parent)
    assert folder not in at.error[0].value.replace("\\", ""), "no path of the server"


def test_layers_lays_models_and_clips_over_each_other(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    go(at, "layers")
    at.multiselect(key="compare_models").set_value(at.multiselect(key="compare_models").options[:2])
    at.multiselect(key="compare_clips").set_value(["current", "ex1"]).run()
    finish(at)
    assert not at.error
    assert at.dataframe[0].value["run"].nunique() == 4
    query = address(at)
    assert query["clips"] == ["current", "ex1"]
    assert len(query["models"]) == 2
    again = open_app(**query)
    go(again, "layers")
    assert again.dataframe[0].value["run"].nunique() == 4


def test_a_run_begun_on_one_page_is_shown_on_another(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_app()
    held_back, make = threading.Event(), AnalysisRequest.make

    def slow(*given: Any) -> Any:
        held_back.wait(60)
        return make(*given)

    monkeypatch.setattr(AnalysisRequest, "make", slow)
    press(at, "Analyse")
    go(at, "layers")  # asks for the same run: one job, and still the one to be shown
    assert len(visit_of(at).jobs.main) == 1
    held_back.set()
    finish(at)
    assert visit_of(at).shown.key
    go(at, "alignment")
    assert at.metric


def test_cancel_stops_and_says_so(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_app()
    began = threading.Event()

    def slow(request: object, server: object, progress: Callable) -> None:
        began.set()
        while True:
            threading.Event().wait(0.01)
            progress(0.3, "working")

    monkeypatch.setattr(AnalysisRequest, "make", slow)
    press(at, "Analyse")
    assert began.wait(10)
    job = service().jobs.get(next(iter(visit_of(at).jobs.main)), "x")
    press(at, "Cancel")
    assert at.info[0].value.startswith("Cancelled")
    assert not held(at, "jobs")
    for _ in range(200):
        if service().jobs.get(job.id, "x").state == "cancelled":
            break
        threading.Event().wait(0.02)
    assert service().jobs.get(job.id, "x").state == "cancelled"


def test_two_sessions_get_their_own_results(open_app: Open) -> None:
    one, two = press(open_app(), "Analyse", 0), press(open_app(), "Analyse", 1)
    finish(one), finish(two)
    assert visit_of(one).shown.key != visit_of(two).shown.key
    for at, words in ((one, "What is two plus three?"), (two, "<b>bold</b>")):
        assert service().result(visit_of(at).shown.key).transcript.startswith(words)


def every(part: Any) -> dict[str, Any]:
    """All that a dataclass holds, the parts of its parts too."""
    found = {f.name: getattr(part, f.name) for f in dataclasses.fields(part)}
    for value in list(found.values()):
        if dataclasses.is_dataclass(value):
            found |= every(value)
    return found


def test_sessions_hold_no_arrays(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    go(at, "alignment")
    kept = {**at.session_state.to_dict(), **every(visit_of(at))}
    assert not [k for k, v in kept.items() if isinstance(v, np.ndarray | Analysis | Clip)]
    assert isinstance(kept["clip"], state.ClipRef)
    assert "place" in kept, "the pages' parts are looked into"


def test_the_link_to_copy_is_the_address(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    (code,) = (c.value for c in at.code if c.value.startswith(("http", "?")))
    assert parse_qs(code.split("?", 1)[1]) == address(at)


def test_pages_are_not_parsed_for_magic() -> None:
    """`ast.parse` beside a thread that imports can fail in Python 3.11; nothing here needs it."""
    from streamlit import config

    assert config.get_option("runner.magicEnabled") is False


def test_a_run_leaves_the_import_path_alone(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that imports walks `sys.path`: what moves in it meanwhile is not found."""
    during: list[list[str]] = []
    drawn = model_info.about_model

    def about_model() -> None:
        during.append(list(sys.path))
        drawn()

    monkeypatch.setattr(model_info, "about_model", about_model)
    before = list(sys.path)
    open_app()
    assert during == [before]
    assert sys.path == before


def test_channels_that_cancel_are_told_and_one_is_offered(open_app: Open) -> None:
    n = np.arange(16_000)
    left = 0.3 * np.sin(n / 4) * np.linspace(0.2, 1, n.size)
    for residue, channel in ((0.0, 1), (0.001, 0)):
        out = io.BytesIO()
        right = -left + residue * np.sin(n / 9)
        sf.write(out, np.stack([left, right], 1), 16_000, format="WAV", subtype="FLOAT")
        at = upload(open_app(), "both.wav", out.getvalue())
        assert not at.error
        assert not at.exception
        assert at.session_state["channel"] == channel
        said = [m.value for m in (*at.warning, *at.info)]
        assert any("2 channels cancel each other" in text for text in said)
        at.segmented_control(key="channel").set_value(2).run()
        assert not at.exception
        heard = state_clip(at)
        np.testing.assert_allclose(heard.samples, right, atol=1e-6)
        assert not [m for m in at.warning if "cancel" in m.value]
        at.segmented_control(key="channel").set_value(0).run()
        assert not at.exception
        assert bool(at.error) == (residue == 0)
    at = upload(open_app(), "mono.wav", tone())
    assert not [c for c in at.segmented_control if c.label == "Channel"]


def state_clip(at: AppTest) -> Clip:
    """The clip in use, as the page decodes it."""
    ref = visit_of(at).clip
    return service().clip(ref.data, ref.name, channel=at.session_state["channel"] or None)

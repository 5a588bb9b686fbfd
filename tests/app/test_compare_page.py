"""The Compare page without a browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import modgap.ui.model_info
from modgap.analysis.consistency import consistency
from modgap.analysis.examples import examples
from modgap.analysis.model_comparison import curve_table
from modgap.ui.server.requests import AnalysisRequest
from modgap.ui.server.service import service
from modgap.ui.session import asking
from tests.app.conftest import finish, go, visit_of
from tests.app.test_pages import address, held, press, texts

Open = Callable[..., AppTest]


@pytest.fixture
def compared(open_app: Open) -> AppTest:
    """A session on the page with the first example in both models."""
    at = finish(press(open_app(), "Analyse"))
    finish(go(at, "compare"))
    at.run()
    assert not at.exception
    assert not at.error
    return at


def results(at: AppTest) -> dict[str, Any]:
    """What the service holds of the clip in use, by model."""
    kept = [a for a, _ in service()._results._items.values()]
    sound = visit_of(at).clip.id
    words = next(e.transcript for e in examples() if e.id == sound)
    return {a.model["name"]: a for a in kept if a.transcript == words}


def test_the_empty_page_says_what_to_do(open_app: Open) -> None:
    at = go(open_app(), "compare")
    assert "Load an example" in [b.label for b in at.button]
    press(at, "Load an example")
    finish(at)
    at.run()
    assert len(at.get("plotly_chart")) == 5


def test_two_models_side_by_side(compared: AppTest) -> None:
    at = compared
    models = at.multiselect(key="cm_models").value
    assert len(models) == 2
    found = results(at)
    assert set(found) == set(models)
    for model in models:
        for answer in found[model].answers.values():
            assert (answer.text if answer.text.strip() else "(an empty answer)") in texts(at)
    assert any("Reference answer: five" in c.value for c in at.caption)
    assert len(at.get("plotly_chart")) == 5, "two maps, three curves"
    for model in models:
        assert any(f"**{model}**" in m.value.replace("\\", "") for m in at.markdown)
    assert any("layer 2 of 4" in m.value for m in at.markdown)
    assert address(at)["models"] == models
    assert address(at)["depth"] == ["0.5"]


def test_a_job_that_ends_while_the_page_is_drawn_is_shown(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = finish(press(open_app(), "Analyse"))
    drawn = modgap.ui.model_info.about_model

    def after_all_jobs() -> None:
        """Between the page and the panel that polls: a slow page, as the first chart makes it."""
        until = time.monotonic() + 60
        while asking.active() and time.monotonic() < until:
            time.sleep(0.01)
        drawn()

    monkeypatch.setattr(modgap.ui.model_info, "about_model", after_all_jobs)
    go(at, "compare")  # one run of the browser: nothing polls
    assert not any("Being analysed" in c.value for c in at.caption)
    assert len(at.get("plotly_chart")) == 5


def test_the_slider_moves_all_maps(compared: AppTest) -> None:
    at = compared
    slider = at.select_slider(key="cm_depth")
    assert slider.options == ["0.0 %", "25.0 %", "50.0 %", "75.0 %", "100.0 %"]
    slider.set_value(0.75).run()
    assert not at.exception
    shown = [m.value for m in at.markdown if "layer" in m.value]
    assert len([m for m in shown if "layer 3 of 4" in m]) == 2
    assert address(at)["depth"] == ["0.75"]
    at.segmented_control(key="cm_measure").set_value("euclidean").run()
    assert not at.exception
    assert address(at)["measure"] == ["euclidean"]
    assert any("argmin" in c.value for c in at.caption)


def test_a_link_brings_it_all_back(compared: AppTest, open_app: Open) -> None:
    at = compared
    at.multiselect(key="cm_models").set_value(at.multiselect(key="cm_models").value[::-1]).run()
    at.select_slider(key="cm_depth").set_value(0.25).run()
    at.segmented_control(key="cm_measure").set_value("euclidean").run()
    again = go(open_app(**address(at)), "compare")
    assert again.multiselect(key="cm_models").value == at.multiselect(key="cm_models").value
    assert again.segmented_control(key="cm_measure").value == "euclidean"
    assert again.select_slider(key="cm_depth").value == 0.25
    assert texts(again) == texts(at)
    assert address(again) == address(at)


def test_nonsense_in_the_address_is_dropped(open_app: Open) -> None:
    at = open_app(example="ex0", models=["evil", "tiny"], depth="7", measure="<b>")
    finish(at)
    finish(go(at, "compare"))
    assert not at.error
    assert at.segmented_control(key="cm_measure").value == "cosine"


def test_one_model_is_too_few(compared: AppTest) -> None:
    at = compared
    one = at.multiselect(key="cm_models").value[:1]
    at.multiselect(key="cm_models").set_value(one).run()
    assert any("at least two" in c.value for c in at.caption)
    assert not at.get("plotly_chart")


def test_a_model_that_cannot_be_loaded_leaves_the_others(compared: AppTest) -> None:
    at = compared
    models = at.multiselect(key="cm_models").value
    at.multiselect(key="cm_models").set_value([*models, "missing"]).run()
    finish(at)
    at.run()
    assert not at.exception
    assert len(at.get("plotly_chart")) == 5
    assert any("Not compared: missing" in c.value for c in at.caption)
    assert not held(at, "jobs")

    def tries() -> int:
        return sum("missing" in job.title for job in service().jobs._jobs.values())

    before = tries()
    press(at, "Try again")
    assert tries() == before + 1
    finish(at)
    press(at, "Measure 3 examples in 3 models")
    finish(at)
    at.run()
    assert any("missing" in e.value for e in at.error)
    assert len(at.get("plotly_chart")) == 5


def test_the_consistency_over_the_examples(compared: AppTest) -> None:
    at = compared
    press(at, "Measure 3 examples in 2 models")
    finish(at)
    at.run()
    assert not at.exception
    assert not at.error
    assert len(at.get("plotly_chart")) == 5 + 6
    table = at.dataframe[0].value
    models = at.multiselect(key="cm_models").value
    kept = [a for a, _ in service()._results._items.values()]
    assert len(kept) == 6
    runs = [a for name in models for a in kept if a.model["name"] == name]
    (first, second) = consistency(
        curve_table(runs, clips=[a.transcript for a in runs]), "monotonicity"
    )
    rows = table[table["measure"] == "monotonicity"]
    assert rows["model"].tolist() == models
    for row, want in zip(rows.itertuples(), (first, second), strict=True):
        assert row.over_clips == pytest.approx(want.over_clips.value)
        assert row.agreement == pytest.approx(want.agreement.value, nan_ok=True)
        assert np.isnan(row.level_low), "three clips give no interval"
    # Another measure needs no new run, a third model does.
    at.segmented_control(key="cm_measure").set_value("euclidean").run()
    assert "aps_euc" in set(at.dataframe[0].value["measure"])
    assert not held(at, "jobs")


def test_a_clip_that_a_model_refuses_is_left_out(
    compared: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = compared
    from modgap.core.errors import AudioError

    make, models = AnalysisRequest.make, at.multiselect(key="cm_models").value

    def refuse(request: Any, server: Any, progress: Callable) -> Any:
        if request.label == models[1] and request.transcript == "Paris.":
            raise AudioError("The clip is too long for this model.")
        return make(request, server, progress)

    monkeypatch.setattr(AnalysisRequest, "make", refuse)
    press(at, "Measure 3 examples in 2 models")
    finish(at)
    at.run()
    assert not at.exception
    left = [c.value for c in at.caption if c.value.startswith("Left out")]
    assert len(left) == 1
    assert "too long" in left[0]
    assert set(at.dataframe[0].value["clips"]) == {2}


def test_measuring_can_be_cancelled_and_goes_on_where_it_was(
    compared: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = compared
    began, make, done = threading.Event(), AnalysisRequest.make, []

    def slow(request: Any, server: Any, progress: Callable) -> Any:
        if len(done) < 2:
            done.append(request.signature)
            return make(request, server, progress)
        began.set()
        while True:
            threading.Event().wait(0.01)
            progress(0.3, "working")

    monkeypatch.setattr(AnalysisRequest, "make", slow)
    press(at, "Measure 3 examples in 2 models")
    assert began.wait(60)
    at.run()
    button = next(b for b in at.button if b.label.startswith("Measure"))
    assert button.disabled
    press(at, "Cancel")
    said = [e.value for e in (*at.info, *at.error, *at.warning, *at.caption) if "Canc" in e.value]
    assert len(said) == 1, "once: where the measuring would be, not above the page as well"
    assert not held(at, "jobs")
    again: list[str] = []

    def counted(request: Any, server: Any, progress: Callable) -> Any:
        again.append(request.signature)
        return make(request, server, progress)

    monkeypatch.setattr(AnalysisRequest, "make", counted)
    for _ in range(200):
        if service().jobs.find(visit_of(at).compare.examples) is None:
            break
        threading.Event().wait(0.02)
    at.run()
    press(at, "Measure 3 examples in 2 models")
    finish(at)
    at.run()
    assert len(at.get("plotly_chart")) == 5 + 6
    assert not set(again) & set(done), "what was done is kept"
    assert len(again) == 2, "six runs, two were on the page, two were done before the cancel"


def test_twins_are_said_to_be_one_model(
    open_app: Open, monkeypatch: pytest.MonkeyPatch, tiny_folder: Any
) -> None:
    import json
    import shutil

    copy = tiny_folder.parent / "twin"
    if not copy.exists():
        shutil.copytree(tiny_folder, copy)
    monkeypatch.setenv("MODGAP_MODELS", json.dumps([str(tiny_folder), str(copy)]))
    at = finish(press(open_app(), "Analyse"))
    finish(go(at, "compare"))
    at.run()
    assert any("are one model" in c.value for c in at.caption)

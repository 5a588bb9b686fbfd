"""The page Localize, without a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from modgap.analysis.sweeps import with_target
from modgap.audio.clip import load_clip
from modgap.core.errors import ModgapError
from modgap.core.settings import AnalysisSettings
from modgap.interventions.intervention import Intervention
from modgap.models.base import SpeechLM
from modgap.ui import estimated
from modgap.ui.server.service import service
from modgap.ui.session import asking
from tests.app.conftest import click, finish, go, result, visit_of


def test_where_the_answer_changes(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    assert not at.error
    analysis = service().result(visit_of(at).shown.key)
    made = result()
    assert made.change.shape == (4, len(analysis.pieces))
    assert made.where == "word"
    assert np.isfinite(made.control[:, 0]).all()
    assert any("words timed by made up" in c.value for c in at.caption)
    assert made.target == analysis.answers["text"].text.strip()
    at.segmented_control(key="wd_show").set_value("sweep").run()
    assert set(result().table["rule"]) == {"angle", "length"}
    assert len(at.get("plotly_chart")) == 1
    at.segmented_control(key="wd_show").set_value("lens").run()
    assert len(at.get("plotly_chart")) == 2
    assert at.dataframe[-1].value["piece"].tolist() == list(analysis.pieces)
    click(at, "lens_speech", 2, 5)
    read, text = result().speech, result().text
    assert at.dataframe[0].value["token"].tolist() == read.tokens[2, 5].tolist()
    j = next(j for j, rows in enumerate(result().segments) if 5 in rows)
    assert at.dataframe[1].value["token"].tolist() == text.tokens[2, j].tolist()
    assert not at.exception
    at.segmented_control(key="wd_show").set_value("patching").run()
    at.text_input(key="wd_target").set_value("five").run()
    assert result().target == "five"


def leave_other_settings(at: AppTest) -> AppTest:
    """The decided page, after the Interventions page was left with settings of its own."""
    go(at, "interventions")
    at.slider(key="iv_strength").set_value(0.4).run()
    at.segmented_control(key="iv_path").set_value("dtw").run()
    at.segmented_control(key="iv_measure").set_value("euclidean").run()
    at.selectbox(key="iv_source").set_value(1).run()
    return go(at, "decided")


@pytest.mark.parametrize("where", ["word", "segment", "pair"])
def test_a_patched_word_is_the_same_on_the_interventions_page(
    analysed: AppTest, tiny_model: SpeechLM, where: str
) -> None:
    at = leave_other_settings(analysed)
    at.segmented_control(key="wd_where").set_value(where).run()
    at.selectbox(key="wd_layer").set_value(2).run()
    analysis = service().result(visit_of(at).shown.key)
    path = analysis.alignment.dtw_cos[2]
    j = int(np.bincount(path[:, 1]).argmax())  # the token with the longest segment
    j = 1 if where == "word" else j
    at.selectbox(key="wd_token").set_value(j).run()
    cell = result().change[list(result().layers).index(2), j]
    at.button(key="wd_edit").click().run()
    assert not at.exception
    (made,) = result().interventions
    assert (made.rule, made.layers, made.strength) == ("patch", (2,), 1.0)
    clip = load_clip(analysis.audio, rate=analysis.audio_rate)
    pair = tiny_model.prepare(clip, analysis.transcript, instruction=analysis.settings.instruction)
    ready, _ = with_target(tiny_model, pair, settings=AnalysisSettings(max_new_tokens=48))
    plain = float(ready.log_probability(ready.logits[None])[0])
    assert ready.scores([(made,)])[0] - plain == pytest.approx(cell, abs=1e-4)
    assert abs(cell) > 1e-3
    assert (len(made.pairs) > 1) == (where != "pair")


def test_a_click_on_the_map_chooses_layer_and_word_everywhere(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    click(at, "patching", 1, 3)
    assert not at.exception
    assert (at.selectbox(key="wd_layer").value, at.selectbox(key="wd_token").value) == (3, 1)
    assert visit_of(at).alignment.place.layer == 3
    assert visit_of(at).alignment.cell[2] == 1
    at.selectbox(key="wd_layer").set_value(0).run()
    assert at.selectbox(key="wd_layer").value == 0  # an old click is not a new one


def test_a_click_on_the_sweep_opens_its_intervention(analysed: AppTest) -> None:
    at = leave_other_settings(analysed)
    at.segmented_control(key="wd_show").set_value("sweep").run()
    table = result().table
    row = sorted(set(zip(table["rule"], table["tokens"], table["strength"], strict=True)))[4]
    click(at, "sweep", 4, 2)
    assert not at.exception
    made = result().interventions[0]
    rule, tokens, strength = row
    assert made == Intervention(rule=rule, tokens=tokens, strength=strength, layers=(2,))


def test_a_cell_of_the_lens_stays_with_its_clip(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    at.segmented_control(key="wd_show").set_value("lens").run()
    click(at, "lens_speech", 2, 5)
    assert any(c.value.startswith("Layer 2:") for c in at.caption)
    go(at, "clip")
    at.button(key="use_ex1").click().run()
    go(finish(at), "decided")
    assert any(c.value.startswith("Layer 0:") for c in at.caption)


def test_a_link_brings_back_what_decides_the_numbers(open_app: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    sweep = {"show": "sweep", "rules": ["patch", "mean"], "tokens": ["top-3"], "target": "six"}
    patching = {"where": "pair", "target": "six"}
    for query in (sweep, patching):
        at = finish(open_app(example="ex0", **query))
        go(at, "decided")
        assert not at.error
        assert result().target == "six"
        found = {name: at.query_params[name] for name in query}
        assert {n: v[0] if len(v) == 1 else v for n, v in found.items()} == {
            n: v[0] if isinstance(v, list) and len(v) == 1 else v for n, v in query.items()
        }
        if query is sweep:
            table = result().table
            assert set(table["rule"]) == {"patch", "mean"}
            assert set(table["tokens"]) == {"top-3"}
        else:
            assert at.segmented_control(key="wd_where").value == "pair"


def test_settings_outlive_another_view_and_page(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    at.segmented_control(key="wd_where").set_value("pair").run()
    at.text_input(key="wd_target").set_value("six").run()
    at.segmented_control(key="wd_show").set_value("sweep").run()
    go(at, "interventions")
    go(at, "decided")
    at.segmented_control(key="wd_show").set_value("patching").run()
    assert at.segmented_control(key="wd_where").value == "pair"
    assert at.text_input(key="wd_target").value == "six"


def test_every_view_has_its_settings_as_a_file(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    for view in ("patching", "sweep", "answer", "lens"):
        at.segmented_control(key="wd_show").set_value(view).run()
        assert "Settings (JSON)" in [b.label for b in at.get("download_button")]


def test_what_takes_long_is_begun_by_a_click(
    analysed: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimated, "UNASKED", -1.0)
    at = go(analysed, "decided")
    assert not at.get("plotly_chart")
    assert any("passes through the model, about" in c.value for c in at.caption)
    at.button(key="wd_start").click().run()
    assert len(at.get("plotly_chart")) == 1
    # Once it is there, it is shown at once: in this session and in another view of it.
    at.segmented_control(key="wd_show").set_value("sweep").run()
    assert not at.get("plotly_chart")
    at.segmented_control(key="wd_show").set_value("patching").run()
    assert len(at.get("plotly_chart")) == 1


def test_what_the_cache_has_is_shown_at_once(
    analysed: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = go(analysed, "decided")
    service().store.flush(60.0)
    service()._made._items.clear()
    monkeypatch.setattr(estimated, "UNASKED", -1.0)
    go(at, "clip")
    go(at, "decided")
    assert len(at.get("plotly_chart")) == 1


def test_the_answer_by_layer(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    at.segmented_control(key="wd_show").set_value("answer").run()
    assert len(at.get("plotly_chart")) == 1
    made = result()
    assert made.probability.shape == (2, 5)
    at.text_input(key="wd_target").set_value("five").run()
    assert result().target == "five"
    assert any("last token of the prompt" in c.value for c in at.caption)


def test_behind_the_audio_there_is_no_word_to_go_to(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    at.segmented_control(key="wd_where").set_value("after").run()
    assert not at.exception
    assert result().where == "after"
    assert "wd_edit" not in [b.key for b in at.button]
    at.segmented_control(key="wd_where").set_value("word").run()
    at.segmented_control(key="wd_map").set_value("random").run()
    assert not at.exception


def test_words_that_cannot_be_found_are_told_with_a_way_on(
    analysed: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise ModgapError("The words are not those of the clip.")

    monkeypatch.setattr("modgap.speech.word_times.word_times", lost)
    at = go(analysed, "decided")
    assert any("not those of the clip" in e.value for e in at.error)
    assert any("needs word times" in c.value for c in at.caption)
    at.segmented_control(key="wd_where").set_value("segment").run()
    assert len(at.get("plotly_chart")) == 1

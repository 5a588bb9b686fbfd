"""The pages of the gap on a run written by hand, whose clips lie beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import modgap.gap.run_folders
from modgap.evaluation.interventions.adaptive import evaluate
from modgap.evaluation.interventions.adaptive import shown as chosen_rows
from modgap.evaluation.interventions.question_outcomes import CONTROLS, RULES_OF_THE_SOURCE
from modgap.gap.controls import folder_in_run, made_again, set_controls, write_controls
from modgap.measures.baselines import PAIRED
from modgap.models.base import SpeechLM
from modgap.scoring.question import Question
from modgap.ui import runs
from tests.app.conftest import finish, go, visit_of
from tests.gap.made import answer, question, write_run
from tests.tiny import make_clip

Open = Callable[..., AppTest]


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> Path:
    """Five checkpoints of a line and one of another; the first is the tiny model itself."""
    data = tmp_path / "data"
    data.mkdir()
    with (data / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "audio", "transcript", "reference"])
        for n in range(8):
            (data / f"{n}.wav").write_bytes(make_clip(1.1, seed=n).wav_bytes())
            writer.writerow([f"q{n}", f"{n}.wav", f"say <b>q{n}</b>", "x"])
    (data / "7.wav").unlink()
    rows, layers = [], []
    names = [tiny_folder.name, *(f"line@{k}" for k in range(1, 6)), "other"]
    for k, name in enumerate(names):
        for n in range(8):
            rows += [answer(name, f"q{n}", "base", True), answer(name, f"q{n}", "text", n != 6)]
            heard = {"heard": "what", "wer": 0.5 if n % 2 else 0.0}
            rows.append(answer(name, f"q{n}", "speech", n < k, **heard))
            layers += [
                {"model": name, "question": f"q{n}", "layer": layer,
                 "aps_cos": 0.1 * k + 0.01 * n * layer, "cosine": 0.5, "monotonicity": None}
                for layer in (0, 1)
            ]  # fmt: skip
    asked = [
        {**question(f"q{n}", topic=f"t{n % 2}"), "transcript": f"say <b>q{n}</b>"} for n in range(8)
    ]
    protocol = {"data": {"name": str(data / "m.csv")}, "models": {m: {} for m in names}}
    folder = write_run(tmp_path / "mine", asked, {"answers": [rows], "layers": [layers]}, protocol)
    monkeypatch.setattr(modgap.gap.run_folders, "SHIPPED", tmp_path / "none")
    monkeypatch.setenv(modgap.gap.run_folders.VARIABLE, json.dumps([str(folder)]))
    return folder


def charts(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(c.proto.spec) for c in at.get("plotly_chart")]


def texts(at: AppTest) -> str:
    return " ".join(e.value for e in (*at.text, *at.caption, *at.markdown, *at.error))


def test_the_gap_of_a_run(open_app: Open, run_folder: Path) -> None:
    at = go(open_app(), "gap")
    assert at.selectbox(key="gap_run").value == "mine"
    bars = charts(at)[0]["data"]
    assert [b["name"] for b in bars] == ["base LLM, text", "text", "speech"]
    assert len(charts(at)) == 3
    frames = {e.proto.id.split("-")[-1]: e.value for e in at.dataframe}
    lost = next(f for f in frames.values() if "transcript" in f)
    assert len(lost) == 7  # of the first checkpoint: right as text, wrong aloud
    assert set(lost["why"]) == {"not heard", "not used"}
    assert "count as not heard, too (other 50 %)" in texts(at)
    # Calibrated: at 0, 5 of 8 failures and 3 of 6 right answers of both checkpoints are above.
    assert at.slider(key="gap_tolerance").value == 0.0
    heads = [h.value for h in at.subheader]
    assert "Why spoken questions fail: 62 % not heard, at a false-alarm rate of 50 %" in heads
    assert "the maximal Youden index of these checkpoints" in texts(at)
    at.slider(key="gap_tolerance").set_value(0.5).run()
    heads = [h.value for h in at.subheader]
    assert "Why spoken questions fail: 0 % not heard, at a false-alarm rate of 0 %" in heads
    at.slider(key="gap_tolerance").set_value(0.0).run()
    rules = next(e.value for e in at.dataframe if "accuracy %" in e.value)
    (row,) = rules[(rules["checkpoint"] == "other") & (rules["input"] == "speech")].to_numpy()
    assert list(row[2:]) == [75, 75, 8]
    assert list(rules.columns[2:]) == ["accuracy %", "expected by VoiceBench's rule %", "of"]
    at.selectbox(key="clips_change").set_value("NEITHER").run()
    assert len(next(e.value for e in at.dataframe if "transcript" in e.value)) == 1
    at.selectbox(key="gap_by").set_value("topic").run()
    assert not at.exception
    assert charts(at)[0]["layout"]["xaxis"]["ticktext"] == ["t0", "t1"]
    at.multiselect(key="gap_only_topic").set_value(["t1"]).run()
    assert charts(at)[0]["layout"]["xaxis"]["ticktext"] == ["t1"]
    assert not at.exception


@pytest.mark.parametrize("inputs", [("text",), ("speech",), ("speech", "pipeline")])
def test_a_run_of_few_inputs_opens(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: tuple[str, ...]
) -> None:
    rows = [answer("m", f"q{n}", given, n > 0) for n in range(3) for given in inputs]
    asked = [question(f"q{n}") for n in range(3)]
    folder = write_run(tmp_path / "few", asked, {"answers": [rows]}, {"models": {"m": {}}})
    monkeypatch.setattr(modgap.gap.run_folders, "SHIPPED", tmp_path / "none")
    monkeypatch.setenv(modgap.gap.run_folders.VARIABLE, json.dumps([str(folder)]))
    at = go(open_app(set="few", become="LOST"), "gap")
    assert len(next(e.value for e in at.dataframe if "transcript" in e.value)) == 3
    kinds = at.selectbox(key="clips_change")
    assert kinds.value == "ALL"
    assert kinds.options == ["all", *(["no answer found"] if "speech" in inputs else [])]
    go(at, "correlation")


def test_a_link_restores_the_view(open_app: Open, run_folder: Path) -> None:
    at = open_app(
        set="mine", only=["topic:t1", "topic:nonsense", "nothing:t1"], by="topic",
        checkpoints=["line@2"], subject="line@3", become="FIXED", sort="aps_cos",
    )  # fmt: skip
    go(at, "gap")
    assert at.multiselect(key="gap_only_topic").value == ["t1"]
    assert at.multiselect(key="gap_models").value == ["line@2"]
    assert at.selectbox(key="clips_model").value == "line@3"
    assert at.selectbox(key="clips_change").value == "FIXED"
    assert at.selectbox(key="clips_sort").value == "aps_cos"
    at = open_app(set="mine", similarity="cosine", layer="1", scale="points", by="topic")
    go(at, "correlation")
    assert at.selectbox(key="co_measure").value == "cosine"
    assert at.selectbox(key="co_layer").value == 1
    assert at.segmented_control(key="co_scale").value == "points"
    assert at.selectbox(key="co_split").value == "topic"


def test_nonsense_in_a_link_is_dropped(open_app: Open, run_folder: Path) -> None:
    at = open_app(set="../../etc", by="x" * 500, checkpoints=["<b>"], subject="?", become="'",
                  similarity="nope", scale="furlongs", layer="99", sort="drop table")  # fmt: skip
    for page in ("gap", "correlation"):
        go(at, page)
        assert at.selectbox(key="gap_run").value == "mine"
    assert at.selectbox(key="co_layer").value == -1


def choose_row(at: AppTest, row: int) -> None:
    at.session_state["clips_table"] = {
        "selection": {"rows": [], "columns": [], "cells": [(row, "transcript")]}
    }
    at.run()
    assert not at.exception, at.exception


def test_a_click_opens_the_clip_everywhere(
    open_app: Open, run_folder: Path, tiny_folder: Path
) -> None:
    at = open_app()
    go(at, "gap")
    choose_row(at, 0)
    assert visit_of(at).clip.source == "question"
    assert at.session_state["transcript"] == "say <b>q0</b>"
    assert at.session_state["model"] == tiny_folder.name
    finish(at)
    assert visit_of(at).shown.key
    at.button(key="goto_layers").click().run()
    assert not at.exception
    go(at, "clip")
    assert "Reference answer: x" in texts(at)


def test_a_clip_whose_file_is_gone_says_so(open_app: Open, run_folder: Path) -> None:
    at = open_app()
    go(at, "gap")
    at.selectbox(key="clips_change").set_value("ALL").run()
    choose_row(at, 7)
    assert "cannot be opened" in texts(at)
    assert visit_of(at).clip is None
    assert at.button(key="goto_clip").disabled


def test_similarity_against_the_gap(open_app: Open, run_folder: Path) -> None:
    at = go(open_app(), "correlation")
    scatter = charts(at)[0]["data"]
    named = [t["name"] for t in scatter if t.get("showlegend", True)]
    assert any(n.startswith("line: R² = ") and n.endswith("n = 5") for n in named)
    assert any("other: no line (fewer than 3 points)" in n for n in named)
    lines = next(e.value for e in at.dataframe if "R²" in e.value)
    assert lines.set_index("group").loc["line", "R²"] == pytest.approx(1.0)
    assert "LoRA: 0.81" in texts(at)
    at.selectbox(key="co_measure").set_value("monotonicity").run()
    assert not at.exception
    assert "No checkpoint has answers" in texts(at)
    at.selectbox(key="co_measure").set_value("cosine").run()
    named = [t["name"] for t in charts(at)[0]["data"]]
    assert "line: no line (the points do not differ in the measure)" in named
    assert not at.exception


def test_controls_are_shown_where_a_run_has_them(
    open_app: Open, run_folder: Path, tiny_model: SpeechLM
) -> None:
    at = go(open_app(), "correlation")
    assert "modgap controls --run mine" in texts(at)
    asked = [Question(f"q{n}", f"say q{n}", partial(make_clip, 1.1, seed=n)) for n in range(3)]
    made = set_controls(tiny_model, asked)
    for model in ("line@2", "other"):
        write_controls(folder_in_run(run_folder, model), model, "three clips", made)
    at.run()
    assert at.selectbox(key="co_controlled").value == "other"
    at.selectbox(key="co_controlled").set_value("line@2").run()
    assert not at.exception
    curves, own, heat = charts(at)[-3:]
    assert [t["name"] for t in curves["data"] if t.get("name")][-1] == "matched, mean-centred"
    assert heat["data"][0]["type"] == "heatmap"
    assert len(own["data"]) == 2
    assert "tells a clip's own text from others" in texts(at)
    assert f"{made.cka.pairs:,} aligned tokens" in texts(at)
    at.selectbox(key="co_measure").set_value("euclidean").run()
    assert at.segmented_control(key="co_against_True").value == "euclidean"
    old = folder_in_run(run_folder, "line@2")
    about = json.loads((old / "controls.json").read_text())
    (old / "controls.json").write_text(json.dumps(about | {"version": 1}))
    made.layers.drop(columns=list(PAIRED)).to_parquet(old / "controls.parquet")
    at.run()
    assert not at.exception
    assert made_again("mine") in texts(at)
    assert len(charts(at)[-2]["data"]) > 2
    (old / "cka.parquet").unlink()
    at.selectbox(key="co_controlled").set_value("other").run()
    assert not at.exception
    (folder_in_run(run_folder, "other") / "controls.json").write_text("{}")
    at.run()
    assert "Make them again with" in " ".join(e.value for e in at.error)


def test_clicks_open_a_checkpoint_and_a_layer(
    open_app: Open, run_folder: Path, tiny_folder: Path
) -> None:
    at = go(open_app(), "correlation")
    at.session_state["co_scatter"] = {
        "selection": {"points": [{"customdata": [0]}], "point_indices": [0], "box": [], "lasso": []}
    }
    at.run()
    assert not at.exception
    assert at.session_state["model"] == tiny_folder.name
    assert f"{tiny_folder.name}: gap" in texts(at)
    at.session_state["co_curve"] = {
        "selection": {"points": [{"customdata": [1]}], "point_indices": [0], "box": [],
                      "lasso": []}
    }  # fmt: skip
    at.run()
    assert at.selectbox(key="co_layer").value == 1
    at.button(key="co_clips").click().run()
    assert not at.exception
    assert at.selectbox(key="clips_model").value == tiny_folder.name


def test_runs_open_by_path_where_that_is_allowed(
    open_app: Open, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(modgap.gap.run_folders.VARIABLE)
    monkeypatch.setattr(runs, "may_open_paths", lambda: True)
    at = go(open_app(), "gap")
    assert "No run to look at yet" in " ".join(e.value for e in at.info)
    for path, said in (("relative", "whole path"), (str(run_folder.parent), "it has no run"),
                       ("/\0", "no run")):  # fmt: skip
        at.text_input(key="run_path").set_value(path).run()
        at.button(key="run_open").click().run()
        assert said in texts(at)
    at.text_input(key="run_path").set_value(str(run_folder)).run()
    at.button(key="run_open").click().run()
    assert at.selectbox(key="gap_run").value == "mine"
    monkeypatch.setattr(runs, "may_open_paths", lambda: False)
    at.run()
    assert not [t for t in at.text_input if t.key == "run_path"]


def test_a_damaged_run_is_a_message(open_app: Open, run_folder: Path) -> None:
    (run_folder / "answers" / "part-00000.parquet").write_bytes(b"nonsense")
    for page in ("gap", "correlation"):
        at = go(open_app(), page)
        assert "cannot be read" in texts(at)


def test_a_run_that_grows_is_read_again(open_app: Open, run_folder: Path) -> None:
    at = go(open_app(), "gap")
    before = charts(at)[0]
    rows = [answer("new", "q0", kind, True) for kind in ("base", "text", "speech")]
    write_run(run_folder.parent / "more", [], {"answers": [rows]})
    part = run_folder.parent / "more" / "answers" / "part-00000.parquet"
    part.rename(run_folder / "answers" / "part-00001.parquet")
    at.run()
    assert "new" in at.multiselect(key="gap_models").options
    assert charts(at)[0] == before


def table1_of(model: str, fixes: int, *, grid: bool) -> pd.DataFrame:
    """Answers of ten questions: every one wrong aloud but the first, `fixes` of them repaired."""
    variants = ["none", "text", *RULES_OF_THE_SOURCE, *CONTROLS]
    variants += ["angle,tokens=all,strength=0.5"] * grid
    rows = [
        {"item": f"i{n}", "group": "g", "variant": v, "answer": "x", "aps": 0.1 * n, "model": model,
         "right": n == 0 or v == "text" or (v.startswith("angle") and n <= fixes)}
        for v in variants for n in range(10)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_interventions_over_the_data_set(open_app: Open, run_folder: Path) -> None:
    at = go(open_app(), "gap")
    assert "This run has no interventions over its questions" in texts(at)
    folder = run_folder / "interventions"
    folder.mkdir()
    tables = {name: table1_of(name, n, grid=n == 4) for n, name in ((2, "m:a"), (4, "m:b"))}
    for name, table in tables.items():
        table.to_parquet(folder / f"{name.replace(':', '-')}-answers.parquet")
    (folder / "broken-answers.parquet").write_bytes(b"no parquet")
    at = go(open_app(), "gap")
    said = [e.value.replace("\\", "").replace("\u2060", "") for e in at.error]
    assert any("broken-answers.parquet cannot be read" in text for text in said)
    shown = next(e.value for e in at.dataframe if "change (points)" in e.value)
    row = shown.set_index("intervention").loc["angle, all"]
    assert (row["accuracy %"], row["change (points)"], row["fixed"]) == (30, 20, 2)
    assert len(shown) == 2 + len(RULES_OF_THE_SOURCE) + len(CONTROLS)
    assert "Adaptive choice" not in texts(at)
    assert "n = 2 checkpoints" in texts(at)
    at.selectbox(key="table1_model").set_value("m-b").run()
    assert "Adaptive choice" in texts(at)
    choice, report = evaluate(tables["m:b"])
    frames = [e.value for e in at.dataframe if "questions touched" in e.value]
    assert len(frames[0]) == len(chosen_rows(choice, report))
    assert not at.exception

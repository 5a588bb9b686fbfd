"""Clips that are longer than the model takes: counted, said, refused or cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.analysis.functions import analyze, compare
from modgap.analysis.heard import heard_or_nothing
from modgap.analysis.session import Session
from modgap.cli import main
from modgap.core.errors import AudioError, SettingsError
from modgap.core.settings import AnalysisSettings, analysis_key
from modgap.evaluation.runs.record import RunSettings, differences, read_run
from modgap.evaluation.runs.shards import read_rows
from modgap.gap.overview import overview
from modgap.interventions.intervention import Intervention
from modgap.scoring.answers import answer
from modgap.store.cache import Store
from tests.evaluation.runs import make_manifest
from tests.tiny import make_clip

CUT = AnalysisSettings(too_long="cut", answers=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four questions, the third beyond the 10 s of the tiny model."""
    path = make_manifest(tmp_path_factory.mktemp("data"), 4)
    (path.parent / "2.wav").write_bytes(make_clip(12.5, seed=2).wav_bytes())
    return path


def run(*args: Any) -> str:
    made = CliRunner().invoke(main.app, [str(a) for a in args])
    assert made.exit_code == 0, made.output
    return " ".join(made.output.split())


def test_a_run_counts_them(data: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["eval", "--data", data, "--model", tiny_folder, "--max-new-tokens", "2"]
    said = run(*asked, "--out", "failed")
    beyond = "1 of 4 clips (25.0%) are longer than the 10 s that it takes"
    assert f"{beyond}; they failed, and are in no pair of text and speech (--too-long cut)" in said
    assert f"{beyond}; it heard their beginning" in run(*asked, "--out", "cut", "--too-long", "cut")
    (counted,) = overview("failed")["too_long"]
    about = {"clips": 4, "longer": 1, "share": 0.25, "seconds": 10.0}
    assert counted == {"model": str(tiny_folder), **about, "how": "fail"}
    assert overview("cut")["too_long"] == [counted | {"how": "cut"}]
    asked_of = {
        out: {r["question"] for r in read_rows(Path(out), "answers") if r["input"] == "speech"}
        for out in ("failed", "cut")
    }
    assert asked_of["cut"] - asked_of["failed"] == {"q2"}
    # What it says of the protocol is kept, and runs of before this was asked are what they were.
    cut, failed = (read_run(Path(out)) for out in ("cut", "failed"))
    assert cut is not None
    assert failed is not None
    assert RunSettings.from_dict(cut).too_long == "cut"
    assert "too_long" not in failed["settings"]
    assert any("too_long" in text for text in differences(failed, cut))
    older = json.loads(json.dumps(failed))
    del older["models"][str(tiny_folder)]["max_seconds"]
    assert not differences(older, failed)
    with pytest.raises(SettingsError, match="too_long"):
        RunSettings(too_long="half")


def test_an_analysis_says_it(tiny_model: Any, tiny_folder: Path, tmp_path: Path) -> None:
    long, words = make_clip(12.5), "two plus three"
    with pytest.raises(AudioError, match="too_long cut"):
        analyze(tiny_model, long, words, answers=False)
    found = analyze(tiny_model, long, words, CUT)
    assert len(found.speech_times) == 250
    assert "the first 10 s, all that it takes (80%)" in " ".join(found.notes)
    keys = {
        settings.too_long: analysis_key("m", "float32", "0" * 64, words, settings)
        for settings in (CUT, AnalysisSettings(answers=False))
    }
    assert keys["cut"] != keys["fail"]
    path = tmp_path / "long.wav"
    path.write_bytes(long.wav_bytes())
    options = ("--model", tiny_folder, "--too-long", "cut", "--no-answers", "--no-cache")
    assert "(80%)" in run("analyze", path, "--transcript", words, *options)


def test_edits_and_maps_too(tiny_model: Any, tmp_path: Path) -> None:
    """The model that hears 10 s is edited as in a clip that ends there, words whole."""
    long, words = make_clip(12.5), "two plus three"
    stack = (Intervention(rule="patch", tokens="all", layers=(1,)),)
    with pytest.raises(AudioError, match="too_long cut"):
        compare(tiny_model, long, words, stack, max_new_tokens=2)
    found = compare(tiny_model, long, words, stack, max_new_tokens=2, too_long="cut")
    same = compare(tiny_model, long.trim(0, 10), words, stack, max_new_tokens=2)
    assert (found.after, found.kl_after) == (same.after, same.kl_after)
    after = answer(tiny_model, long, stack, transcript=words, max_new_tokens=2, too_long="cut")
    assert after.text == same.after.text
    # What is cut has a key of its own; what is not has that of not asking.
    short = make_clip(1.3)
    keys = [
        Session(tiny_model, clip, words, too_long=how).key("sweep")
        for clip in (long, short)
        for how in ("fail", "cut")
    ]
    assert keys[0] != keys[1]
    assert keys[2] == keys[3]
    assert Session(tiny_model, short, words, too_long="cut").notes == short.notes


def test_the_model_writes_down_what_it_hears(tiny_model: Any, tmp_path: Path) -> None:
    long = make_clip(12.5)
    with pytest.raises(AudioError, match="too_long cut"):
        heard_or_nothing(tiny_model, long)
    store = Store(tmp_path)
    made = heard_or_nothing(tiny_model, long, too_long="cut", store=store)
    assert made == heard_or_nothing(tiny_model, long.trim(0, 10))
    with pytest.raises(AudioError, match="too_long cut"):  # not found by the other's key
        heard_or_nothing(tiny_model, long, store=store)


def test_the_commands_of_edits_say_it(tiny_folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("long.wav").write_bytes(make_clip(12.5).wav_bytes())
    common = ("long.wav", "--transcript", "two plus three", "--model", tiny_folder, "--no-cache")
    heard = "the first 10 s, all that it takes (80%)"
    for command, more in {
        "intervene": ("--max-new-tokens", "2"),
        "sweep": ("--rule", "angle", "--layers", "0", "--strength", "1"),
        "aps": ("--no-words",),
        "compare-models": ("--max-new-tokens", "2"),
    }.items():
        refused = CliRunner().invoke(main.app, [str(a) for a in (command, *common, *more)])
        assert refused.exit_code, command
        assert "too_long cut" in " ".join(refused.output.split()), command
        cut = (command, *common, *more, "--too-long", "cut")
        said = run(*cut)
        assert said.count(heard) == 1, command
        found = json.loads(CliRunner().invoke(main.app, [*map(str, cut), "--json"]).stdout)
        (notes,) = [m["notes"] for m in found.get("models", [found])]
        assert heard in " ".join(notes), command
    (tmp_path / "data").mkdir()
    make_manifest(tmp_path / "data", 3)
    (tmp_path / "data" / "2.wav").write_bytes(make_clip(12.5, seed=2).wav_bytes())
    asked = ("table1", "--data", "data/questions.jsonl", "--model", tiny_folder,
             "--max-new-tokens", "1")  # fmt: skip
    counts = [
        next(line.split()[1] for line in table.splitlines() if line.startswith("none "))
        for table in (
            CliRunner().invoke(main.app, [*map(str, asked), *more]).stdout
            for more in ((), ("--too-long", "cut"))
        )
    ]
    assert counts == ["2", "3"]

"""`modgap words`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modgap
from modgap.analysis.word_hits import word_hits
from modgap.evaluation.data.word_clips import known_clips, sounds
from modgap.speech.attention import FRAME, silent
from tests.analysis.test_pipeline import EXAMPLES
from tests.cli.test_interventions import strict
from tests.cli.test_main import place, refused, run  # noqa: F401

REAL = EXAMPLES / "austen-0880.flac"
SAID = "he was not an ill disposed young man"
TINY = ("--model", "tiny")


@pytest.mark.usefixtures("ears_here")
def test_one_clip(run: Any, tiny_model: Any, place: Path) -> None:  # noqa: F811
    clip = modgap.load_clip(REAL)
    times = modgap.word_times(clip, SAID)
    hits = word_hits(modgap.analyze(tiny_model, clip, SAID, answers=False), times).layers()
    result = run("words", REAL, "--transcript", SAID, *TINY, "--out", "w.parquet")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for word, (start, end) in zip(times.words, times.times, strict=True):
        assert any(line.split() == [word, f"{start:.2f}", f"{end:.2f}"] for line in lines), word
    first = next(line for line in lines if line.startswith("0 "))
    assert f"{100 * hits['word_cos'][0]:.0f} %" in first
    pd.testing.assert_frame_equal(pd.read_parquet(place / "w.parquet"), hits)
    again = run("words", REAL, "--transcript", SAID, *TINY, "--json")
    found = strict(again.stdout)
    assert [w["word"] for w in found["words"]] == SAID.split()
    assert [row["layer"] for row in found["layers"]] == [0, 1, 2, 3, 4]
    assert found["layers"][2]["word_dtw_euc"] == pytest.approx(hits["word_dtw_euc"][2])


@pytest.mark.usefixtures("ears_here")
def test_a_manifest(run: Any, place: Path, caplog: Any) -> None:  # noqa: F811
    rows = [
        ("austen-0880.flac", SAID),
        ("austen-0930.flac", "he might even have been made amiable himself."),
        ("sphinx-clubs.flac", "..."),
    ]
    with (place / "m.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "transcript"), *rows])
    for name, _ in rows:
        (place / name).write_bytes((EXAMPLES / name).read_bytes())
    result = run("words", "--data", "m.csv", *TINY, "--out", "s.parquet")
    assert result.exit_code == 0, result.output
    assert "2 clips" in result.stdout
    assert "sphinx-clubs.flac is left out" in result.stderr
    table = pd.read_parquet(place / "s.parquet")
    assert set(table["path"]) == {"cos", "euc", "dtw_cos", "dtw_euc", "chance", "diagonal"}
    assert table["clips"].eq(2).all()
    assert ((table["low"] <= table["share"]) & (table["share"] <= table["high"])).all()
    as_json = run("words", "--data", "m.csv", *TINY, "--json", "--limit", "1")
    found = strict(as_json.stdout)
    assert {row["clips"] for row in found["rows"]} == {1}
    assert len(json.dumps(found)) > 100


def test_what_espeak_knows_of_the_familys_questions() -> None:
    clips = known_clips(6)
    off = []
    plain = {name: load for name, load, _ in sounds("demo:robot", 6)}
    for name, clip, times in clips:
        assert times.source == "espeak-ng"
        assert times.times[-1, 1] <= clip.seconds
        # the same questions, in the same clips (espeak-ng may differ by a few samples)
        assert plain[name]().seconds == pytest.approx(clip.seconds, abs=0.02)
        sounding = np.flatnonzero(~silent(clip.resample(16000), 16000))
        off += [
            FRAME * sounding[0] - times.times[0, 0],
            FRAME * (sounding[-1] + 1) - times.times[-1, 1],
        ]
    assert abs(np.median(off)) < 0.02  # a wrong pad in front would show as 0.05


def test_the_familys_questions(run: Any) -> None:  # noqa: F811
    result = run("words", "--data", "demo:robot", "--aligner", "espeak", "--limit", "3", *TINY)
    assert result.exit_code == 0, result.output
    assert "words by espeak: 3 clips" in result.stdout


@pytest.mark.usefixtures("ears_here")
@pytest.mark.parametrize(
    ("words", "say"),
    [
        ((), "Give a clip"),
        (("clip.wav", "--data", "demo"), "Give a clip"),
        (("clip.wav",), "--transcript"),
        (("clip.wav", "--transcript", "a", "--model", "x", "--model", "y"), "several need --data"),
        (("clip.wav", "--transcript", "..."), "holds no words"),
        (("--data", "gone.csv"), "no manifest"),
        (("--data", "gone.txt"), "not gone.txt"),
        (("--data", "gone.csv", "--aligner", "espeak"), "Only --data demo:robot"),
        (("clip.wav", "--transcript", "a", "--aligner", "nothing"), "no folder nothing"),
    ],
)
def test_what_it_refuses(run: Any, words: tuple[str, ...], say: str) -> None:  # noqa: F811
    refused(run("words", *words), say)


@pytest.mark.usefixtures("ears_here")
def test_a_manifest_without_columns(run: Any, place: Path) -> None:  # noqa: F811
    (place / "m.csv").write_text("sound,text\na.wav,hello\n")
    refused(run("words", "--data", "m.csv", *TINY), "needs the columns audio and transcript")
    (place / "m.csv").write_text("audio,transcript\ngone.wav,hello\n")
    result = run("words", "--data", "m.csv", *TINY)
    assert result.exit_code == 2
    assert "No clip could be measured" in result.stderr

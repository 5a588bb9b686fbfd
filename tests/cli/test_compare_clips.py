"""`modgap compare-clips` and `modgap prompt`: the library's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

import modgap
from tests.cli.test_interventions import strict
from tests.cli.test_main import place, refused, run  # noqa: F401
from tests.tiny import make_clip

TINY = ("--model", "tiny")
WORDS = "two plus two"


def test_two_clips(run: Any, tiny_model: Any, place: Path) -> None:  # noqa: F811
    for name, seed in (("a.wav", 1), ("b.wav", 2)):
        (place / name).write_bytes(make_clip(1.2, seed=seed).wav_bytes())
    clips = [modgap.load_clip(place / name) for name in ("a.wav", "b.wav")]
    expected = modgap.compare_clips(tiny_model, *clips, WORDS)
    given = ("compare-clips", "a.wav", "b.wav", "--transcript", WORDS, *TINY)
    found = run(*given, "--out", "d.parquet")
    assert found.exit_code == 0, found.output
    pd.testing.assert_frame_equal(pd.read_parquet(place / "d.parquet"), expected.differences)
    line = next(line for line in found.stdout.splitlines() if line.startswith("2 "))
    assert f"{expected.between['cosine'][2]:.3f}" in line
    body = strict(run(*given, "--json").stdout)
    assert [clip["as"] for clip in body["clips"]] == ["a.wav", "b.wav"]
    assert len(body["differences"]) == len(expected.differences)
    assert "cosine or euclidean" in refused(run(*given, "--measure", "angle"))


def test_the_prompt(run: Any, tiny_model: Any, place: Path) -> None:  # noqa: F811
    (place / "a.wav").write_bytes(make_clip(1.2).wav_bytes())
    clip = modgap.load_clip(place / "a.wav")
    expected = modgap.prompt_tokens(tiny_model, clip, WORDS, markers="drop").table()
    given = ("prompt", "a.wav", "--transcript", WORDS, "--markers", "drop", *TINY)
    found = run(*given, "--out", "p.parquet")
    assert found.exit_code == 0, found.output
    pd.testing.assert_frame_equal(pd.read_parquet(place / "p.parquet"), expected)
    assert "times)" in found.stdout
    assert strict(run(*given, "--json").stdout)[0]["position"] == 0

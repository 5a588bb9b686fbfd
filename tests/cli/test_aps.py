"""`modgap aps`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import modgap
from tests.analysis.test_pipeline import EXAMPLES
from tests.cli.test_interventions import strict
from tests.cli.test_main import place, refused, run  # noqa: F401

REAL = EXAMPLES / "austen-0880.flac"
SAID = "he was not an ill disposed young man"
TINY = ("--model", "tiny")
TEXTS = ("Bread and salt", "The ferry leaves.")


def test_the_score_and_what_it_rests_on(
    run: Any,  # noqa: F811
    tiny_model: Any,
    place: Path,  # noqa: F811
    ears_here: Path,
) -> None:
    clip = modgap.load_clip(REAL)
    result = modgap.analyze(tiny_model, clip, SAID, answers=False)
    others = modgap.mismatched_aps(tiny_model, clip, SAID, texts=TEXTS, answers=False)
    words = modgap.word_times(clip, SAID)
    expected = modgap.score_support(result, words=words, others=others)
    more = [part for text in TEXTS for part in ("--text", text)]
    found = run("aps", REAL, "--transcript", SAID, *TINY, *more, "--out", "s.parquet")
    assert found.exit_code == 0, found.output
    pd.testing.assert_frame_equal(pd.read_parquet(place / "s.parquet"), expected)
    line = next(line for line in found.stdout.splitlines() if line.startswith("2 "))
    assert f"{expected['aps_cos'][2]:.3f}" in line
    assert f"{expected['filtered_aps_cos'][2]:.3f}" in line
    assert "not the paper's APS" in found.stdout
    again = run("aps", REAL, "--transcript", SAID, *TINY, *more, "--json", "--no-words")
    body = strict(again.stdout)
    assert body["texts"] == list(TEXTS)
    assert body["layers"][1]["aps_euc"] == pytest.approx(expected["aps_euc"][1])
    assert "word_cos" not in body["layers"][1]
    said = refused(run("aps", REAL, "--transcript", SAID, *TINY, "--measure", "manhattan"))
    assert "cosine or euclidean" in said

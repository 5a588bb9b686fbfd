"""The model card's tables: what is counted, and where it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from modgap.core.errors import SettingsError
from modgap.demo.training import measuring
from modgap.models.loading.load import load_model
from modgap.speech.words import WordTimes
from tests.tiny import make_clip


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    clip = make_clip(1.5, rate=16_000)
    soundfile.write(tmp_path / "a.wav", clip.samples, 16_000)
    (tmp_path / "manifest.csv").write_text("file,transcript\na.wav,one two\n")
    return tmp_path / "manifest.csv"


def test_a_recording_is_measured(tiny_family: Path, manifest: Path) -> None:
    (one,) = measuring.read_people(manifest)
    words = WordTimes("one two", "by hand", ("one", "two"), np.array([[0, 3], [4, 7]]),
                      np.array([[0.1, 0.6], [0.6, 1.3]]), np.full(2, np.nan))  # fmt: skip
    row = measuring.measure_clip(load_model("demo"), one, words)
    assert row["words"] == 2
    layers = {len(row[c]) for c in ("cosine", "monotonicity", "distinct", "in_word")}
    assert layers == {9}
    assert all(0 < d <= 1 for d in row["distinct"])
    assert 0 < row["chance"] < 1


def test_tables_of_known_rows(tmp_path: Path) -> None:
    rows = [
        {"model": "m", "file": f"{n}.wav", "transcript": "", "wrote": "", "errors": n, "words": 10,
         "cosine": [0.1, 0.5, 0.6], "euclidean": [1.0, 2.0, 3.0], "monotonicity": [0.9, 0.5, m],
         "distinct": [1.0, 0.5, 0.75], "in_word": [0.9, 0.4, 0.3], "chance": 0.1}
        for n, m in ((1, 0.8), (3, np.nan))
    ]  # fmt: skip
    text = measuring.markdown(pd.DataFrame(rows))
    assert "| m | 20.0 % (10.0 to 30.0) | 0.80 (layer 2) | 75 % | 40 % (layer 1) | 10 % |" in text
    assert "| 1 | 0.50 | 2.00 | 0.50 | 0.50 | 0.40 |" in text
    card = tmp_path / "card.md"
    card.write_text(f"a\n{measuring.BEGIN}\nold\n{measuring.END}\nb")
    measuring.update_card(card, text)
    assert "old" not in card.read_text()
    assert text in card.read_text()
    card.write_text("no place")
    with pytest.raises(SettingsError, match="no place for tables"):
        measuring.update_card(card, text)


def test_bad_manifests_are_told(manifest: Path) -> None:
    with pytest.raises(SettingsError, match="name a CSV file"):
        measuring.read_people(manifest.with_name("gone.csv"))
    with pytest.raises(SettingsError, match=r"shorter than 0\.5 s"):
        measuring.read_people(manifest, 0.5)
    manifest.write_text("sound,words\na.wav,one\n")
    with pytest.raises(SettingsError, match="file and transcript"):
        measuring.read_people(manifest)

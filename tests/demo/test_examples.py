"""The example clips: whole, with a licence each, and no question of the data set."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from modgap.demo.questions import examples
from modgap.demo.questions.stored import questions
from modgap.scoring.words import holds

ROWS = json.loads((examples.FOLDER / "examples.json").read_text("utf-8"))
ATTRIBUTION = (examples.FOLDER / "ATTRIBUTION.md").read_text("utf-8")


def test_there_are_enough_of_people_and_of_each_synthesizer() -> None:
    assert len(ROWS) >= 10
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert [row["id"] for row in ROWS] == [e.id for e in (*examples.EXAMPLES, *examples.PEOPLE)]
    for voice in ("SVOX Pico, voice en-US", "SVOX Pico, voice en-GB", "Piper", "espeak-ng"):
        assert any(voice in row["source"] for row in ROWS)
    assert {e.condition for e in examples.EXAMPLES} == {
        "clean", "noisy", "reverberant", "telephone", "fast",
    }  # fmt: skip
    clips = {p.name for p in examples.FOLDER.iterdir() if p.suffix in (".flac", ".wav")}
    assert clips == {row["file"] for row in ROWS}, "no file without its row"


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_an_example_is_whole(row: dict[str, str]) -> None:
    assert all(row[key] for key in ("title", "transcript", "source", "licence", "shows"))
    wave, rate = soundfile.read(examples.FOLDER / row["file"])
    assert rate == 16000
    assert wave.ndim == 1
    assert 1.0 < wave.size / rate < 10.0
    assert 0.05 < np.abs(wave).max() <= 1.0
    letters = sum(c.isalpha() for c in row["transcript"])
    assert 5 < letters / (wave.size / rate) < 26
    licence = row["licence"].partition(" (")[0]
    assert {"CC0-1.0": "CC0 1.0"}.get(licence, licence) in ATTRIBUTION
    # None is reported: what is said of an example says nothing of the data set.
    assert row["transcript"] not in set(questions().text)
    if row["instruction"]:
        return
    assert row["reference"]
    assert holds(row["transcript"], row["reference"]) == ("A, " in row["transcript"])


def test_the_licence_of_the_recordings_is_there() -> None:
    text = (examples.FOLDER / "LICENSE-pocketsphinx.txt").read_text()
    assert "Carnegie Mellon University" in text
    assert "LICENSE-pocketsphinx.txt" in ATTRIBUTION

"""Speech is told from noise, tones, hum and clicks; the shipped recordings are the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from modgap.analysis.examples import examples
from modgap.audio.clip import load_clip
from modgap.audio.speech_activity import MIN_VOICED, voiced_seconds

RATE = 16_000
TIME = np.arange(2 * RATE) / RATE
RNG = np.random.default_rng(0)
SOUNDS = {
    "noise": RNG.normal(0, 0.1, len(TIME)),
    "faint noise": RNG.normal(0, 0.001, len(TIME)),
    "tone": 0.3 * np.sin(2 * np.pi * 200 * TIME),
    "hum": 0.1 * np.sign(np.sin(2 * np.pi * 50 * TIME)) + RNG.normal(0, 0.01, len(TIME)),
    "clicks": np.where(np.arange(len(TIME)) % 8000 < 20, 0.5, 0.0) + RNG.normal(0, 1e-4, len(TIME)),
    "one click": np.where(np.arange(len(TIME)) == 9000, 0.5, 0.0),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_what_is_no_speech_has_no_voice(name: str) -> None:
    assert voiced_seconds(load_clip(SOUNDS[name].astype(np.float32), rate=RATE)) < MIN_VOICED


@pytest.mark.parametrize("example", examples(), ids=lambda e: e.id)
def test_recordings_of_people_have_one(example) -> None:
    clip = load_clip(example.path)
    assert 0.25 * clip.seconds < voiced_seconds(clip) <= clip.seconds
    quiet = load_clip(0.01 * clip.samples, rate=clip.rate)
    assert voiced_seconds(quiet) == pytest.approx(voiced_seconds(clip), abs=0.1)


def test_a_clip_shorter_than_a_frame_has_none() -> None:
    assert voiced_seconds(load_clip(SOUNDS["tone"][:1700].astype(np.float32), rate=RATE)) == 0

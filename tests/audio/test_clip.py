"""Clips: resampling, trimming, fingerprints, the player's copy."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import AudioError
from tests.encode import FORMATS, sample_file, tone, with_soundfile

RATE = 16_000


@pytest.mark.parametrize(
    ("rate", "target"), [(44_100, 16_000), (8_000, 16_000), (48_000, 16_000), (16_000, 24_000)]
)
def test_resampling_agrees_with_scipy(rate: int, target: int) -> None:
    samples = tone(0.5, rate, 440) + tone(0.5, rate, 1_777, 0.2)
    clip = load_clip(samples, rate=rate)
    ours = clip.resample(target)
    divisor = math.gcd(rate, target)
    theirs = resample_poly(samples.astype("f8"), target // divisor, rate // divisor)
    assert ours.dtype == np.float32
    assert abs(len(ours) - 0.5 * target) <= 1
    inner = slice(400, min(len(ours), len(theirs)) - 400)
    assert np.abs(ours[inner] - theirs[inner]).max() < 2e-3
    exact = tone(0.5, target, 440) + tone(0.5, target, 1_777, 0.2)
    assert np.abs(ours[inner] - exact[inner]).max() < 2e-4


def test_resampling_removes_what_would_alias() -> None:
    clip = load_clip(tone(0.5, 44_100, 12_000), rate=44_100)
    assert np.abs(clip.resample(16_000)[800:-800]).max() < 1e-3


def test_resampling_to_its_own_rate_is_a_copy() -> None:
    clip = load_clip(tone(0.2, RATE), rate=RATE)
    copy = clip.resample(RATE)
    copy[:] = 0
    assert np.array_equal(clip.samples, tone(0.2, RATE))
    with pytest.raises(AudioError, match="sample rate"):
        clip.resample(0)


@given(
    rate=st.integers(4_000, 48_000),
    start=st.floats(0, 0.8),
    length=st.floats(0.11, 2.0),
)
@settings(max_examples=60, deadline=None)
def test_trimming_is_exact(rate: int, start: float, length: float) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, rate).astype("f4")
    clip, end = load_clip(samples, rate=rate), start + length
    if end > 1.05 or round(rate * min(end, 1)) - round(rate * start) < 0.1 * rate:
        with pytest.raises(AudioError):
            clip.trim(start, end)
        return
    part = clip.trim(start, end)
    assert np.array_equal(part.samples, samples[round(start * rate) : round(end * rate)])
    assert part == load_clip(samples, rate=rate, start=start, end=end)


@pytest.mark.parametrize("kind", FORMATS)
def test_trimming_while_decoding_is_trimming_afterwards(kind: str) -> None:
    whole = load_clip(sample_file(kind))
    assert load_clip(sample_file(kind), start=0.123, end=0.4) == whole.trim(0.123, 0.4)
    assert load_clip(sample_file(kind), start=0.3) == whole.trim(0.3)
    assert len(whole.trim(0.123, 0.4).samples) == round(0.4 * whole.rate) - round(
        0.123 * whole.rate
    )


def test_a_part_of_a_long_file() -> None:
    samples = np.zeros(700 * 4_000, np.float32)
    samples[650 * 4_000 : 651 * 4_000] = tone(1, 4_000)
    for kind in ("FLAC", "WAV"):
        data = with_soundfile(samples, 4_000, kind, "PCM_16")
        with pytest.raises(AudioError, match=r"longer than 600 s.*start and end"):
            load_clip(data)
        clip = load_clip(data, start=650, end=651)
        np.testing.assert_allclose(clip.samples, tone(1, 4_000), atol=2**-15)
    with pytest.raises(AudioError, match=r"longer than 1\.5 s"):
        load_clip(data, start=649, end=652, max_seconds=1.5)
    with pytest.raises(AudioError, match="longer than 30 s"):
        load_clip(data, start=649, max_seconds=30)


def test_limit_is_inclusive() -> None:
    samples = tone(1, RATE)
    assert load_clip(samples, rate=RATE, max_seconds=1).seconds == 1
    with pytest.raises(AudioError, match="longer than 1 s"):
        load_clip(np.append(samples, np.float32(0)), rate=RATE, max_seconds=1)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-0.1, None, "0 s or later"),
        (0.5, 0.5, "end after the start"),
        (0.6, 0.2, "end after the start"),
        (None, 0, "end after the start"),
        (1.0, None, "clip ends at 1.00 s"),
        (5, 6, "clip ends at 1.00 s"),
        (0.0, 1.2, "clip ends at 1.00 s"),
        (0.0, math.inf, "end after the start"),
        (math.nan, None, "number of seconds"),
        (None, "1", "number of seconds"),
        (True, None, "number of seconds"),
        (0.95, None, "shorter than"),
        (0.2, 0.25, "shorter than"),
        (10_000, None, "only the first 7200 s"),
    ],
)
def test_trims_that_make_no_sense(start: object, end: object, message: str) -> None:
    data = with_soundfile(tone(1, RATE), RATE, "WAV")
    for source, rate in ((data, None), (tone(1, RATE), RATE)):
        with pytest.raises(AudioError, match=message):
            load_clip(source, rate=rate, start=start, end=end)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [math.nan, None, "60", -1, 0])
def test_limits_that_make_no_sense(limit: object) -> None:
    with pytest.raises(AudioError):
        load_clip(tone(1, RATE), rate=RATE, max_seconds=limit)  # type: ignore[arg-type]


def test_an_end_that_was_rounded_up_is_the_end() -> None:
    samples = tone(0.987, RATE)
    assert load_clip(samples, rate=RATE, end=0.99) == load_clip(samples, rate=RATE)


def test_equal_sound_is_equal_under_any_name_and_container() -> None:
    samples = np.round(tone(0.3, RATE) * 32768).astype(np.int16)
    as_wav, as_flac = (with_soundfile(samples, RATE, kind, "PCM_16") for kind in ("WAV", "FLAC"))
    clips = [
        load_clip(as_wav, name="a.wav"),
        load_clip(as_flac, name="b.flac"),
        load_clip(samples, rate=RATE),
        load_clip(samples.astype(np.float64) / 32768, rate=RATE),
    ]
    assert len({clip.sha256 for clip in clips}) == 1
    assert len(set(clips)) == 1
    expected = hashlib.sha256(b"16000\n" + (samples / 32768).astype("<f4").tobytes()).hexdigest()
    assert clips[0].sha256 == expected
    assert clips[0] != "a.wav"


@given(at=st.integers(0, 3_199))
@settings(max_examples=30, deadline=None)
def test_one_sample_makes_another_clip(at: int) -> None:
    samples = np.round(tone(0.2, RATE) * 32768).astype(np.int16)
    changed = samples.copy()
    changed[at] += 1
    assert load_clip(samples, rate=RATE) != load_clip(changed, rate=RATE)
    assert load_clip(samples, rate=RATE) != load_clip(samples, rate=RATE + 1)


def test_a_clip_cannot_be_changed() -> None:
    samples = tone(0.2, RATE)
    clip = load_clip(samples, rate=RATE)
    samples[:] = 0
    assert np.array_equal(clip.samples, tone(0.2, RATE))
    with pytest.raises(ValueError, match="read-only"):
        clip.samples[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        clip.rate = 8_000  # type: ignore[misc]
    with pytest.raises(AudioError, match="float32"):
        Clip(np.zeros(16_000), RATE)  # type: ignore[arg-type]


@pytest.mark.parametrize("peak", [0.5, 4.0])
def test_wav_for_players(peak: float) -> None:
    clip = load_clip(tone(0.5, 44_100, peak=peak), rate=44_100)
    with wave.open(io.BytesIO(clip.wav_bytes(16_000))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    expected = clip.resample(16_000) / max(1, np.abs(clip.resample(16_000)).max())
    np.testing.assert_allclose(pcm, expected, atol=2**-15)
    again = load_clip(clip.wav_bytes(16_000))
    assert load_clip(again.wav_bytes(16_000)) == again

"""Channels: their mean, one of them, and the mean in which they cancel each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import AudioError
from tests.encode import tone, with_pyav, with_soundfile

RATE = 16_000


def voice(seed: int = 0, n: int = RATE) -> np.ndarray:
    """Noise whose loudness changes, as that of speech does."""
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(n) * (1 + np.sin(np.arange(n) / 900))).astype("f4")


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], 1)


def cancels(clip: Clip) -> bool:
    return any("cancel" in note for note in clip.notes)


@pytest.mark.parametrize("channel", [1, 2, 3])
def test_one_channel_of_every_kind_of_file(channel: int) -> None:
    frames = np.stack([voice(0), voice(1), voice(2)], 1)
    for data in (
        with_soundfile(frames, RATE, "WAV", "FLOAT"),
        with_soundfile(frames, RATE, "FLAC", "PCM_24"),
        with_soundfile(frames, RATE, "AIFF", "PCM_24"),
        with_pyav(frames, RATE, "matroska", "flac", "3.0"),
    ):
        clip = load_clip(data, channel=channel)
        atol = 2**-15  # the last of them is written with 16 bits
        np.testing.assert_allclose(clip.samples, frames[:, channel - 1], atol=atol)
        assert clip.channels == 3
        assert clip.notes == ()
    wide = np.stack([voice(n) for n in range(8)], 1)
    clip = load_clip(with_pyav(wide, RATE, "matroska", "flac", "7.1"), channel=channel)
    np.testing.assert_allclose(clip.samples, wide[:, channel - 1], atol=2**-15)
    assert load_clip(frames, rate=RATE, channel=channel) == load_clip(
        frames[:, channel - 1], rate=RATE
    )


@pytest.mark.parametrize("channel", [0, -1, 1.0, "1", True])
def test_channels_that_are_none(channel: object) -> None:
    with pytest.raises(AudioError, match="channel must be 1"):
        load_clip(tone(1, RATE), rate=RATE, channel=channel)  # type: ignore[arg-type]


def test_channels_that_are_not_there() -> None:
    sound = stereo(voice(), voice(1))
    with pytest.raises(AudioError, match="no channel 3: the clip has 2 channels"):
        load_clip(sound, rate=RATE, channel=3)
    with pytest.raises(AudioError, match="one channel left"):
        load_clip(load_clip(sound, rate=RATE), channel=1)
    assert load_clip(voice(), rate=RATE, channel=1) == load_clip(voice(), rate=RATE)


def test_channels_that_are_each_others_opposite() -> None:
    left = voice()
    with pytest.raises(AudioError, match=r"silent.*2 channels cancel each other.*channel 1"):
        load_clip(stereo(left, -left), rate=RATE)
    assert load_clip(stereo(left, -left), rate=RATE, channel=1) == load_clip(left, rate=RATE)
    residue = load_clip(stereo(left, -left + 1e-3 * voice(1)), rate=RATE)
    assert cancels(residue)
    assert "--channel 1" in residue.notes[0]
    assert cancels(residue.trim(0.1, 0.5))
    offset = load_clip(stereo(left + 0.2, 0.2 - 0.99 * left), rate=RATE)
    assert cancels(offset)


@pytest.mark.parametrize(
    "frames",
    [
        stereo(voice(), voice()),
        stereo(voice(), 0 * voice()),
        stereo(voice(), voice(1)),
        stereo(voice(), np.roll(voice(), 40)),
        stereo(voice(), 0.1 * voice(1) + 0.5),
        np.stack([voice(), *[0 * voice()] * 5], 1),
        np.stack([voice(n) for n in range(8)], 1),
    ],
)
def test_channels_that_do_not_cancel(frames: np.ndarray) -> None:
    assert load_clip(frames, rate=RATE).notes == ()


@given(gain=st.floats(0.01, 1.0), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_warning_is_for_a_loss_of_most_of_the_energy(gain: float, seed: int) -> None:
    left = voice(seed)
    found = load_clip(stereo(left, -gain * left), rate=RATE) if gain < 0.999 else None
    if found is None:
        return
    kept = ((1 - gain) / 2) ** 2 / ((1 + gain**2) / 2)  # by hand
    if abs(kept - 0.25) > 0.001:
        assert cancels(found) == (kept < 0.25)


def test_only_the_part_that_is_used_counts() -> None:
    left = voice(0, 2 * RATE)
    frames = stereo(left, np.concatenate([-left[:RATE], left[RATE:]]))
    data = with_soundfile(frames, RATE, "WAV", "FLOAT")
    assert load_clip(data, start=1.0).notes == ()
    with pytest.raises(AudioError, match="cancel"):
        load_clip(data, end=1.0)

"""Inputs of public reports that lie beside the checkout, where they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from modgap.audio.clip import load_clip
from modgap.audio.formats import SUFFIXES
from modgap.core.errors import AudioError

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no ../shared/cases beside the checkout")


@pytest.mark.parametrize(
    ("name", "seconds", "rate"),
    [
        ("chained-ogg/chain2.ogg", 3.57, 48_000),
        ("chained-ogg/chain_vorbis.ogg", 3.20, 22_050),
        ("chained-ogg/cat.flac", 3.20, 22_050),
        ("opus-rate-0/opus_in0.ogg", 1.60, 48_000),
        ("wav-size-2e9/size_1GB.wav", 1.60, 22_050),
        ("wav-size-2e9/size_2e9.wav", 1.60, 22_050),
        ("aiff-caf/base.aiff", 1.60, 22_050),
        ("aiff-caf/base.caf", 1.60, 22_050),
        ("aiff-caf/rifx.wav", 1.60, 22_050),
        ("aiff-caf/classic_wide.mov", 1.60, 22_050),
        ("aiff-caf/mp3_midframe.mp3", 1.60, 22_050),
        ("aiff-caf/mp3_zeros_front.mp3", 1.60, 22_050),
        ("uploader-suffix/voice.oga", 1.60, 22_050),
        ("uploader-suffix/IMG_0042.MOV", 1.60, 22_050),
    ],
)
def test_lengths(name: str, seconds: float, rate: int) -> None:
    clip = load_clip(CASES / name)
    assert clip.rate == rate
    assert abs(clip.seconds - seconds) < (0.065 if "mp3" in name else 0.03)
    assert Path(name).suffix[1:].lower() in SUFFIXES


def test_sounds_that_are_the_same() -> None:
    one = load_clip(CASES / "antiphase/one_ch.wav")
    for name in ("aiff-caf/base.aiff", "aiff-caf/base.caf", "aiff-caf/rifx.wav",
                 "wav-size-2e9/size_2e9.wav", "wav-size-2e9/size_1GB.wav"):  # fmt: skip
        assert load_clip(CASES / name) == one
    opus = [load_clip(CASES / f"opus-rate-0/opus_in{rate}.ogg") for rate in (0, 44_100)]
    assert opus[0] == opus[1]


def test_channels_that_cancel() -> None:
    with pytest.raises(AudioError, match="channels cancel"):
        load_clip(CASES / "antiphase/antiphase.wav")
    noise = load_clip(CASES / "antiphase/antiphase_noise.wav")
    assert any("channels cancel" in note for note in noise.notes)
    one = load_clip(CASES / "antiphase/one_ch.wav")
    for name in ("antiphase", "antiphase_noise"):
        clip = load_clip(CASES / f"antiphase/{name}.wav", channel=1)
        assert abs(clip.samples - one.samples).max() < 0.002
        assert clip.notes == ()

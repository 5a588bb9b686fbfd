"""Reading clips: every format and every kind of source against a known sound."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import correlate

from modgap.audio.clip import MAX_BYTES, load_clip
from modgap.core.errors import AudioError, ModgapError
from tests.encode import FORMATS, RATES, sample_file, tone, with_pyav, with_soundfile
from tests.hostile import HOSTILE

DATA = Path(__file__).parents[1] / "data"
RATE = 16_000
LOSSLESS = ("wav", "flac")


def frequency(samples: np.ndarray, rate: int) -> float:
    """Frequency of the strongest line, interpolated between bins of a windowed FFT."""
    power = np.log(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) + 1e-12)
    k = int(np.argmax(power[1:-1])) + 1
    a, b, c = power[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * rate / len(samples)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_tone_comes_through_every_format(kind: str) -> None:
    rate = RATES.get(kind, 22_050)
    clip = load_clip(sample_file(kind))
    assert clip.rate == rate
    assert clip.samples.dtype == np.float32
    assert clip.samples.ndim == 1
    assert (
        abs(clip.seconds - 0.5) < 0.06
    )  # AAC comes in frames of 1024 and begins with a silent one
    middle = clip.samples[len(clip.samples) // 5 : -len(clip.samples) // 5]
    assert abs(frequency(middle, rate) - 440) < 1
    assert abs(np.abs(middle).max() - 0.3) < 0.03
    if kind in LOSSLESS:
        np.testing.assert_allclose(clip.samples, tone(0.5, rate), atol=2**-15)


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-22),
        ("PCM_32", 2**-23),
        ("FLOAT", 0),
        ("DOUBLE", 0),
        ("ULAW", 0.02),
        ("ALAW", 0.02),
    ],
)
def test_wav_sample_types(subtype: str, tolerance: float) -> None:
    samples = tone(0.3, RATE, peak=0.8)
    clip = load_clip(with_soundfile(samples, RATE, "WAV", subtype))
    np.testing.assert_allclose(clip.samples, samples, rtol=0, atol=tolerance)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 44_100, 96_000, 192_000])
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_rates(kind: str, rate: int) -> None:
    clip = load_clip(with_soundfile(tone(0.2, rate), rate, kind))
    assert (clip.rate, len(clip.samples)) == (rate, round(0.2 * rate))


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_are_averaged(channels: int) -> None:
    frames = np.random.default_rng(channels).normal(0, 0.1, (4_000, channels)).astype("f4")
    for data in (
        with_soundfile(frames, RATE, "WAV", "FLOAT"),
        with_soundfile(frames, RATE, "FLAC", "PCM_24"),
    ):
        np.testing.assert_allclose(load_clip(data).samples, frames.mean(axis=1), atol=1e-6)
    assert load_clip(frames, rate=RATE) == load_clip(with_soundfile(frames, RATE, "WAV", "FLOAT"))


@pytest.mark.parametrize(
    ("muxer", "codec", "rate"), [("ipod", "aac", 44_100), ("webm", "libopus", 48_000)]
)
def test_channels_of_planar_and_packed_frames(muxer: str, codec: str, rate: int) -> None:
    left = tone(0.5, rate)
    data = with_pyav(np.stack([left, 0 * left], 1), rate, muxer, codec, "stereo")
    samples = load_clip(data).samples[4_000:-4_000]
    assert abs(np.abs(samples).max() - 0.15) < 0.015
    assert abs(frequency(samples, rate) - 440) < 1


@pytest.mark.parametrize("codec", ["alac", "flac", "pcm_s16le"])
def test_lossless_codecs_by_ffmpeg(codec: str) -> None:
    samples = tone(0.25, RATE)
    muxer = {"alac": "ipod", "flac": "matroska", "pcm_s16le": "matroska"}[codec]
    clip = load_clip(with_pyav(samples, RATE, muxer, codec))
    np.testing.assert_allclose(clip.samples[: len(samples)], samples, atol=2**-15)


@pytest.mark.parametrize(
    ("muxer", "codec", "layout", "channels"),
    [
        ("matroska", "flac", "5.1", 6),
        ("matroska", "flac", "7.1", 8),
        ("ipod", "alac", "7.1(wide)", 8),
    ],
)
def test_surround_sound(muxer: str, codec: str, layout: str, channels: int) -> None:
    """Frames of eight planes once ended the process: PyAV reads beyond their table."""
    frames = np.stack([tone(0.5, RATE, 300 + 100 * n) for n in range(channels)], 1)
    clip = load_clip(with_pyav(frames, RATE, muxer, codec, layout))
    np.testing.assert_allclose(clip.samples, frames.mean(axis=1), atol=2**-15)


def test_surround_sound_in_lossy_formats() -> None:
    frames = np.stack([tone(0.5, 44_100)] * 8, 1)
    for muxer in ("ipod", "adts"):
        clip = load_clip(with_pyav(frames, 44_100, muxer, "aac", "7.1"))
        assert abs(frequency(clip.samples[4_000:-4_000], 44_100) - 440) < 1


@pytest.mark.parametrize(
    "name",
    [
        "speech.mp3",
        "speech-vorbis.ogg",
        "speech-opus.ogg",
        "speech.m4a",
        "browser.webm",
        "browser.mp4",
    ],
)
def test_real_files_hold_the_same_speech(name: str) -> None:
    whole = load_clip(DATA / "speech.flac")
    piece = whole.resample(RATE)[4_000:12_000]
    clip = load_clip(DATA / name)
    samples = clip.resample(RATE)
    energy = correlate(samples.astype("f8") ** 2, np.ones(len(piece)), "valid", method="direct")
    match = correlate(samples, piece, "valid") / np.sqrt(energy.clip(1e-6))
    match /= np.linalg.norm(piece)
    assert match.max() > 0.95
    if name.startswith("speech"):
        assert abs(clip.seconds - whole.seconds) < 0.03
        assert abs(int(np.argmax(match)) - 4_000) < 0.002 * RATE  # no codec delay is left


def test_kind_comes_from_the_bytes_not_from_the_name(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp3"
    path.write_bytes(sample_file("flac"))
    assert load_clip(path).kind == "FLAC"
    tagged = b"ID3\x04\0\0\0\0\0\x05hello" + sample_file("flac")
    assert load_clip(tagged) == load_clip(path)


def test_a_stream_of_unknown_length_is_read() -> None:
    for name in ("wav_streamed_size", "flac_total_0"):
        assert load_clip(HOSTILE[name].data).seconds >= 0.2


def test_all_sources_give_the_same_clip(tmp_path: Path) -> None:
    data = sample_file("flac")
    path = tmp_path / "my clip.flac"
    path.write_bytes(data)
    clip = load_clip(data)
    with path.open("rb") as buffered, path.open("rb", buffering=0) as raw:
        sources = [path, str(path), bytearray(data), memoryview(data), io.BytesIO(data), clip]
        clips = [load_clip(source) for source in [*sources, buffered, raw]]  # type: ignore[arg-type]
    assert set(clips) == {clip}
    assert clips[0].name == clips[1].name == clips[-1].name == "my clip.flac"
    assert load_clip(path, name="../../etc/pass\nwd<b>.wav").name == "pass wd<b>.wav"
    assert load_clip(data, name="x" * 999).name == "x" * 120
    assert clip.name == "clip"


@pytest.mark.parametrize(
    ("dtype", "scale"), [("i1", 128), ("i2", 2**15), ("i4", 2**31), (">i2", 2**15), ("f2", 1)]
)
def test_arrays_are_scaled(dtype: str, scale: float) -> None:
    sound = (tone(0.2, RATE) * scale).astype(dtype)
    clip = load_clip(sound, rate=RATE)
    np.testing.assert_allclose(clip.samples, sound.astype("f8") / scale, atol=1e-7)
    unsigned = (tone(0.2, RATE) * 127 + 128).astype("u1")
    np.testing.assert_allclose(
        load_clip(unsigned, rate=RATE).samples, (unsigned.astype("f8") - 128) / 128
    )


def test_floats_beyond_full_scale_are_kept() -> None:
    loud = tone(0.2, RATE, peak=2.0)
    assert np.array_equal(load_clip(loud, rate=RATE).samples, loud)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(RATE, np.int64), "int64"),
        (np.zeros(RATE, np.uint16), "uint16"),
        (np.zeros(RATE, bool), "bool"),
        (np.zeros(RATE, complex), "complex128"),
        (np.array(["a"] * RATE), "not audio"),
        (np.array([None] * RATE), "not audio"),
        (np.array(3, np.float32), "shape"),
        (np.zeros((5, 5, 5), np.float32), "shape"),
        (np.zeros((2, RATE), np.float32), "Transpose"),
        (np.zeros((RATE, 9), np.float32), "9 channels"),
        (np.zeros((RATE, 0), np.float32), "no channels"),
        (np.zeros(0, np.float32), "no sound"),
        (np.zeros((0, 2), np.float32), "no sound"),
        (np.zeros(RATE, np.float32), "silent"),
        (np.full(RATE, np.nan), "NaN"),
        (np.full(RATE, 1e300), "NaN or infinite"),
        (tone(1, RATE) * 20_000, "Divide by 32768"),
        (np.stack([tone(1, RATE), -tone(1, RATE)], 1), "silent"),
    ],
)
def test_arrays_that_are_not_sound(array: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        load_clip(array, rate=RATE)


@pytest.mark.parametrize("rate", [None, 0, -1, 3_999, 192_001, 16_000.5, math.nan, math.inf, "16"])
def test_rates_that_are_none(rate: object) -> None:
    with pytest.raises(AudioError, match="rate"):
        load_clip(tone(1, RATE), rate=rate)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="rate is for arrays"):
        load_clip(sample_file("wav"), rate=RATE)


class _Reader:
    """A file object that gives what it is told to give."""

    def __init__(self, result: object) -> None:
        self.result = result

    def read(self, size: int = -1) -> object:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    closed = io.BytesIO(b"x")
    closed.close()
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    cases: list[tuple[object, str]] = [
        (tmp_path / "none.wav", "There is no file"),
        (tmp_path, "is a folder"),
        (fifo, "not an ordinary file"),
        ("/dev/zero", "not an ordinary file"),
        ("a\0b.wav", "not valid"),
        ("x" * 5_000, "cannot be read"),
        ("https://example.org/a.wav", "Addresses are not fetched"),
        (tmp_path / "none.wav" / "..", "There is no file"),
        (None, "NoneType"),
        (3, "int"),
        ([0.1, 0.2], "list"),
        (io.StringIO("text"), "binary mode"),
        (closed, "cannot be read"),
        (_Reader(None), "no bytes"),
        (_Reader(RuntimeError("device lost")), "device lost"),
        (_Reader(bytes(1 << 20)), "larger than 25 MiB"),
        ("", "folder|no file"),
    ]
    for source, message in cases:
        with pytest.raises(AudioError, match=message):
            load_clip(source)  # type: ignore[arg-type]
    large = tmp_path / "large.wav"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(AudioError, match="larger than 25 MiB"):
        load_clip(large)


def test_errors_are_of_one_family() -> None:
    assert issubclass(AudioError, ModgapError)

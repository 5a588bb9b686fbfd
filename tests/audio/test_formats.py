"""Kinds of files: each is read, or named; one list says which."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from modgap.audio.clip import load_clip
from modgap.audio.formats import FORMATS as IN_WORDS
from modgap.audio.formats import KINDS, SUFFIXES, sniff
from modgap.core.errors import AudioError
from tests.audio.test_joined import mp3, piece
from tests.crafted import ogg_page, wav
from tests.encode import tone, with_pyav, with_soundfile

RATE = 16_000
PLAIN = {"PCM_S8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-22, "PCM_32": 2**-23, "FLOAT": 0,
         "DOUBLE": 0, "ULAW": 0.02, "ALAW": 0.02}  # fmt: skip


@pytest.mark.parametrize("form", ["AIFF", "AU", "CAF", "W64", "NIST"])
@pytest.mark.parametrize("subtype", PLAIN)
def test_plain_samples_in_every_form(form: str, subtype: str) -> None:
    import soundfile as sf

    if not sf.check_format(form, subtype):
        pytest.skip(f"libsndfile writes no {subtype} in {form}")
    frames = np.stack([tone(0.3, RATE, peak=0.8), tone(0.3, RATE, 700)], 1)
    data = with_soundfile(frames, RATE, form, subtype)
    clip = load_clip(data)
    np.testing.assert_allclose(clip.samples, frames.mean(1), rtol=0, atol=PLAIN[subtype] + 1e-7)
    assert (clip.rate, clip.kind) == (RATE, form)
    with pytest.raises(AudioError, match="breaks off"):
        load_clip(data[: len(data) // 2])


def test_samples_with_the_high_byte_first() -> None:
    samples = tone(0.3, RATE)
    little = with_soundfile(samples, RATE, "WAV", "PCM_16")
    import soundfile as sf

    out = io.BytesIO()
    sf.write(out, samples, RATE, format="WAV", subtype="PCM_16", endian="BIG")
    assert out.getvalue().startswith(b"RIFX")
    assert load_clip(out.getvalue()) == load_clip(little)
    with pytest.raises(AudioError, match="breaks off"):
        load_clip(out.getvalue()[:5_000])


@pytest.mark.parametrize("name", ["RF64", "BW64"])
def test_wav_with_long_sizes(name: str) -> None:
    data = with_soundfile(tone(0.3, RATE), RATE, "RF64", "PCM_16")
    data = name.encode() + data[4:]
    assert load_clip(data) == load_clip(with_soundfile(tone(0.3, RATE), RATE, "WAV", "PCM_16"))
    with pytest.raises(AudioError, match="breaks off"):
        load_clip(data[:-1_000])


@pytest.mark.parametrize(
    ("muxer", "codec", "rate"),
    [
        ("wav", "adpcm_yamaha", RATE),
        ("wav", "adpcm_ms", RATE),
        ("wav", "adpcm_ima_wav", RATE),
        ("wav", "adpcm_g726", 8_000),
        ("wav", "g722", RATE),
        ("wav", "pcm_alaw", 8_000),
        ("wav", "libmp3lame", RATE),
        ("mov", "adpcm_ima_qt", RATE),
        ("mov", "pcm_s24be", RATE),
        ("mov", "pcm_mulaw", RATE),
        ("caf", "adpcm_ima_qt", RATE),
        ("caf", "alac", RATE),
        ("aiff", "pcm_mulaw", 8_000),
        ("au", "pcm_alaw", 8_000),
        ("ogg", "flac", RATE),
        ("amr", "libopencore_amrnb", 8_000),
        ("3gp", "libopencore_amrnb", 8_000),
        ("matroska", "pcm_f32le", RATE),
    ],
)
def test_codings_that_ffmpeg_knows(muxer: str, codec: str, rate: int) -> None:
    samples = tone(1.0, rate, 440)
    try:
        data = with_pyav(samples, rate, muxer, codec)
    except Exception as problem:  # this build has no such encoder
        pytest.skip(f"{codec} in {muxer} cannot be written here: {problem}")
    clip = load_clip(data)
    assert clip.rate == rate
    assert abs(clip.seconds - 1.0) < 0.1
    middle = clip.samples[rate // 4 : 3 * rate // 4]
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(int(np.argmax(power)) * rate / len(middle) - 440) < 4


def test_telephone_codings_by_libsndfile() -> None:
    for form in ("WAV", "AIFF", "W64"):
        data = with_soundfile(tone(0.5, 8_000), 8_000, form, "GSM610")
        assert abs(load_clip(data).seconds - 0.5) < 0.1
    for subtype in ("IMA_ADPCM", "MS_ADPCM"):
        for form in ("WAV", "W64"):
            data = with_soundfile(tone(0.5, 8_000), 8_000, form, subtype)
            assert abs(load_clip(data).seconds - 0.5) < 0.1


def test_speex() -> None:
    """No encoder is at hand: narrow-band frames that ask for silence and one that has noise."""
    head = b"Speex   " + b"1.2".ljust(20, b"\0")
    head += struct.pack("<13i", 1, 80, 8_000, 0, 4, 1, -1, 160, 0, 1, 0, 0, 0)
    frames = [
        bytes([0x1D, 0x9D, 0x66] + [(37 * i + n) & 255 for n in range(17)]) for i in range(50)
    ]
    pages = [
        ogg_page([head], number=0, granule=0, flags=2),
        ogg_page([struct.pack("<I", 0) * 2], number=1, granule=0),
        ogg_page(frames, number=2, granule=160 * len(frames), flags=4),
    ]
    clip = load_clip(b"".join(pages))
    assert (clip.kind, clip.rate) == ("OGG", 8_000)
    assert abs(clip.seconds - 1.0) < 0.03


@pytest.mark.parametrize("cut", [1, 7, 30, 100])
def test_mp3_that_begins_before_a_frame(cut: int) -> None:
    data = mp3(1.0, header=False)
    clip = load_clip(data[cut:])
    assert clip.kind == "MP3"
    assert abs(clip.seconds - load_clip(data).seconds) < 0.06


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "vorbis", "m4a", "aiff", "aac"])
def test_zeros_in_front(kind: str) -> None:
    data = piece(kind, 0.5)
    assert load_clip(bytes(777) + data) == load_clip(data)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "Windows Media"),
        (b"RIFF\x10\0\0\0AVI LIST", "AVI"),
        (b"MThd\0\0\0\x06", "MIDI"),
        (b"wvpk" + bytes(40), "WavPack"),
        (b"MAC \x96\x0f", "Monkey"),
        (b"FLV\x01\x04", "Flash"),
        (b"\x00\x00\x01\xba", "MPEG programme"),
        ((b"\x47" + bytes(187)) * 4, "MPEG transport"),
        (b"Creative Voice File\x1a", "VOC"),
    ],
)
def test_other_formats_are_named(data: bytes, name: str) -> None:
    with pytest.raises(AudioError, match=name) as problem:
        load_clip(data + bytes(500))
    assert IN_WORDS in str(problem.value)


def test_the_list_of_kinds_is_that_of_what_is_read() -> None:
    made = {
        "WAV": wav(),
        "OGG": piece("opus", 0.5),
        "M4A": piece("m4a", 0.5),
        **{
            kind: piece(kind.lower(), 0.5)
            for kind in ("FLAC", "MP3", "AAC", "WebM", "AIFF", "CAF", "W64", "AU", "NIST", "AMR")
        },
    }
    assert set(made) == set(KINDS)
    for kind, data in made.items():
        assert sniff(data) == load_clip(data).kind == kind
        assert KINDS[kind].label.split("/")[0] in IN_WORDS
    assert len(set(SUFFIXES)) == len(SUFFIXES)
    assert {"oga", "mov", "aiff", "aif", "caf", "opus", "wave", "weba", "3gp"} <= set(SUFFIXES)
    assert all(suffix.isalnum() and suffix == suffix.lower() for suffix in SUFFIXES)

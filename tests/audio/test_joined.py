"""Files that hold more than their first part: all of it is read, or it is said where it ends."""

from __future__ import annotations

import io
import itertools
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modgap.audio.clip import load_clip
from modgap.audio.frames import mp3_frame
from modgap.core.errors import AudioError
from tests.crafted import atom, flac_with, patched, wav
from tests.encode import FORMATS, sample_file, tone, with_pyav, with_soundfile

RATE = 16_000
ID3 = b"ID3\x04\0\0\0\0\x02\0" + b"TIT2" + bytes(252)
ID3V1 = b"TAG" + b"name".ljust(125, b"\0")
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32 + 20, 1, 0xA000_0000) + bytes(8) + b"x" * 52
JOINABLE = (*(kind for kind in FORMATS if kind != "aac"), "aiff", "caf", "w64", "au", "nist", "amr")


@cache
def piece(kind: str, seconds: float, hz: float = 440.0) -> bytes:
    """A tone in a kind of file, of `FORMATS` or beyond."""
    if kind in FORMATS:
        return sample_file(kind, seconds, hz)
    if kind == "amr":
        return with_pyav(tone(seconds, 8_000, hz), 8_000, "amr", "libopencore_amrnb")
    return with_soundfile(tone(seconds, RATE, hz), RATE, kind.upper(), "PCM_16")


@pytest.mark.parametrize("kind", JOINABLE)
def test_files_that_were_joined_are_read_to_the_end(kind: str) -> None:
    first, second = piece(kind, 0.5), piece(kind, 0.8, 700.0)
    one, two = load_clip(first), load_clip(second)
    both = load_clip(first + second)
    assert np.array_equal(both.samples, np.concatenate([one.samples, two.samples]))
    assert both.rate == one.rate
    assert "2 recordings" in both.notes[0]
    assert one.notes == ()
    assert load_clip(first + second, end=one.seconds) == one


@given(
    kind=st.sampled_from(JOINABLE),
    seconds=st.lists(st.sampled_from([0.15, 0.3, 0.45]), min_size=2, max_size=4),
    between=st.sampled_from([b"", ID3V1, ID3, bytes(1_000), ID3V1 + ID3]),
)
@settings(max_examples=60, deadline=None)
def test_samples_of_joined_files_are_those_of_each(
    kind: str, seconds: list[float], between: bytes
) -> None:
    pieces = [piece(kind, each) for each in seconds]
    if kind == "amr" and between[:1] != b"I":  # a zero byte is a frame of AMR
        between = b""
    if kind in ("nist", "amr"):  # that do not say where they end
        between = b""
    whole = load_clip(between.join(pieces))
    assert len(whole.samples) == sum(len(load_clip(data).samples) for data in pieces)


@pytest.mark.parametrize("kind", ["wav", "flac", "vorbis", "opus", "mp3", "aiff", "caf", "w64"])
def test_a_part_that_is_cut_is_refused_wherever_it_stands(kind: str) -> None:
    whole = piece(kind, 0.5)
    for data in (whole + whole[: len(whole) // 2], whole[: len(whole) // 2] + whole):
        with pytest.raises(AudioError):
            load_clip(data)


@pytest.mark.parametrize("kind", ["wav", "flac", "vorbis", "mp3", "aiff"])
def test_joined_at_another_rate(kind: str) -> None:
    subtype = "VORBIS" if kind == "vorbis" else None
    form = "OGG" if kind == "vorbis" else kind.upper()
    one = with_soundfile(tone(0.5, 16_000), 16_000, form, subtype)
    two = with_soundfile(tone(0.5, 8_000), 8_000, form, subtype)
    with pytest.raises(AudioError, match=r"rate at 0\.5. s, from 16000 to 8000 Hz.*end at 0\.5"):
        load_clip(one + two)
    assert load_clip(one + two, end=0.5).seconds == 0.5


def test_joined_with_another_number_of_channels() -> None:
    one, sound = tone(0.5, RATE), tone(0.5, RATE, 700)
    two = np.stack([sound, 0 * sound], 1)
    for form, subtype in (("WAV", "FLOAT"), ("FLAC", "PCM_24")):
        data = b"".join(with_soundfile(x, RATE, form, subtype) for x in (one, two, one))
        clip = load_clip(data)
        np.testing.assert_allclose(clip.samples, np.concatenate([one, sound / 2, one]), atol=1e-6)
        assert clip.channels == 2
    with pytest.raises(AudioError, match="no channel 2: the clip has one channel"):
        load_clip(data, channel=2)


def test_different_kinds_in_one_file() -> None:
    whole = {kind: piece(kind, 0.5) for kind in ("flac", "wav", "mp3", "vorbis")}
    for one, two in itertools.permutations(whole, 2):
        if (one, two) != ("flac", "mp3"):  # a FLAC does not say where it ends
            assert load_clip(whole[one] + whole[two]).seconds == 1.0, (one, two)


# ---- MP3: headers that count, tags that are no sound ---------------------------------------------


def mp3(seconds: float, *, header: bool = True, rate: int = 22_050) -> bytes:
    """An MP3 of variable bit rate, with its Xing header or without."""
    data = with_soundfile(
        tone(seconds, rate) + np.random.default_rng(0).normal(0, 0.05, round(seconds * rate)),
        rate, "MP3",
    )  # fmt: skip
    found = mp3_frame(data, 0)
    assert found is not None
    return data if header else data[found.length :]


def frames_in(data: bytes) -> int:
    at = count = 0
    while (found := mp3_frame(data, at)) and at + found.length <= len(data):
        at, count = at + found.length, count + 1
    return count


def test_a_variable_mp3_without_a_header_is_read_whole() -> None:
    """libsndfile guesses its length from the first frame and would stop there."""
    data = mp3(2.0, header=False)
    clip = load_clip(data)
    assert len(clip.samples) == 576 * frames_in(data)
    assert len(load_clip(mp3(2.0)).samples) == 44_100


def test_frames_beyond_those_that_an_mp3_header_counts_are_read() -> None:
    first, second = mp3(1.0), mp3(1.0, header=False)
    clip = load_clip(first + second)
    assert len(clip.samples) == len(load_clip(first).samples) + 576 * frames_in(second)
    assert load_clip(second + first).seconds > 2.0
    length = len(first) // frames_in(first)
    for frames in range(1, 8):
        few = second[: length * frames]
        clip = load_clip(first + few)
        assert len(clip.samples) >= 22_050 + 576 * (frames_in(few) - 1)


@pytest.mark.parametrize(
    "behind", [ID3V1, APE, APE + ID3V1, bytes(5_000), b"LYRICSBEGINwords000005LYRICS200" + ID3V1]
)
def test_tags_are_no_sound(behind: bytes) -> None:
    for kind in ("mp3", "flac", "wav", "vorbis"):
        data = piece(kind, 0.5)
        clip = load_clip(data + behind)
        assert clip == load_clip(data)
        assert clip.notes == ()


@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_tags_and_junk_inside_an_mp3(layout: str) -> None:
    sound = tone(1.0, 44_100)
    sound = sound if layout == "mono" else np.stack([sound, sound], 1)
    data = with_pyav(sound, 44_100, "mp3", "libmp3lame", layout)
    whole = load_clip(data)
    assert load_clip(data + ID3 + data).seconds == pytest.approx(2 * whole.seconds, abs=0.001)
    for junk in (b"\x01junk" * 40, b"\x01junk" * 4_000):  # at the longer one mpg123 gives up
        for joined in (data + junk + data, data[len(data) // 2 :] + junk + data[len(data) // 2 :]):
            assert load_clip(joined).seconds == pytest.approx(
                2 * whole.seconds * (1 if joined.startswith(data) else 0.5), abs=0.15
            )


# ---- plain samples: what follows the sound chunk -------------------------------------------------


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


@pytest.mark.parametrize(
    "behind",
    [
        chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 6) + b"Lavf6\0"),
        chunk(b"bext", bytes(602)) + chunk(b"iXML", b"<x/>" * 3_000),
        chunk(b"id3 ", ID3),
        b"\r\n--boundary--\r\n",
        b"",
    ],
)
@pytest.mark.parametrize("odd", [False, True])
def test_chunks_behind_the_sound_are_no_sound(behind: bytes, odd: bool) -> None:
    sound = (tone(0.2, RATE) * 100 + 128).astype("u1").tobytes()
    sound = sound[: len(sound) - odd]
    data = wav(sound, bits=8)
    assert len(load_clip(data + bytes(odd) + behind).samples) == len(sound)
    assert len(load_clip(data + behind).samples) == len(sound)  # not padded, as many write it


def test_sound_that_a_header_does_not_count_is_refused_with_its_place() -> None:
    sound = (tone(2.0, RATE) * 32767).astype("<i2").tobytes()
    data = wav(sound, size=len(sound) // 4)
    with pytest.raises(AudioError, match=r"goes on behind the 0\.50 s.*bytes.*0\.50 s or"):
        load_clip(data)
    assert len(load_clip(data, end=0.5).samples) == RATE // 2
    with pytest.raises(AudioError, match="goes on behind"):
        load_clip(data, end=1.0)
    again = wav(sound) + chunk(b"data", sound)
    with pytest.raises(AudioError, match=r"goes on behind the 2\.00 s.*second part"):
        load_clip(again)


def test_flac_frames_beyond_those_that_its_header_counts_are_read() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 40_000).astype("f4")
    data = with_soundfile(sound, RATE, "FLAC", "PCM_16")
    clip = load_clip(flac_with(data, rate=RATE, total=8_192))
    assert clip == load_clip(data)


def test_what_stands_in_front_of_a_flac_may_hold_a_flac() -> None:
    data, inner = piece("flac", 0.5), piece("flac", 0.3)
    picture = b"\x02" + (4 + len(inner)).to_bytes(3, "big") + b"test" + inner
    first = data[:4] + data[4:42]
    assert load_clip(first + picture + data[42:]) == load_clip(data)


def test_two_indexes_in_one_mp4() -> None:
    data = sample_file("m4a")
    ftyp = int.from_bytes(data[:4], "big")
    with pytest.raises(AudioError, match=r"goes on behind the .* second recording"):
        load_clip(data + data[ftyp:])


# ---- sizes that stand for "not known" ------------------------------------------------------------

SIZES = [
    0, 0xFFFF_FFFF, 0xFFFF_FFFF - 36, 0x7FFF_FFFF, 0x7FFF_F000, 0x7FFF_FFFF - 44, 1 << 31, 1 << 30,
    2_000_000_000, 1_000_000_000, 2_000_000_000 - 36, 0x0FFF_FFFF, 100_000_000,
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_sizes_of_streaming_programs(size: int) -> None:
    for tag, align, sound in ((1, 2, "<i2"), (3, 4, "<f4")):
        scale = 32_767 if tag == 1 else 1
        samples = (tone(0.3, RATE) * scale).astype(sound)
        data = wav(samples.tobytes(), tag=tag, bits=8 * align, size=size)
        clip = load_clip(data)
        assert len(clip.samples) == len(samples)
        both = load_clip(data + data)
        assert np.array_equal(both.samples, np.concatenate([clip.samples] * 2))


@pytest.mark.parametrize("size", [31_994, 5_000_002, 31_234_566, 712_345_678])
def test_sizes_of_files_that_break_off(size: int) -> None:
    with pytest.raises(AudioError, match="breaks off"):
        load_clip(wav(size=size))


def test_an_empty_sound_chunk_before_others_is_empty() -> None:
    with pytest.raises(AudioError, match="empty behind its header"):
        load_clip(wav(b"") + chunk(b"LIST", b"INFO"))


@pytest.mark.parametrize("form", ["aiff", "caf", "w64", "au", "rf64"])
def test_unknown_sizes_in_other_forms(form: str) -> None:
    data = piece(form, 0.4)
    places: dict[str, tuple[int, list[bytes]]] = {
        "aiff": (data.find(b"SSND") + 4, [bytes(4), b"\x7f\0\0\x08", b"\xff" * 4]),
        "caf": (data.find(b"data") + 4, [b"\xff" * 8, bytes(8)]),
        "w64": (data.find(b"data\xf3") + 16, [b"\xff" * 7 + b"\x7f", b"\xff" * 8]),
        "au": (8, [b"\xff" * 4, bytes(4)]),
        "rf64": (data.find(b"ds64") + 16, [b"\xff" * 8, bytes(8)]),
    }
    at, values = places[form]
    for value in values:
        assert load_clip(patched(data, at, value)) == load_clip(data)


# ---- Ogg -----------------------------------------------------------------------------------------


def test_two_tracks_of_an_ogg_file_are_told() -> None:
    def pages(data: bytes) -> list[bytes]:
        return [b"OggS" + page for page in data.split(b"OggS")[1:]]

    one, two = pages(piece("vorbis", 0.5)), pages(piece("vorbis", 0.5, 700.0))
    data = b"".join([one[0], two[0], *one[1:], *two[1:]])
    clip = load_clip(data)
    assert clip == load_clip(piece("vorbis", 0.5))
    assert clip.notes == ("The file has 2 sound tracks, of which number 1 is read.",)


@pytest.mark.parametrize("kind", ["vorbis", "opus"])
def test_a_damaged_page_is_told(kind: str) -> None:
    """Decoders leave a page out whose checksum is wrong, and say nothing."""
    data = piece(kind, 3.0)
    at = data.rfind(b"OggS", 0, data.rfind(b"OggS"))
    with pytest.raises(AudioError, match="damaged"):
        load_clip(patched(data, at + 200, bytes([data[at + 200] ^ 1])))


@pytest.mark.parametrize("field", [0, 8_000, 16_000, 44_100, 48_000, 192_000])
def test_opus_is_48_khz_whatever_its_header_says_of_what_was_encoded(field: int) -> None:
    sound = tone(0.5, 48_000, 440) + tone(0.5, 48_000, 9_000)
    data = with_soundfile(sound, 48_000, "OGG", "OPUS")
    head = data.find(b"OpusHead")
    page = bytearray(data[: data.find(b"OggS", 4)])
    page[head + 12 : head + 16] = struct.pack("<I", field)
    page[22:26] = bytes(4)
    from modgap.audio.ogg import checksum

    page[22:26] = struct.pack("<I", checksum(page))
    clip = load_clip(bytes(page) + data[len(page) :])
    assert clip.rate == 48_000
    assert clip == load_clip(data)
    power = np.abs(np.fft.rfft(clip.samples[4_000:20_000]))
    assert power[3_000] > 100  # the tone at 9 kHz


# ---- MP4 and Matroska: tracks --------------------------------------------------------------------


def tracks(muxer: str, codecs: list[str], *, video: bool = False) -> bytes:
    """Tracks of 300, 400, ... Hz, behind a video where that is asked for."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=muxer) as file:
        streams: list[Any] = []
        if video:
            picture: Any = file.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 32
            picture.pix_fmt = "yuv420p"
        for codec in codecs:
            stream: Any = file.add_stream(codec, rate=48_000)
            stream.layout = "mono"
            streams.append(stream)
        if video:
            black = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), format="yuv420p")
            file.mux([*picture.encode(black), *picture.encode(None)])
        for n, stream in enumerate(streams):
            sound = tone(0.5, 48_000, 300 + 100 * n).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(sound, format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48_000, 0
            file.mux([*stream.encode(frame), *stream.encode(None)])
    return out.getvalue()


def strongest(samples: np.ndarray, rate: int) -> float:
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return (
        float(np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))))) * rate / len(middle)
    )


@pytest.mark.parametrize("muxer", ["mov", "matroska"])
def test_which_of_several_tracks_is_read(muxer: str) -> None:
    clip = load_clip(tracks(muxer, ["aac", "aac"]))
    assert abs(strongest(clip.samples, clip.rate) - 300) < 10
    assert clip.notes == ("The file has 2 sound tracks, of which number 1 is read.",)
    clip = load_clip(tracks(muxer, ["ac3", "aac"]))
    assert abs(strongest(clip.samples, clip.rate) - 400) < 10
    assert "number 2" in clip.notes[0]
    assert load_clip(tracks(muxer, ["aac"], video=True)).notes == ()


def test_quicktime_with_plain_samples_is_read_beyond_two_million() -> None:
    sound = np.zeros(2_100_000, np.float32)
    sound[-48_000:] = tone(1, 48_000)
    clip = load_clip(with_pyav(sound, 48_000, "mov", "pcm_s16le"))
    np.testing.assert_allclose(clip.samples, sound, atol=2**-15)


def test_quicktime_without_its_type() -> None:
    data = with_pyav(tone(0.5, 48_000), 48_000, "mov", "aac")
    at, classic = 0, b""
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        # What `ftyp` takes stays as room, so that the places in the index stay right.
        name = data[at + 4 : at + 8]
        classic += atom(b"free", bytes(size - 8)) if name == b"ftyp" else data[at : at + size]
        at += size
    assert load_clip(classic) == load_clip(data)
    assert load_clip(classic).kind == "M4A"


def test_fragments_of_an_mp4_are_one_recording() -> None:
    data = (Path(__file__).parents[1] / "data" / "browser.mp4").read_bytes()
    clip = load_clip(data)
    assert clip.notes == ()
    assert clip.seconds > 4

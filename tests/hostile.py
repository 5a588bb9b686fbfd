"""Malformed and hostile audio files, made in memory, for library, command line and page.

`HOSTILE` maps a name to the bytes, the suffix such a file would come with, and a piece of the
message it must be refused with; None where an error and a valid clip are both right.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from dataclasses import dataclass
from functools import cache

import numpy as np

from tests.crafted import atom, flac_with, float_wav, nested, ogg_opus, ogg_page, patched, wav
from tests.encode import sample_file, tone, video_only, with_pyav, with_soundfile

NOT_AUDIO = "not an audio file"
BREAKS_OFF = "breaks off"
TOO_LONG = "longer than 600 s"


@dataclass(frozen=True)
class Hostile:
    """One input: `expect` is a substring of the error, None if valid audio is fine too."""

    data: bytes
    suffix: str
    expect: str | None


def _not_audio() -> dict[str, Hostile]:
    random = np.random.default_rng(0)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("clip.wav", bytes(100_000))
    png = b"\x89PNG\r\n\x1a\n" + atom(b"IHDR", bytes(13)) + bytes(200)
    playlist = b"ffconcat version 1.0\nfile '/etc/hostname'\n"
    hls = b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.aac\n#EXT-X-ENDLIST\n"
    return {
        "empty": Hostile(b"", ".wav", "is empty"),
        "one_byte": Hostile(b"R", ".wav", NOT_AUDIO),
        "text": Hostile(b"This is a transcript, not a recording.\n" * 50, ".wav", NOT_AUDIO),
        "html": Hostile(b"<!doctype html><script>alert(1)</script>", ".mp3", NOT_AUDIO),
        "json": Hostile(b'{"audio": null}', ".flac", NOT_AUDIO),
        "zip": Hostile(archive.getvalue(), ".wav", NOT_AUDIO),
        "gzip": Hostile(gzip.compress(wav(), mtime=0), ".wav", NOT_AUDIO),
        "png": Hostile(png, ".ogg", NOT_AUDIO),
        "pdf": Hostile(b"%PDF-1.7\n" + bytes(500), ".m4a", NOT_AUDIO),
        "zeros": Hostile(bytes(10_000), ".wav", NOT_AUDIO),
        "random": Hostile(b"\x01" + random.bytes(9_999), ".webm", NOT_AUDIO),
        "playlist_of_local_files": Hostile(playlist, ".m4a", NOT_AUDIO),
        "playlist_of_addresses": Hostile(hls, ".aac", NOT_AUDIO),
        "too_large": Hostile(wav().ljust((25 << 20) + 1, b"\0"), ".wav", "larger than 25 MiB"),
    }


def _wavs() -> dict[str, Hostile]:
    sound, second = tone(0.2, 16_000), np.zeros(16_000)
    nan, inf = sound.copy(), sound.copy()
    nan[100], inf[100] = np.nan, -np.inf
    junk = b"LIST" + struct.pack("<I", 0)
    deep = b"".join(b"LIST" + struct.pack("<I", 4000 - 12 * i) + b"INFO" for i in range(300))
    long64 = patched(wav(before=b"ds64" + struct.pack("<IQQQI", 28, 9, 1 << 40, 9, 0)), 0, b"RF64")
    long64 = patched(long64, long64.find(b"data") + 4, b"\xff" * 4)
    fmt_at = 16
    cases: dict[str, tuple[bytes, str | None]] = {
        "wav_riff_only": (b"RIFF\x10\0\0\0", NOT_AUDIO),
        "wav_header_only": (wav()[:36], BREAKS_OFF),
        "wav_truncated": (wav()[:3_000], BREAKS_OFF),
        "wav_truncated_in_header": (wav()[:20], BREAKS_OFF),
        "wav_promises_1_gib": (wav(size=1 << 30), None),  # what streaming programs write
        "wav_promises_700_mb": (wav(size=712_345_678), BREAKS_OFF),
        "wav_rf64_promises_1_tib": (long64, BREAKS_OFF),
        "wav_streamed_size": (wav(size=0xFFFFFFFF), None),
        "wav_huge_fmt": (patched(wav(), fmt_at, struct.pack("<I", 0xFFFFFFF0)), BREAKS_OFF),
        "wav_no_channels": (wav(channels=0, align=2), "no channels"),
        "wav_64_channels": (wav(sound.tobytes() * 4, channels=64), "64 channels"),
        "wav_65535_channels": (wav(channels=65_535), None),
        "wav_rate_0": (wav(rate=0), "0 Hz"),
        "wav_rate_1": (wav(rate=1), "1 Hz"),
        "wav_rate_4_ghz": (wav(rate=0xFFFFFFFF), None),
        "wav_rate_2_ghz": (wav(rate=2_000_000_000), "2000000000 Hz"),
        "wav_unknown_codec": (wav(tag=0x4242), "could not be decoded"),
        "wav_0_bits": (wav(bits=0, align=0), None),
        "wav_block_of_0": (wav(align=0), None),
        "wav_no_samples": (wav(b""), "empty behind its header"),
        "wav_one_sample": (wav(b"\x00\x40"), "shorter than"),
        "wav_50_ms": (wav(data=(tone(0.05, 16_000) * 9e3).astype("<i2").tobytes()), "shorter than"),
        "wav_silence": (wav(bytes(32_000)), "silent"),
        "wav_constant": (float_wav((second + 0.5).astype("<f4")), "silent"),
        "wav_below_100_dbfs": (float_wav((sound * 1e-5).astype("<f4")), "silent"),
        "wav_nan": (float_wav(nan), "NaN or infinite"),
        "wav_inf": (float_wav(inf), "NaN or infinite"),
        "wav_float64_overflow": (float_wav(sound.astype("<f8") * 1e200), "NaN or infinite"),
        "wav_unscaled": (float_wav((sound * 32768).astype("<f4")), "Divide by 32768"),
        "wav_junk_chunks": (wav(before=junk * 50_000), None),
        "wav_million_chunks": (wav(before=junk * 1_000_000), None),
        "wav_nested_lists": (wav(before=deep), None),
        "wav_html_behind": (b"RIFF\0\0\0\0WAVE<html>" + b"x" * 99, BREAKS_OFF),
        "wav_two_fmt": (wav(before=b"fmt " + struct.pack("<I", 16) + bytes(16)), "no channels"),
    }
    return {name: Hostile(data, ".wav", expect) for name, (data, expect) in cases.items()}


def _flac_mp3_ogg() -> dict[str, Hostile]:
    flac, mp3 = sample_file("flac"), sample_file("mp3")
    vorbis, opus = sample_file("vorbis"), sample_file("opus")
    rng = np.random.default_rng(1)
    bomb = with_soundfile(np.zeros(7_200 * 4_000, np.int16), 4_000, "FLAC", "PCM_16")
    middle = len(flac) // 2
    silent_frame = b"\xff\xe3\x18\xc0" + bytes(68)  # MPEG 2.5, 8 kHz, 72 ms
    loud = flac_with(flac, rate=22_050, total=0)
    flacs: dict[str, tuple[bytes, str | None]] = {
        "flac_truncated": (flac[:middle], BREAKS_OFF),
        "flac_header_only": (flac[:42], None),
        "flac_magic_only": (b"fLaC", "could not be decoded"),
        "flac_promises_2_36": (flac_with(flac, rate=22_050, total=(1 << 36) - 1), BREAKS_OFF),
        "flac_total_0": (loud, None),
        "flac_total_0_truncated": (loud[:middle], None),
        "flac_rate_0": (flac_with(flac, rate=0, total=11_025), None),
        "flac_wrong_channels": (flac_with(flac, rate=22_050, channels=8, total=11_025), None),
        "flac_damaged": (patched(flac, middle, rng.bytes(400)), None),
        "flac_2_h_of_silence": (bomb, TOO_LONG),
        "flac_huge_picture": (patched(flac, 42, b"\x06\xff\xff\xff"), None),
    }
    oggs: dict[str, tuple[bytes, str | None]] = {
        "ogg_truncated": (vorbis[: len(vorbis) - 500], BREAKS_OFF),
        "ogg_opus_truncated": (opus[: len(opus) - 500], BREAKS_OFF),
        "ogg_magic_only": (b"OggS", BREAKS_OFF),
        "ogg_headers_only": (vorbis[:58], None),
        "ogg_without_audio": (
            ogg_page([b"fishead\0" + bytes(56)], number=0, granule=0, flags=6),
            "could not be decoded",
        ),
        "ogg_random_pages": (
            b"".join(
                ogg_page([rng.bytes(200)] * 9, number=i, granule=i, flags=2 * (i == 0))
                for i in range(20)
            ),
            "could not be decoded",
        ),
        "ogg_wrong_checksum": (patched(vorbis, len(vorbis) // 2, rng.bytes(50)), None),
        "ogg_opus_no_channels": (ogg_opus(50, channels=0), "could not be decoded"),
        "ogg_opus_255_channels": (ogg_opus(50, channels=255, family=255), None),
        "ogg_opus_2_h_of_silence": (ogg_opus(60_000), TOO_LONG),
        "ogg_opus_silence": (ogg_opus(50), "silent"),
        "ogg_100000_empty_pages": (
            vorbis[:58] + ogg_page([], number=1, granule=0) * 100_000,
            None,
        ),
    }
    mp3s: dict[str, tuple[bytes, str | None]] = {
        "mp3_truncated": (mp3[: len(mp3) // 2], BREAKS_OFF),
        "mp3_id3_only": (b"ID3\x04\0\0\0\0\x02\0" + bytes(256), "only an ID3 tag"),
        "mp3_id3_promises_256_mib": (b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + mp3, "only an ID3 tag"),
        "mp3_one_header": (b"\xff\xfb\x90\x00", "could not be decoded"),
        "mp3_random": (b"\xff\xfb\x90\x00" + rng.bytes(5_000), None),
        "mp3_11_min_of_silence": (silent_frame * 9_200, TOO_LONG),
        "mp3_silence": (silent_frame * 20, "silent"),
        "mp3_only_ff": (b"\xff" * 20_000, None),
    }
    return {
        **{name: Hostile(data, ".flac", expect) for name, (data, expect) in flacs.items()},
        **{name: Hostile(data, ".ogg", expect) for name, (data, expect) in oggs.items()},
        **{name: Hostile(data, ".mp3", expect) for name, (data, expect) in mp3s.items()},
    }


def _phones_and_browsers() -> dict[str, Hostile]:
    m4a, webm, aac = sample_file("m4a"), sample_file("webm"), sample_file("aac")
    rng = np.random.default_rng(2)
    ftyp = atom(b"ftyp", b"M4A \0\0\2\0isomiso2")
    stsz, stco, mdhd = m4a.find(b"stsz"), m4a.find(b"stco"), m4a.find(b"mdhd")
    mdat = m4a.find(b"mdat")
    cluster = webm.find(b"\x1f\x43\xb6\x75")
    ebml = webm[: webm.find(b"\x18\x53\x80\x67")]
    m4as: dict[str, tuple[bytes, str | None]] = {
        "mp4_type_only": (ftyp, BREAKS_OFF),
        "mp4_truncated": (m4a[: len(m4a) // 2], BREAKS_OFF),
        "mp4_index_cut": (m4a[:-40], BREAKS_OFF),
        "mp4_without_index": (ftyp + atom(b"mdat", rng.bytes(3_000)), BREAKS_OFF),
        "mp4_atom_of_4_bytes": (ftyp + atom(b"moov", bytes(50), size=4), "impossible size"),
        "mp4_atom_over_the_end": (ftyp + atom(b"moov", bytes(50), size=1 << 31), BREAKS_OFF),
        "mp4_empty_index": (ftyp + atom(b"moov"), None),
        "mp4_2_31_packets": (
            patched(m4a, stsz + 8, struct.pack(">II", 1, 1 << 31)),
            "too many packets",
        ),
        "mp4_million_packets": (patched(m4a, stsz + 8, struct.pack(">II", 1, 1_999_999)), None),
        "mp4_offsets_outside": (patched(m4a, stco + 12, b"\x7f\xff\xff\xff"), None),
        "mp4_time_scale_0": (patched(m4a, mdhd + 16, bytes(4)), None),
        "mp4_damaged_sound": (patched(m4a, mdat + 500, rng.bytes(1_000)), None),
        "mp4_video_only": (video_only("mp4", "mpeg4"), "no sound track"),
        "mp4_other_codec": (with_pyav(tone(0.3, 48_000), 48_000, "mp4", "ac3"), "coded as ac3"),
        "mp4_unknown_codec": (m4a.replace(b"mp4a", b"zzzz"), None),
        "mp4_compressed_index": (ftyp + atom(b"moov", atom(b"cmov", bytes(99))), "compressed"),
        "mp4_nested_500_deep": (ftyp + atom(b"moov", nested(500)), None),
        "aac_one_header": (aac[:7], None),
        "aac_random": (aac[:7] + rng.bytes(4_000), None),
    }
    webms: dict[str, tuple[bytes, str | None]] = {
        "webm_magic_only": (b"\x1a\x45\xdf\xa3", BREAKS_OFF),
        "webm_header_only": (ebml, BREAKS_OFF),
        "webm_no_cluster": (webm[:cluster], BREAKS_OFF),
        "webm_truncated": (webm[: len(webm) // 2], BREAKS_OFF),
        "webm_element_of_2_55": (
            ebml + b"\x18\x53\x80\x67\x01" + b"\x7f" + bytes(100),
            BREAKS_OFF,
        ),
        "webm_damaged": (patched(webm, cluster + 60, rng.bytes(400)), None),
        "webm_video_only": (video_only("webm", "libvpx"), "no sound track"),
        "webm_random_behind": (ebml + rng.bytes(3_000), None),
    }
    return {
        **{name: Hostile(data, ".m4a", expect) for name, (data, expect) in m4as.items()},
        **{name: Hostile(data, ".webm", expect) for name, (data, expect) in webms.items()},
    }


@cache
def hostile() -> dict[str, Hostile]:
    """All of them, made once."""
    return {**_not_audio(), **_wavs(), **_flac_mp3_ogg(), **_phones_and_browsers()}


HOSTILE: dict[str, Hostile] = hostile()

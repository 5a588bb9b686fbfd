"""Which recordings a file holds, and whether each is whole.

Decoders are lenient: most of them play what is there of a file that broke off, and stop where the
first of several joined files ends, and say nothing of either. A measurement on a part of a clip
would be wrong without a word, so containers are walked here first. Each walk reads only sizes and
jumps, and gives up its check (never the file) after `MAX_STEPS`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace

from modgap.audio import chunks
from modgap.audio.formats import kind_at, kind_near, locate
from modgap.audio.frames import MAX_STEPS, broken, mp3_runs, skip_tags
from modgap.audio.ogg import links, opus_at_48_khz
from modgap.audio.sources import MAX_BYTES
from modgap.core.errors import AudioError

MAX_PACKETS = 2_000_000
_MAX_PARTS = 1_000
_JUNK = 4096  # bytes behind plain samples that may be anything; more of them could be sound
# What files begin with, as far as chance does not make it: of those that do not say where they end.
_START = re.compile(
    rb"fLaC[\x00\x80]\x00\x00\x22|NIST_1A\n|#!AMR(?:-WB)?\n|OggS\x00\x02|"
    rb"(?:RIFF|RF64|RIFX|BW64)[\s\S]{4}WAVE|FORM[\s\S]{4}AIF[FC]"
)


@dataclass(frozen=True)
class Part:
    """One recording of a file.

    Attributes
    ----------
    kind : str
        A key of `modgap.audio.formats.KINDS`.
    data : bytes
        A file of its own.
    more : str
        What follows that is no recording and may be sound; whoever asks for it is refused.
    codec : str
        Of an Ogg file, "" where it is not known; "-" of others.
    tracks : int
        Streams of sound in an Ogg file.
    least : int
        Samples that an MP3 file's frames hold at least.
    """

    kind: str
    data: bytes
    more: str = ""
    codec: str = "-"
    tracks: int = 1
    least: int = 0


def parts(data: bytes) -> list[Part]:
    """The recordings that a file holds, one after the other; mostly one.

    Refused is a file whose container says that something is missing. WAV, W64, AIFF, CAF, AU: the
    sound promises a frame or more than is there (the sizes of streaming programs that cannot know
    are not believed), no channels, no rate. OGG: a page is cut. MP3: shorter than its Xing/Info
    header says. M4A: an atom runs over the end, or the index (`moov`) is missing. WebM: an element
    runs over the end. FLAC and NIST are checked by the length that they state, while decoding.
    Not detectable: an MP3 without a Xing/Info header, raw AAC and AMR, a streamed WAV, a FLAC of
    unknown length, and OGG or WebM that ends between two pages or blocks (live recordings end so
    too).

    Raises
    ------
    AudioError
        The file breaks off, its header makes no sense, or it is no file of sound.
    """
    at = skip_tags(data, 0) if data.startswith(b"ID3") else 0
    if at and at >= len(data):
        raise AudioError("The file holds only an ID3 tag and no audio. Export it again.")
    kind, offset = locate(data[at:] if at else data)
    at, found = at + offset, []
    while True:
        here, at = _read(kind, data, at)
        found += here
        if len(found) > _MAX_PARTS:
            raise AudioError(f"The file holds more than {_MAX_PARTS:,} recordings. Split it.")
        rest = skip_tags(data, at)
        kind, start = kind_near(data, rest) if rest < len(data) else ("", rest)
        if not kind:
            break
        at = max(at, start)
    if found[-1].kind in chunks.KINDS and len(data) - rest > _JUNK and not found[-1].more:
        found[-1] = replace(found[-1], more=f"{len(data) - rest:,} bytes outside its own count")
    return found


def _read(kind: str, data: bytes, at: int) -> tuple[list[Part], int]:
    """The recordings of the file that begins here, and where it ends."""
    if kind in chunks.KINDS:
        file, end, more = chunks.read_chunks(kind, data, at, kind_at)
        return [Part(kind, file, more)], end
    if kind == "OGG":
        found, end = links(data, at)
        return [
            Part(
                kind,
                opus_at_48_khz(link.data) if link.codec == "opus" else link.data,
                codec=link.codec,
                tracks=link.tracks,
            )
            for link in found
        ], end
    if kind == "MP3":
        runs, end = mp3_runs(data, at, kind_at)
        return [Part(kind, run.bytes_of(data), least=run.least) for run in runs], end
    more = ""
    if kind == "M4A":
        end, more = _end_of_mp4(data, at)
    elif kind == "WebM":
        end = _end_of_webm(data, at)
    else:
        end = _next_start(data, at)
    return [Part(kind, data[at:end], more)], end


def _next_start(data: bytes, at: int) -> int:
    """Where the next file begins, by the mark that it begins with."""
    is_flac = data.startswith(b"fLaC", at)
    at += 4
    while is_flac and at < len(data):  # pictures in front may hold anything
        last, at = data[at] >= 128, at + 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        if last:
            break
    following = _START.search(data, at)
    return following.start() if following else len(data)


def _end_of_mp4(data: bytes, at: int) -> tuple[int, str]:
    """Where an MP4 file ends, and what is said of an index behind the first."""
    begin, index, more = at, False, ""
    for _ in range(MAX_STEPS):
        if at + 8 > len(data):
            break
        size, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if name == b"ftyp" and index and at > begin:
            break
        if not all(32 <= byte < 127 or byte == 0xA9 for byte in name):
            break  # padding or junk behind the last atom
        if size < head:
            raise AudioError("The file is damaged: a part of it has an impossible size.")
        if at + size > len(data):
            raise broken(f"its part {name.decode('latin1')!r} is cut")
        if name in (b"moov", b"moof"):
            if name == b"moov" and index:
                more = "a second recording with an index of its own"
            index = True
            _check_mp4_counts(data[at + head : at + size])
        at += size
    else:
        at = len(data)
    if not index:
        raise broken("its index (moov) is missing")
    return at, more


def _check_mp4_counts(index: bytes) -> None:
    """Refuse sample tables that would expand to gigabytes inside the demuxer."""
    if b"cmov" in index:
        raise AudioError("The file has a compressed index, which is not read. Export it again.")
    for table, skip in ((b"stsz", 12), (b"stz2", 12), (b"trun", 8)):
        at = index.find(table)
        while at >= 0:
            count = int.from_bytes(index[at + skip : at + skip + 4], "big")
            if count > MAX_PACKETS and not (table == b"stsz" and _are_samples(index, at, count)):
                raise AudioError("The file is damaged: its index names too many packets.")
            at = index.find(table, at + 4)


def _are_samples(index: bytes, at: int, count: int) -> bool:
    """Whether a table counts plain samples: of one size, one step of time each, and packed."""
    times = index.rfind(b"stts", 0, at)
    same = index[times + 8 : times + 12] == struct.pack(">I", 1)
    each = index[times + 16 : times + 20] == struct.pack(">I", 1)
    return times >= 0 and any(index[at + 8 : at + 12]) and same and each and count <= MAX_BYTES


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """Length of an EBML number in bytes and its value with the length mark taken off."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8 or at + length > len(data):
        return 0, 0
    value = int.from_bytes(data[at : at + length], "big")
    return length, value & ((1 << 7 * length) - 1)


def _end_of_webm(data: bytes, at: int) -> int:
    segment, cluster, head = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x1a\x45\xdf\xa3"
    sound = False
    for _ in range(MAX_STEPS):
        if at >= len(data) or (sound and data.startswith(head, skip_tags(data, at))):
            break
        id_length, _value = _vint(data, at)
        size_length, size = _vint(data, at + id_length)
        if not id_length or not size_length:
            if at + 12 > len(data):
                raise broken("its last element is cut")
            return len(data)  # junk; the decoder has the last word
        body = at + id_length + size_length
        unknown = size == (1 << 7 * size_length) - 1
        if not unknown and body + size > len(data):
            raise broken("its last element is cut")
        name = data[at : at + id_length]
        sound = sound or name == cluster
        # Browsers do not know the sizes while they record: go in and jump from block to block.
        at = body if unknown or name in (segment, cluster) else body + size
    else:
        return len(data)
    if not sound:
        raise broken("it has a header and no sound")
    return at

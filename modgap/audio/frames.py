"""Streams of frames without a container, and the tags between them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from modgap.core.errors import AudioError

MAX_STEPS = 200_000
BROKEN = "The file breaks off before its end: {}. Record, export or download it again."

_HIGH = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBITS = {  # by MPEG 1 (or 2 and 2.5) and layer
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): _HIGH,
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 3): _LOW,
}
_RATES = (44_100, 48_000, 32_000)
_SYNC = re.compile(rb"\xff[\xe0-\xff][\x00-\xef]")
_MAX_SYNCS = 20_000
_RESYNC = 1000  # bytes of junk that mpg123 is sure to read over
_CRUMB = 3  # frames that are no recording
_MAX_GAPS = 100  # stretches of junk between frames


class Frame(NamedTuple):
    """Bytes of a frame, what is the same in all of a recording, samples that it decodes to."""

    length: int
    layout: tuple[int, ...]
    samples: int = 1024


Reader = Callable[[bytes, int], Frame | None]


def broken(detail: str) -> AudioError:
    """Error for a file that is shorter than it says."""
    return AudioError(BROKEN.format(detail))


def mp3_frame(data: bytes, at: int) -> Frame | None:
    """Frame of MPEG 1, 2 or 2.5, layers I to III, if one begins here."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    kbits, rate, padding = data[at + 2] >> 4, data[at + 2] >> 2 & 3, data[at + 2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 3 or kbits in (0, 15):  # 0: of free length
        return None
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = 1000 * _KBITS[version == 3, layer][kbits - 1]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    unit = 4 if layer == 1 else 1
    length = (samples // 8 // unit * bits // hertz + padding) * unit
    return Frame(length, (version, layer, rate, data[at + 3] >> 6 == 3), samples)


def adts_frame(data: bytes, at: int) -> Frame | None:
    """Frame of AAC in ADTS, if one begins here."""
    if at + 7 > len(data) or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return None
    length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    if length < 7 or data[at + 2] >> 2 & 15 > 12:
        return None
    return Frame(length, (data[at + 2] & 0xFD, data[at + 3] >> 6))


def is_run(data: bytes, at: int, frame: Reader, count: int = 3) -> bool:
    """Whether so many equal frames follow each other from here: chance does not make that."""
    first: tuple[int, ...] | None = None
    for _ in range(count):
        found = frame(data, at)
        if found is None or first not in (None, found.layout):
            return False
        first, at = found.layout, at + found.length
    return True


def find_frames(data: bytes, at: int, frame: Reader, end: int | None = None) -> int:
    """Where the next run of frames begins, -1 if there is none before `end`."""
    for found in islice(_SYNC.finditer(data, at, end or len(data)), _MAX_SYNCS):
        if is_run(data, found.start(), frame):
            return found.start()
    return -1


def skip_tags(data: bytes, at: int) -> int:
    """Position behind zeros and ID3v1, ID3v2, APE and Lyrics3 tags, which are not sound."""
    for _ in range(64):
        if data.startswith(b"ID3", at) and at + 10 <= len(data):
            size = 0
            for byte in data[at + 6 : at + 10]:
                size = size << 7 | byte & 0x7F
            at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
        elif data.startswith(b"TAG", at) and len(data) - at >= 128:
            at += 227 if data.startswith(b"TAG+", at) else 128
        elif data.startswith(b"APETAGEX", at) and at + 32 <= len(data):
            header = data[at + 23] & 0x20  # it counts itself out at the front, in at the end
            at += int.from_bytes(data[at + 12 : at + 16], "little") + (32 if header else 0)
        elif data.startswith(b"LYRICSBEGIN", at):
            end = data.find(b"LYRICS200", at)
            at = end + 9 if end >= 0 else len(data)
        elif at < len(data) and not data[at]:
            at = _not_zero(data, at)
        else:
            break
    return min(at, len(data))


def _not_zero(data: bytes, at: int) -> int:
    while at < len(data):
        piece = data[at : at + 65_536]
        rest = piece.lstrip(b"\0")
        if rest:
            return at + len(piece) - len(rest)
        at += len(piece)
    return len(data)


@dataclass
class Run:
    """Frames of one recording.

    Attributes
    ----------
    start, end : int
        Where they are.
    gaps : list of (int, int)
        Long stretches between them that are none.
    frames, samples : int
        How many there are, each of so many samples.
    declared : int
        How many its header names, 0 for none.
    header : int
        Bytes of the first frame if it is no sound but this header.
    """

    start: int
    end: int = 0
    frames: int = 0
    samples: int = 0
    declared: int = 0
    header: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def bytes_of(self, data: bytes) -> bytes:
        """The frames without what mpg123 gives up at."""
        edges = [self.start, *(edge for gap in self.gaps for edge in gap), self.end]
        return b"".join(data[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))

    @property
    def least(self) -> int:
        """Samples that must come out: coders count up to four frames of silence as their own."""
        return max(0, self.frames - (4 if self.declared else 1)) * self.samples


def mp3_runs(data: bytes, at: int, kind_at: Callable[[bytes, int], str]) -> tuple[list[Run], int]:
    """The recordings of an MP3 file, and where it ends.

    Players believe the first Xing or Info header, which counts one recording's frames: where
    files were joined they stop there. So a header begins a recording of its own, and so do the
    frames beyond those that it counts; if these are very few, the header is taken away instead.

    Raises
    ------
    AudioError
        A recording is shorter than its header says.
    """
    layout, gaps, runs = None, 0, [Run(at)]
    for _ in range(MAX_STEPS):
        found = mp3_frame(data, at)
        if found is None or at + found.length > len(data):
            behind = skip_tags(data, at)
            if behind >= len(data) or kind_at(data, behind) not in ("", "MP3"):
                at = behind
                break
            gaps += 1
            begun = at
            at = find_frames(data, max(behind, at + 1), mp3_frame) if gaps <= _MAX_GAPS else -1
            if at < 0:
                at = len(data)
                break
            if at - begun > _RESYNC:
                runs[-1].gaps.append((begun, at))
            continue
        if _swallows(data, at, at + found.length):
            raise broken(f"a frame {at:,} bytes behind its start is cut, and others follow")
        header = _xing(data, at)
        begins = header is not None or 0 < runs[-1].declared == runs[-1].frames
        begins |= layout not in (None, found.layout) and is_run(data, at, mp3_frame, 2)
        if begins and runs[-1].frames + runs[-1].header:
            runs[-1].end = at
            runs.append(Run(at))
        run, layout = runs[-1], found.layout
        if header is None:
            run.frames, run.samples = run.frames + 1, found.samples
        else:
            there = len(data) - (0 if len(runs) == 1 else at)  # some count tags in
            if header[1] > there:
                raise broken(f"it promises {header[1]:,} bytes of sound and holds {there:,}")
            run.declared, run.header = header[0], found.length
        at += found.length
    else:
        at, runs[-1].samples = len(data), 0
    runs[-1].end = at
    return _without_crumbs(runs), at


def _without_crumbs(runs: list[Run]) -> list[Run]:
    """Runs in which a few frames that a header does not count are with those that it does."""
    kept = runs[:1]
    for run in runs[1:]:
        last = kept[-1]
        if run.header or run.frames > _CRUMB or not last.declared or run.samples != last.samples:
            kept.append(run)
            continue
        last.end, last.frames, last.gaps = run.end, last.frames + run.frames, last.gaps + run.gaps
        if run.frames > 1:  # one is a header that counts itself out
            last.start, last.declared = last.start + last.header, 0
    return kept


def _swallows(data: bytes, at: int, end: int) -> bool:
    """Whether another recording begins inside a frame, which is cut then."""
    for mark in (b"Xing", b"Info"):
        found = data.find(mark, at + 14, end + 36)
        for start in (found - 13, found - 21, found - 36):
            if at < start < end and mp3_frame(data, start) and _xing(data, start) is not None:
                return True
    return False


def _xing(data: bytes, at: int) -> tuple[int, int] | None:
    """Frames and bytes that a Xing or Info header names, 0 where it does not."""
    mpeg1, mono = data[at + 1] & 0x18 == 0x18, data[at + 3] & 0xC0 == 0xC0
    tag = at + 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))
    if data[tag : tag + 4] not in (b"Xing", b"Info") or len(data) < tag + 16:
        return None
    flags, field = data[tag + 7], tag + 8
    frames = int.from_bytes(data[field : field + 4], "big") if flags & 1 else 0
    field += 4 if flags & 1 else 0
    return frames, int.from_bytes(data[field : field + 4], "big") if flags & 2 else 0

"""Files of chunks, one of which holds plain samples: WAV, W64, AIFF, CAF, and AU, which has one."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from modgap.audio.frames import MAX_STEPS, broken, skip_tags
from modgap.audio.sources import MAX_BYTES
from modgap.core.errors import AudioError


class _Form(NamedTuple):
    """How a chunk's name and size are written, where the first chunk is, how long each may be."""

    head: str
    first: int
    pad: int
    size: str  # of the sound chunk, directly before its content (AU: 16 bytes before)
    back: int


_FORMS = {
    "WAV": _Form("<4sI", 12, 2, "<I", 4),
    "RIFX": _Form(">4sI", 12, 2, ">I", 4),
    "AIFF": _Form(">4sI", 12, 2, ">I", 4),
    "CAF": _Form(">4sQ", 8, 1, ">Q", 8),
    "W64": _Form("<16sQ", 40, 8, "<Q", 8),
    "AU": _Form(">4sI", 0, 1, ">I", 0),
}
KINDS = frozenset(_FORMS) - {"RIFX"}
_AGAIN = re.compile(rb"(?:RIFF|RF64|RIFX|BW64)[\s\S]{4}WAVE")
_W64_NAME = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # behind four letters
_SOUND = (b"data", b"SSND")
_HEADERS = (0, 8, 12, 36, 44, 46)  # bytes that programs take off a round number, or forget to


class Found(NamedTuple):
    """A file of its own, where it ends, and what follows there that could be sound."""

    data: bytes
    end: int
    more: str = ""


def read_chunks(kind: str, data: bytes, at: int, kind_at: Callable[[bytes, int], str]) -> Found:
    """The file that begins here.

    Raises
    ------
    AudioError
        Its sound is shorter than its header says, or its header makes no sense.
    """
    if kind == "AU":
        begin, size = struct.unpack_from(">II", data.ljust(at + 12, b"\0"), at + 4)
        return _sound(kind, kind, data, at, (at + begin, size, 2), kind_at)
    form = "RIFX" if data.startswith(b"RIFX", at) else kind
    order = ">" if form == "RIFX" else "<"
    align, long_size, steps = 2, 0, 0
    for name, size, body, _ in _chunks(form, data, at + _FORMS[form].first):
        steps += 1
        if name == b"ds64" and len(data) >= body + 16:
            (long_size,) = struct.unpack_from("<Q", data, body + 8)
        elif name == b"fmt " and len(data) >= body + 16:
            channels, rate, _bytes, align = struct.unpack_from(order + "HIIH", data, body + 2)
            if channels == 0:
                raise AudioError("The file has no channels, so no sound. Export it again.")
            if rate == 0:
                raise AudioError("The file gives a sample rate of 0 Hz. Export it again.")
        elif name[:4] in _SOUND:
            size = long_size if size == 0xFFFF_FFFF and long_size else size
            return _sound(kind, form, data, at, (body, size, max(align, 1)), kind_at)
    if steps < MAX_STEPS:
        raise broken("it has no audio data")
    return Found(data[at:], len(data))


def _chunks(form: str, data: bytes, at: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Name, size, begin of the content and begin of the next chunk, for all from `at` on."""
    layout, pad = _FORMS[form].head, _FORMS[form].pad
    head = struct.calcsize(layout)
    for _ in range(MAX_STEPS):
        if at + head > len(data):
            return
        name, size = struct.unpack_from(layout, data, at)
        size = max(0, size - head) if form == "W64" else size  # it counts its head in
        body = at + head
        at = body + size + -size % pad
        yield name, size, body, at


def _sound(
    kind: str,
    form: str,
    data: bytes,
    at: int,
    where: tuple[int, int, int],
    kind_at: Callable[[bytes, int], str],
) -> Found:
    body, size, align = where
    there = len(data) - body
    if there < 0 or body < at + 8:
        raise broken("it has no audio data")
    if _is_unknown(form, data, body, size, kind_at):
        following = _AGAIN.search(data, body) if kind == "WAV" else None
        end = following.start() if following else len(data)
        return Found(_with_size(form, bytearray(data[at:end]), body - at), end)
    if size - there >= align:
        raise broken(f"it promises {size:,} bytes of sound and holds {there:,}")
    # Chunks begin at even places; many programs forget that.
    ends = (_tail(form, data, end, kind_at) for end in {body + size, body + size + size % 2})
    end, more = max(ends)
    file = data[at:end]
    if file.startswith(b"BW64"):  # the same as RF64 under the name that libsndfile does not know
        file = b"RF64" + file[4:]
    return Found(file, min(end, len(data)), more)


def _tail(form: str, data: bytes, at: int, kind_at: Callable[[bytes, int], str]) -> tuple[int, str]:
    """Where the chunks behind the sound end, and what is said of a second one with sound."""
    if form == "AU":
        return at, ""
    for name, size, body, after in _chunks(form, data, at):
        if not _is_name(name) or body + size > len(data) or kind_at(data, at):
            break
        if name[:4] in _SOUND and size:
            return len(data), f"a second part of {size:,} bytes"
        at = after
    return at, ""


def _is_name(name: bytes) -> bool:
    """Whether this names a chunk, and does not begin an ID3v1 tag or samples."""
    mark = name[:4]
    return (
        mark.isascii()
        and mark.decode("ascii").isprintable()
        and mark[:3] != b"TAG"
        and name[4:] in (b"", _W64_NAME)
    )


def _is_unknown(
    form: str, data: bytes, body: int, size: int, kind_at: Callable[[bytes, int], str]
) -> bool:
    """Whether a size only stands for one, as programs write that cannot go back and fill it in.

    They write 0, the largest number, or a round one. What breaks off has an odd size.
    """
    there = len(data) - body
    if size == 0:
        rest = skip_tags(data, _tail(form, data, body, kind_at)[0])
        return rest < len(data) and not kind_at(data, rest)
    if size <= there:
        return False
    if size > 0xFFFF_FFFF or _FORMS[form].size[-1] == "Q":
        return size >= 1 << 62
    if size >= 1_000_000_000:  # hours, of which the 25 MiB that are taken would be the beginning
        return True
    return size > MAX_BYTES and any(
        (size + head) % 1_000_000 == 0 or (size + head) & 0xFFFF in (0, 0xFFFF) for head in _HEADERS
    )


def _with_size(form: str, file: bytearray, body: int) -> bytes:
    """The file with the size of the sound that is in it."""
    size = len(file) - body + (24 if form == "W64" else 0)
    layout, place = _FORMS[form].size, body - _FORMS[form].back
    struct.pack_into(layout, file, place if form != "AU" else 8, size)
    if form == "WAV":  # without the long size
        file[:4] = b"RIFF"
    return bytes(file)

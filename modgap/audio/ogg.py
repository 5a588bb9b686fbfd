"""Ogg: which recordings are in a file, one after the other, and which of them are sound."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from modgap.audio.frames import MAX_STEPS, broken, skip_tags
from modgap.core.errors import AudioError

_CODECS = {b"\x01vorbis": "vorbis", b"OpusHead": "opus", b"\x7fFLAC": "flac", b"Speex   ": "speex"}
_FIRST, _HEAD = 2, 27


@dataclass
class Link:
    """Streams that begin together: one recording.

    Attributes
    ----------
    data : bytes
        The pages of its first stream of sound.
    codec : str
        "vorbis", "opus", "flac", "speex", or "" where none of them is there.
    tracks : int
        Streams of sound that it holds.
    """

    data: bytes
    codec: str
    tracks: int


@dataclass
class _Pages:
    """What was read of one link: for every stream its codec and its pages."""

    start: int
    codecs: dict[bytes, str] = field(default_factory=dict)
    pages: dict[bytes, list[tuple[int, int]]] = field(default_factory=dict)

    def link(self, data: bytes) -> Link:
        end = max((pages[-1][1] for pages in self.pages.values()), default=len(data))
        sound = [serial for serial, codec in self.codecs.items() if codec]
        if len(self.pages) <= 1 or not sound:
            return Link(data[self.start : end], self.codecs[sound[0]] if sound else "", len(sound))
        pages = b"".join(data[first:last] for first, last in self.pages[sound[0]])
        return Link(pages, self.codecs[sound[0]], len(sound))


def links(data: bytes, at: int) -> tuple[list[Link], int]:
    """The recordings of an Ogg file, and where it ends.

    A chain is several recordings one after the other; each begins with pages that say so.

    Raises
    ------
    AudioError
        A page is cut or fails its checksum: decoders leave it out and go on.
    """
    read, begun = [_Pages(at)], True  # still among the first pages of a link
    for _ in range(MAX_STEPS):
        if not data.startswith(b"OggS", at):
            following = _resync(data, at)
            if following < 0:
                break
            at = following
        table = at + _HEAD
        count = data[table - 1] if table <= len(data) else 0
        end = table + count + sum(data[table : table + count])
        if table + count > len(data) or end > len(data):
            raise broken("its last page is cut")
        if not data.startswith(b"OggS", end) and data.find(b"OggS", at + 4, end) >= 0:
            raise broken(f"a page {at:,} bytes behind its start is cut, and others follow")
        if checksum(data[at : at + 22] + bytes(4) + data[at + 26 : end]) != int.from_bytes(
            data[at + 22 : at + 26], "little"
        ):
            raise AudioError(
                f"The file is damaged {at:,} bytes behind its start, and players leave that part "
                "out. Record, export or download it again."
            )
        serial, first = data[at + 14 : at + 18], bool(data[at + 5] & _FIRST)
        if first and not begun:
            read.append(_Pages(at))
        begun = first
        if first:
            body = data[table + count : table + count + 8]
            codec = next((name for magic, name in _CODECS.items() if body.startswith(magic)), "")
            read[-1].codecs[serial] = codec
        read[-1].pages.setdefault(serial, []).append((at, end))
        at = end
    else:  # more pages than are counted: all that is left goes with the last recording
        at = len(data)
        for pages in read[-1].pages.values():
            pages[-1] = (pages[-1][0], at)
    return [part.link(data) for part in read], at


def _resync(data: bytes, at: int) -> int:
    """The next page behind tags or junk, -1 where there is none."""
    return -1 if skip_tags(data, at) >= len(data) else data.find(b"OggS", at, at + (1 << 16))


def opus_at_48_khz(data: bytes) -> bytes:
    """An Opus stream whose header names 48 kHz.

    The field is informative (RFC 7845, 5.1: the rate of what was encoded, 0 if that is not known),
    but libsndfile decodes at the rate that it names, and cuts off what lies above half of it.
    """
    count = data[_HEAD - 1]
    body = _HEAD + count
    end = body + sum(data[_HEAD:body])
    page = bytearray(data[:end])
    if len(page) < body + 16 or struct.unpack_from("<I", page, body + 12)[0] == 48_000:
        return data
    struct.pack_into("<I", page, body + 12, 48_000)
    struct.pack_into("<I", page, 22, 0)
    struct.pack_into("<I", page, 22, checksum(page))
    return bytes(page) + data[end:]


def checksum(page: bytes | bytearray) -> int:
    """CRC-32 of a page whose own field is zero (polynomial 0x04C11DB7, from the highest bit)."""
    # zlib's goes from the lowest bit, and turns all of them before and after.
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{crc:032b}"[::-1], 2)


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

"""Audio files written by hand, byte by byte, whose headers may say anything."""

from __future__ import annotations

import struct
from functools import cache

import numpy as np

from tests.encode import tone


def wav(
    data: bytes | None = None,
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    align: int | None = None,
    size: int | None = None,
    before: bytes = b"",
) -> bytes:
    """A WAV file whose header may say anything; default 0.2 s of a tone."""
    data = (tone(0.2, 16_000) * 32767).astype("<i2").tobytes() if data is None else data
    align = channels * bits // 8 if align is None else align
    fmt = struct.pack(
        "<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits
    )
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + before
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def float_wav(samples: np.ndarray) -> bytes:
    """A WAV of 32- or 64-bit floats at 16 kHz."""
    return wav(samples.tobytes(), tag=3, bits=8 * samples.itemsize)


def patched(data: bytes, at: int, new: bytes) -> bytes:
    """Data with some bytes replaced."""
    assert at >= 0
    return data[:at] + new + data[at + len(new) :]


def flac_with(data: bytes, *, rate: int = 16_000, channels: int = 1, total: int = 0) -> bytes:
    """A FLAC file with another rate, channel count and total in its STREAMINFO."""
    bits = rate << 44 | (channels - 1) << 41 | 15 << 36 | total
    return patched(data, 18, bits.to_bytes(8, "big"))


@cache
def _crc_table() -> list[int]:
    table = []
    for index in range(256):
        value = index << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return table


def ogg_page(packets: list[bytes], *, number: int, granule: int, flags: int = 0) -> bytes:
    """One Ogg page of packets under 255 bytes."""
    lacing, body = bytes(len(p) for p in packets), b"".join(packets)
    head = b"OggS" + struct.pack("<BBqIII", 0, flags, granule, 7, number, 0)
    page = bytearray(head + bytes([len(lacing)]) + lacing + body)
    crc, table = 0, _crc_table()
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ table[crc >> 24 ^ byte]
    page[22:26] = struct.pack("<I", crc)
    return bytes(page)


def ogg_opus(packets: int, *, channels: int = 1, family: int = 0) -> bytes:
    """Opus of 2-byte packets, each of which decodes to 120 ms of silence."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, channels, 0, 48_000, 0, family)
    if family:
        head += bytes([channels & 0xFF, 0, *range(min(channels, 200))])
    tags = b"OpusTags" + struct.pack("<I", 1) + b"x" + struct.pack("<I", 0)
    pages = [
        ogg_page([head], number=0, granule=0, flags=2),
        ogg_page([tags], number=1, granule=0),
    ]
    for number, first in enumerate(range(0, packets, 255), start=2):
        count = min(255, packets - first)
        last = first + count == packets
        pages.append(
            ogg_page(
                [b"\xfb\x06"] * count,
                number=number,
                granule=(first + count) * 5760,
                flags=4 if last else 0,
            )
        )
    return b"".join(pages)


def atom(name: bytes, body: bytes = b"", *, size: int | None = None) -> bytes:
    """An MP4 atom, with a size that may be a lie."""
    return struct.pack(">I", len(body) + 8 if size is None else size) + name + body


def nested(depth: int) -> bytes:
    """Atoms within atoms."""
    body = b""
    for _ in range(depth):
        body = atom(b"trak", body)
    return body

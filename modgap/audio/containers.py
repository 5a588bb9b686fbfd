"""What kind of audio file some bytes are, and whether its structure is whole.

Decoders are lenient: most of them play what is there of a file that broke off and say nothing. A
measurement on half a clip would be wrong without a word, so the container is walked here first.
Each walk reads only sizes and jumps, and gives up its check (never the file) after `_MAX_STEPS`.
"""

from __future__ import annotations

from modgap.core.errors import AudioError

FORMATS = "WAV, FLAC, OGG (Opus, Vorbis), MP3, M4A/MP4 (AAC) or WebM"
_MAX_STEPS = 200_000
_MAX_PACKETS = 2_000_000
_STREAMED = 0x7FFF_F000  # sizes from here on are what programs write when they cannot know
_BROKEN = "The file breaks off before its end: {}. Record, export or download it again."


def broken(detail: str) -> AudioError:
    """Error for a file that is shorter than it says."""
    return AudioError(_BROKEN.format(detail))


def sniff(data: bytes) -> str:
    """Kind of an audio file by its first bytes; its name is never asked.

    Returns
    -------
    str
        "WAV", "FLAC", "OGG", "MP3", "AAC" (ADTS), "M4A" (any MP4) or "WebM" (any Matroska).

    Raises
    ------
    AudioError
        The bytes are none of these.
    """
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return "WAV"
    if data.startswith(b"fLaC"):
        return "FLAC"
    if data.startswith(b"OggS"):
        return "OGG"
    if data[4:8] == b"ftyp":
        return "M4A"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "WebM"
    if len(data) > 2 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        if data[1] & 0x06:
            return "MP3"
        if data[1] & 0xF6 == 0xF0:
            return "AAC"
    raise AudioError(f"This is not an audio file that can be read. Use {FORMATS}.")


def strip_id3(data: bytes) -> bytes:
    """Bytes without leading ID3v2 tags (MP3, AAC and some FLAC files carry them)."""
    for _ in range(8):
        if data[:3] != b"ID3" or len(data) < 10:
            return data
        size = 0
        for byte in data[6:10]:
            size = size << 7 | byte & 0x7F
        rest = data[10 + size + (10 if data[5] & 0x10 else 0) :].lstrip(b"\0")
        if not rest:
            raise AudioError("The file holds only an ID3 tag and no audio. Export it again.")
        data = rest
    return data


def check_structure(kind: str, data: bytes, size: int) -> None:
    """Refuse a file whose container says that something is missing.

    WAV: the data chunk promises a frame or more than is there (streamed files with an unknown
    size are taken), no channels, no rate. OGG: the last page is cut. MP3: shorter than its
    Xing/Info header says. M4A: an atom runs over the end, or the index (`moov`) is missing.
    WebM: an element runs over the end. FLAC is checked by its sample count, while decoding.
    Not detectable: an MP3 without a Xing/Info header, raw AAC, a streamed WAV, a FLAC of unknown
    length, and OGG or WebM that ends between two pages or blocks (live recordings end so too).

    Parameters
    ----------
    kind : str
        From `sniff`.
    data : bytes
        The file without leading ID3 tags.
    size : int
        Its size with them (some encoders count them in).

    Raises
    ------
    AudioError
        The file breaks off, or its header makes no sense.
    """
    if kind == "WAV":
        _check_wav(data)
    elif kind == "OGG":
        _check_ogg(data)
    elif kind == "MP3":
        _check_mp3(data, size)
    elif kind == "M4A":
        _check_mp4(data)
    elif kind == "WebM":
        _check_webm(data)


def _check_wav(data: bytes) -> None:
    at, align, long_size = 12, 1, 0
    for _ in range(_MAX_STEPS):
        if at + 8 > len(data):
            raise broken("it has no audio data")
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = at + 8
        if name == b"ds64":
            long_size = int.from_bytes(data[body + 8 : body + 16], "little")
        elif name == b"fmt " and len(data) >= body + 16:
            channels = int.from_bytes(data[body + 2 : body + 4], "little")
            rate = int.from_bytes(data[body + 4 : body + 8], "little")
            align = max(1, int.from_bytes(data[body + 12 : body + 14], "little"))
            if channels == 0:
                raise AudioError("The file has no channels, so no sound. Export it again.")
            if rate == 0:
                raise AudioError("The file gives a sample rate of 0 Hz. Export it again.")
        elif name == b"data":
            promised = long_size if size == 0xFFFF_FFFF and long_size else size
            there = len(data) - body
            if promised >= _STREAMED and not long_size:
                return
            if promised - there >= align:
                raise broken(f"it promises {promised:,} bytes of sound and holds {there:,}")
            return
        at = body + size + (size & 1)


def _check_ogg(data: bytes) -> None:
    at = 0
    for _ in range(_MAX_STEPS):
        if at >= len(data) or not data.startswith(b"OggS", at):
            return
        table = at + 27
        count = data[table - 1] if table <= len(data) else 0
        end = table + count + sum(data[table : table + count])
        if table + count > len(data) or end > len(data):
            raise broken("its last page is cut")
        at = end


def _check_mp3(data: bytes, whole: int) -> None:
    if len(data) < 4:
        raise broken("it holds less than one frame")
    mpeg1, mono = data[1] & 0x18 == 0x18, data[3] & 0xC0 == 0xC0
    at = 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))
    if data[at : at + 4] not in (b"Xing", b"Info") or len(data) < at + 16:
        return
    flags = data[at + 7]
    if flags & 2:
        field = at + 8 + (4 if flags & 1 else 0)
        promised = int.from_bytes(data[field : field + 4], "big")
        if promised > whole:
            raise broken(f"it promises {promised:,} bytes of sound and holds {whole:,}")


def _check_mp4(data: bytes) -> None:
    at, index = 0, False
    for _ in range(_MAX_STEPS):
        if at + 8 > len(data):
            break
        size, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if not all(32 <= byte < 127 or byte == 0xA9 for byte in name):
            break  # padding or junk behind the last atom
        if size < head:
            raise AudioError("The file is damaged: a part of it has an impossible size.")
        if at + size > len(data):
            raise broken(f"its part {name.decode('latin1')!r} is cut")
        if name in (b"moov", b"moof"):
            index = True
            _check_mp4_counts(data[at + head : at + size])
        at += size
    if not index:
        raise broken("its index (moov) is missing")


def _check_mp4_counts(index: bytes) -> None:
    """Refuse sample tables that would expand to gigabytes inside the demuxer."""
    if b"cmov" in index:
        raise AudioError("The file has a compressed index, which is not read. Export it again.")
    for table, skip in ((b"stsz", 12), (b"stz2", 12), (b"trun", 8)):
        at = index.find(table)
        while at >= 0:
            if int.from_bytes(index[at + skip : at + skip + 4], "big") > _MAX_PACKETS:
                raise AudioError("The file is damaged: its index names too many packets.")
            at = index.find(table, at + 4)


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """Length of an EBML number in bytes and its value with the length mark taken off."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8 or at + length > len(data):
        return 0, 0
    value = int.from_bytes(data[at : at + length], "big")
    return length, value & ((1 << 7 * length) - 1)


def _check_webm(data: bytes) -> None:
    segment, cluster = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
    at, sound = 0, False
    for _ in range(_MAX_STEPS):
        if at >= len(data):
            break
        id_length, _value = _vint(data, at)
        size_length, size = _vint(data, at + id_length)
        if not id_length or not size_length:
            if at + 12 > len(data):
                raise broken("its last element is cut")
            return  # junk; the decoder has the last word
        body = at + id_length + size_length
        unknown = size == (1 << 7 * size_length) - 1
        if not unknown and body + size > len(data):
            raise broken("its last element is cut")
        name = data[at : at + id_length]
        sound = sound or name == cluster
        # Browsers do not know the sizes while they record: go in and jump from block to block.
        at = body if unknown or name in (segment, cluster) else body + size
    else:
        return
    if not sound:
        raise broken("it has a header and no sound")

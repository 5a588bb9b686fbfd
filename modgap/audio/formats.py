"""Which kinds of audio files are read: the one list that library, pages and docs share."""

from __future__ import annotations

from dataclasses import dataclass

from modgap.audio.frames import adts_frame, find_frames, is_run, mp3_frame
from modgap.core.errors import AudioError


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    label : str
        For people.
    suffixes : tuple of str
        That such files come with; for choosers of files only, the bytes decide.
    demuxer : str
        FFmpeg's, for what libsndfile does not read.
    """

    label: str
    suffixes: tuple[str, ...]
    demuxer: str


KINDS = {
    "WAV": Kind("WAV", ("wav", "wave", "rf64", "bw64"), "wav"),
    "FLAC": Kind("FLAC", ("flac", "fla"), "flac"),
    "OGG": Kind("OGG", ("ogg", "oga", "opus", "spx", "ogv"), "ogg"),
    "MP3": Kind("MP3", ("mp3", "mp2", "mpga"), "mp3"),
    "M4A": Kind(
        "M4A/MP4/MOV",
        ("m4a", "mp4", "m4b", "m4r", "m4v", "mov", "qt", "3gp", "3gpp", "3g2"),
        "mov",
    ),
    "AAC": Kind("AAC", ("aac", "adts"), "aac"),
    "WebM": Kind("WebM/MKV", ("webm", "weba", "mkv", "mka"), "matroska"),
    "AIFF": Kind("AIFF", ("aiff", "aif", "aifc"), "aiff"),
    "CAF": Kind("CAF", ("caf",), "caf"),
    "W64": Kind("W64", ("w64",), "w64"),
    "AU": Kind("AU", ("au", "snd"), "au"),
    "NIST": Kind("NIST SPHERE", ("sph", "nist"), "nistsphere"),
    "AMR": Kind("AMR", ("amr", "awb"), "amr"),
}

#: All of them in words.
FORMATS = ", ".join(kind.label for kind in list(KINDS.values())[:-1]) + f" or {KINDS['AMR'].label}"
#: The suffixes of all of them, without dots.
SUFFIXES = tuple(suffix for kind in KINDS.values() for suffix in kind.suffixes)

W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_MAGIC = (
    (b"fLaC", "FLAC"),
    (b"OggS", "OGG"),
    (b"\x1a\x45\xdf\xa3", "WebM"),
    (b"caff", "CAF"),
    (b".snd", "AU"),
    (b"NIST_1A", "NIST"),
    (b"#!AMR", "AMR"),
    (W64_RIFF, "W64"),
)
_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"pnot", b"free", b"skip", b"styp")
_NOT_READ = (
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file (WMA, ASF)"),
    (b"MThd", "a MIDI file, which holds notes and no sound"),
    (b"wvpk", "a WavPack file"),
    (b"MAC ", "a Monkey's Audio file"),
    (b"TTA1", "a TTA file"),
    (b"MPCK", "a Musepack file"),
    (b"MP+", "a Musepack file"),
    (b"DSD ", "a DSD file"),
    (b"FRM8", "a DSD file"),
    (b"FLV\x01", "a Flash video"),
    (b".RMF", "a RealMedia file"),
    (b".ra\xfd", "a RealAudio file"),
    (b"\x00\x00\x01\xba", "an MPEG programme stream"),
    (b"Creative Voice File", "a VOC file"),
    (b"ajkg", "a Shorten file"),
    (b"\x0b\x77", "a Dolby Digital (AC-3) file"),
    (b"\x7f\xfe\x80\x01", "a DTS file"),
)
_SCAN = 1 << 16  # bytes before the first frame of a stream that was cut out of another


def sniff(data: bytes) -> str:
    """Kind of an audio file by its first bytes; its name is never asked.

    Returns
    -------
    str
        A key of `KINDS`.

    Raises
    ------
    AudioError
        The bytes are none of these; other formats of sound are named.
    """
    return locate(data)[0]


def locate(data: bytes) -> tuple[str, int]:
    """Kind of a file and where it begins: a stream of frames may begin before its first one."""
    kind = kind_at(data, 0)
    if kind:
        return kind, 0
    if len(data) > 2 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        if data[1] & 0x06:
            return "MP3", 0
        if data[1] & 0xF6 == 0xF0:
            return "AAC", 0
    other = _other(data)
    if other:
        raise AudioError(f"This is {other}, which is not read. Use {FORMATS}.")
    first = len(data) - len(data.lstrip(b"\0"))
    kind, at = kind_near(data, first)
    if kind:
        return kind, at
    starts = [
        (at, kind)
        for kind, frame in (("MP3", mp3_frame), ("AAC", adts_frame))
        if (at := find_frames(data, first, frame, first + _SCAN)) >= 0
    ]
    if starts:
        at, kind = min(starts)
        return kind, at
    raise AudioError(f"This is not an audio file that can be read. Use {FORMATS}.")


def kind_at(data: bytes, at: int) -> str:
    """Kind of a file that certainly begins here, or nothing."""
    head = data[at : at + 16]
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if head[4:8] in _ATOMS:
        return "M4A"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    for kind, frame in (("MP3", mp3_frame), ("AAC", adts_frame)):
        if is_run(data, at, frame):
            return kind
    return ""


def kind_near(data: bytes, at: int) -> tuple[str, int]:
    """Kind of a file that begins here or up to three zeros earlier, as those of atoms may."""
    starts = (start for start in range(max(at - 3, 0), at + 1) if not any(data[start:at]))
    return next(((kind, start) for start in starts if (kind := kind_at(data, start))), ("", at))


def _other(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "an AVI video"
    if data[:1] == b"\x47" and data[188:189] == b"\x47" and data[376:377] == b"\x47":
        return "an MPEG transport stream"
    return next((name for magic, name in _NOT_READ if data.startswith(magic)), "")

"""Which of a file's tracks is read, and how it may be coded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modgap.core.errors import AudioError

if TYPE_CHECKING:
    from av.container import InputContainer

_PCM = """s8 u8 s16le s16be u16le u16be s24le s24be u24le u24be s32le s32be u32le u32be s64le s64be
f16le f24le f32le f32be f64le f64be mulaw alaw s8_planar s16le_planar s16be_planar s24le_planar
s32le_planar bluray dvd vidc"""
_ADPCM = """ms yamaha ct swf adx g722 g726 g726le ima_qt ima_wav ima_dk3 ima_dk4 ima_xbox ima_amv
ima_oki sbpro_2 sbpro_3 sbpro_4"""
_OTHERS = """aac aac_latm mp3 mp3float mp2 mp2float mp1 mp1float opus libopus vorbis libvorbis flac
alac speex libspeex gsm gsm_ms amrnb amrwb libopencore_amrnb libopencore_amrwb g722 g726 g726le
mace3 mace6"""
#: FFmpeg's names of the codings that are read.
CODECS = (
    *_OTHERS.split(),
    *(f"pcm_{name}" for name in _PCM.split()),
    *(f"adpcm_{name}" for name in _ADPCM.split()),
)


def choose(container: InputContainer, notes: list[str]) -> Any:
    """The first track of sound that can be read and is not empty; a note where there are several.

    Raises
    ------
    AudioError
        There is none.
    """
    found = container.streams.audio
    if not found:
        raise AudioError("The file has no sound track. Choose another one.")
    known = [n for n, stream in enumerate(found) if _codec(stream) in CODECS]
    if not known:
        codec = _codec(found[0])
        what = f"is coded as {codec}, which is not read" if codec else "could not be decoded"
        raise AudioError(f"The sound {what}. Export it as WAV or FLAC.")
    full = [n for n in known if found[n].duration != 0]
    chosen = (full or known)[0]
    if len(found) > 1:
        notes.append(note(len(found), chosen + 1))
    return found[chosen]


def note(count: int, number: int) -> str:
    """A sentence on a file with several tracks."""
    return f"The file has {count} sound tracks, of which number {number} is read."


def _codec(stream: Any) -> str:
    return stream.codec_context.name if stream.codec_context else ""

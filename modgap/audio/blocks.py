"""The libraries that decode, block by block. Whatever they raise is an `AudioError`."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from modgap.audio import chunks, tracks
from modgap.audio.containers import MAX_PACKETS, Part
from modgap.audio.formats import KINDS
from modgap.audio.frames import broken
from modgap.audio.mixing import check_channels
from modgap.core.errors import AudioError

Frames = npt.NDArray[np.floating]
Blocks = Generator[tuple[int, Frames], None, None]

MIN_RATE, MAX_RATE = 4_000, 192_000
_BLOCK = 1 << 16  # frames read at a time
_BLIND = 10 * 1152  # samples that may lack at the start of a stream cut out of another
_SLACK = 0.05  # seconds that a stated duration may be rounded up by
_STATED = ("NIST",)  # whose stated duration is their header's, not the file's size
_DAMAGED = "The audio could not be decoded; the file may be damaged. Record or export it again."


def check_rate(rate: int) -> int:
    """The rate in Hz, if it is one that sound is recorded with."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(
            f"The sample rate is {rate} Hz; it must be from {MIN_RATE} to {MAX_RATE} Hz. "
            "Export the clip at 16000 Hz."
        )
    return rate


def blocks_of(part: Part, notes: list[str]) -> Blocks:
    """Blocks of a recording, from the library that reads it."""
    if part.tracks > 1:
        notes.append(tracks.note(part.tracks, 1))
    if part.kind == "FLAC" and _flac_samples(part.data):
        return _soundfile_blocks(_whole_flac(part), notes)
    # libsndfile cannot end a FLAC stream whose header leaves its length open.
    if part.kind in (*chunks.KINDS, "MP3") or part.codec in ("vorbis", "opus", ""):
        return _soundfile_blocks(part, notes)
    return _pyav_blocks(part, notes)


def _soundfile_blocks(part: Part, notes: list[str]) -> Blocks:
    import soundfile as sf

    promised = _flac_samples(part.data) if part.kind == "FLAC" else 0
    seen, rate = 0, 0
    try:
        file = sf.SoundFile(io.BytesIO(part.data))
    except Exception as error:  # whatever a decoder makes of hostile bytes
        if part.kind not in chunks.KINDS:
            raise AudioError(_DAMAGED) from error
        file = None
    # It does not know all codings of plain files, and guesses the length of an MP3 without a header
    # from its first frame, reading no further.
    if file is None or file.frames < part.least:
        yield from _pyav_blocks(part, notes)
        return
    try:
        with file:
            rate = check_rate(file.samplerate)
            check_channels(file.channels)
            while len(frames := file.read(_BLOCK, dtype="float32", always_2d=True)):
                seen += len(frames)
                yield rate, frames
    except AudioError:
        raise
    except Exception as error:
        if not (promised and rate):
            raise AudioError(_DAMAGED) from error
    if seen < promised:
        raise _too_short(promised / rate)
    if seen < part.least - _BLIND:  # it stops at what it cannot read, and says nothing
        raise AudioError(_DAMAGED)


def _too_short(promised: float) -> AudioError:
    return broken(f"its header promises {promised:.2f} s, not all of which can be read")


def _flac_samples(data: bytes) -> int:
    """Samples a FLAC header promises (36 bits of STREAMINFO), 0 if it does not say."""
    return int.from_bytes(data[21:26], "big") & 0xF_FFFF_FFFF


def _whole_flac(part: Part) -> Part:
    """With the sample count of its frames, where they are more than its header promises."""
    held = 0
    with suppress(AudioError), _opened(part) as container:
        held = sum(packet.duration or 0 for packet in container.demux(container.streams.audio[0]))
    if not _flac_samples(part.data) < held < 1 << 36:
        return part
    bits = int.from_bytes(part.data[18:26], "big") & ~0xF_FFFF_FFFF | held
    return replace(part, data=part.data[:18] + bits.to_bytes(8, "big") + part.data[26:])


@contextmanager
def _opened(part: Part) -> Iterator[Any]:
    """FFmpeg's container of a recording; whatever it raises is an AudioError."""
    import av

    try:
        with av.open(
            io.BytesIO(part.data),
            "r",
            # The demuxer is fixed (some of ffmpeg's open other files or addresses) and only audio
            # codecs are allowed, so that a video track is not even probed.
            format=KINDS[part.kind].demuxer,
            options={"codec_whitelist": ",".join(tracks.CODECS), "probesize": "5000000"},
            metadata_errors="ignore",
        ) as container:
            yield container
    except AudioError:
        raise
    except Exception as error:  # whatever a decoder makes of hostile bytes
        raise AudioError(_DAMAGED) from error


def _pyav_blocks(part: Part, notes: list[str]) -> Blocks:
    seen, rate, stated = 0, 0, 0.0
    with _opened(part) as container:
        stream = tracks.choose(container, notes)
        if part.kind in _STATED and stream.duration and stream.time_base:
            stated = float(stream.duration * stream.time_base)
        stream.codec_context.thread_count = 1
        pack = _Packer()
        for n, packet in enumerate(container.demux(stream)):
            if n > MAX_PACKETS:
                raise AudioError("The file has too many packets. Export it as FLAC or WAV.")
            if packet.is_corrupt and part.kind == "M4A":
                raise broken("the last of its packets is cut")
            for frame in packet.decode():
                rate, channels = check_rate(frame.sample_rate), frame.layout.nb_channels
                check_channels(channels)
                seen += frame.samples
                for piece in pack(frame) if channels >= 8 else (frame,):
                    yield rate, _frames(piece.to_ndarray(), channels)
    if rate and seen / rate < stated - _SLACK:
        raise _too_short(stated)


class _Packer:
    """Makes frames of one interleaved plane.

    PyAV reads eight planes and more beyond the frame's table of them, which ends the process.
    """

    def __init__(self) -> None:
        self.layout: tuple[Any, ...] = ()

    def __call__(self, frame: Any) -> Any:
        import av

        layout = (frame.sample_rate, frame.format.name, frame.layout.name)
        if layout != self.layout:
            self.layout = layout
            self.resampler = av.AudioResampler(frame.format.packed, frame.layout, layout[0])
        return self.resampler.resample(frame)


def _frames(array: npt.NDArray, channels: int) -> Frames:
    """PyAV's planar (channels, n) or packed (1, n * channels) samples as float (n, channels)."""
    frames = array.T if array.shape[0] == channels else array.reshape(-1, channels)
    return scale(frames)


def scale(samples: npt.NDArray) -> npt.NDArray[np.floating]:
    """Samples as floats where full scale is 1; floats are taken as they are."""
    if samples.dtype.kind == "f":
        return samples
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind == "i":
        wide = "f4" if samples.dtype.itemsize <= 2 else "f8"
        return samples.astype(wide) / 2 ** (8 * samples.dtype.itemsize - 1)
    raise AudioError(f"Samples of type {samples.dtype} are not audio. Use floats or int16.")

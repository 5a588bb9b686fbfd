"""Decoding in bounded blocks. Nothing a file says about its own length or size is believed."""

from __future__ import annotations

import io
import math
from collections.abc import Generator

import numpy as np
import numpy.typing as npt

from modgap.audio.containers import broken, check_structure, sniff, strip_id3
from modgap.core.errors import AudioError

Samples = npt.NDArray[np.float32]
Blocks = Generator[tuple[int, Samples], None, None]

MAX_CHANNELS = 8
MIN_RATE, MAX_RATE = 4_000, 192_000
MAX_SAMPLES = 600 * 48_000  # 115 MB of float32; at higher rates the longest clip is shorter
MAX_POSITION = 7_200.0  # seconds; what lies before `start` must be decoded and thrown away
_BLOCK = 1 << 16  # frames read at a time
_ROUNDING = 0.05  # seconds; an `end` past the end by less is a rounded duration, not a mistake
_CODECS = "aac,aac_latm,mp3,mp3float,opus,libopus,vorbis,libvorbis,flac,alac"
_PCM = ",pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_f32le,pcm_f32be,pcm_f64le"
_DEMUXER = {"M4A": "mov", "WebM": "matroska", "AAC": "aac", "FLAC": "flac"}
_DAMAGED = "The audio could not be decoded; the file may be damaged. Record or export it again."


def too_long(limit: float) -> AudioError:
    """Error for a clip over the limit (seconds): how long it may be, and the way out."""
    return AudioError(
        f"The clip is longer than {limit:g} s, the most that is taken here. "
        "Trim it: give start and end (in seconds) of the part to use."
    )


def check_rate(rate: int) -> int:
    """The rate in Hz, if it is one that sound is recorded with."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(
            f"The sample rate is {rate} Hz; it must be from {MIN_RATE} to {MAX_RATE} Hz. "
            "Export the clip at 16000 Hz."
        )
    return rate


def check_channels(channels: int) -> int:
    """The number of channels, if it is one that is taken."""
    if channels == 0:
        raise AudioError("The clip has no channels, so no sound. Export it again.")
    if channels > MAX_CHANNELS:
        raise AudioError(
            f"The clip has {channels} channels; at most {MAX_CHANNELS} are taken. Mix it down."
        )
    return channels


def to_mono(frames: npt.NDArray[np.floating]) -> Samples:
    """Mean over the channels of an (n, channels) array, as float32 (n,)."""
    channels = check_channels(frames.shape[1])
    with np.errstate(all="ignore"):  # overflow to infinity is refused with a message later
        if channels == 1:
            return frames[:, 0].astype(np.float32)
        return frames.mean(axis=1, dtype=np.float64).astype(np.float32)


class Window:
    """Keeps the samples from `start` to `end` of blocks that come one after another.

    Parameters
    ----------
    rate : int
        Samples a second; checked here.
    start, end : float
        Seconds; sample ``round(start * rate)`` is the first, ``round(end * rate)`` the first
        that is left out. `end` None is the end of the clip.
    max_seconds : float
        Longest stretch that is kept.
    max_samples : int
        The same in samples, for memory.
    """

    def __init__(
        self,
        rate: int,
        start: float,
        end: float | None,
        max_seconds: float,
        max_samples: int = MAX_SAMPLES,
    ) -> None:
        self.rate = check_rate(rate)
        self.start, self.end = start, end
        self.first = round(start * rate)
        self.last = None if end is None else round(end * rate)
        self.limit = min(max_seconds, max_samples / rate)
        self.parts: list[Samples] = []
        self.seen = self.kept = 0

    def add(self, block: Samples) -> bool:
        """Take the next block; False if no more are wanted."""
        low = max(self.first - self.seen, 0)
        high = len(block) if self.last is None else min(len(block), self.last - self.seen)
        if high > low:
            self.parts.append(block[low:high])
            self.kept += high - low
        self.seen += len(block)
        if self.kept > math.floor(self.limit * self.rate + 1e-6):
            raise too_long(self.limit)
        return self.last is None or self.seen < self.last

    def result(self) -> Samples:
        """The kept samples; an error if the asked range does not lie in what came."""
        length = self.seen / self.rate
        if self.seen == 0:
            raise AudioError("The file holds no sound: it is empty behind its header.")
        if self.first >= self.seen:
            raise AudioError(
                f"The trim starts at {self.start:g} s, but the clip ends at {length:.2f} s. "
                "Choose an earlier start."
            )
        if self.end is not None and self.end > length + _ROUNDING:
            raise AudioError(
                f"The trim ends at {self.end:g} s, but the clip ends at {length:.2f} s. "
                "Choose an earlier end, or leave it out."
            )
        return np.concatenate(self.parts) if self.parts else np.zeros(0, np.float32)


def decode(
    data: bytes, start: float, end: float | None, max_seconds: float
) -> tuple[Samples, int, str]:
    """Decode the part of a file that is asked for.

    Returns
    -------
    samples : float32 (n,)
        Mono, at the file's rate.
    rate : int
    kind : str
        As `modgap.audio.containers.sniff` names it.

    Raises
    ------
    AudioError
        For anything that is wrong with the bytes.
    """
    size, data = len(data), strip_id3(data)
    kind = sniff(data)
    check_structure(kind, data, size)
    # libsndfile cannot end a FLAC stream whose header leaves its length open.
    with_pyav = kind in ("M4A", "WebM", "AAC") or (kind == "FLAC" and not _flac_samples(data))
    blocks = _pyav_blocks(data, kind) if with_pyav else _soundfile_blocks(data, kind)
    window: Window | None = None
    try:
        for rate, block in blocks:
            if window is None:
                window = Window(rate, start, end, max_seconds)
            if not window.add(block):
                break
    finally:
        blocks.close()
    if window is None:
        raise AudioError("The file holds no sound: it is empty behind its header.")
    return window.result(), window.rate, kind


def _soundfile_blocks(data: bytes, kind: str) -> Blocks:
    import soundfile as sf

    promised = _flac_samples(data) if kind == "FLAC" else 0
    seen, rate = 0, 0
    try:
        with sf.SoundFile(io.BytesIO(data)) as file:
            rate = check_rate(file.samplerate)
            check_channels(file.channels)
            while len(frames := file.read(_BLOCK, dtype="float32", always_2d=True)):
                seen += len(frames)
                yield rate, to_mono(frames)
    except AudioError:
        raise
    except Exception as error:  # whatever a decoder makes of hostile bytes
        if not (promised and rate):
            raise AudioError(_DAMAGED) from error
    if seen < promised:
        raise broken(f"its header promises {promised / rate:.2f} s, not all of which can be read")


def _flac_samples(data: bytes) -> int:
    """Samples a FLAC header promises (36 bits of STREAMINFO), 0 if it does not say."""
    return int.from_bytes(data[21:26], "big") & 0xF_FFFF_FFFF


def _pyav_blocks(data: bytes, kind: str) -> Blocks:
    import av

    # The demuxer is fixed (some of ffmpeg's open other files or addresses) and only audio
    # codecs are allowed, so that a video track is not even probed.
    codecs = _CODECS + _PCM
    options = {"codec_whitelist": codecs, "probesize": "5000000"}
    first: tuple[int, int] | None = None
    try:
        with av.open(
            io.BytesIO(data),
            "r",
            format=_DEMUXER[kind],
            options=options,
            metadata_errors="ignore",
        ) as container:
            if not container.streams.audio:
                raise AudioError("The file has no sound track. Choose another one.")
            stream = container.streams.audio[0]
            codec = stream.codec_context.name if stream.codec_context else "an unknown way"
            if codec not in codecs.split(","):
                raise AudioError(
                    f"The sound is coded as {codec}, which is not read. Export it as WAV or FLAC."
                )
            stream.codec_context.thread_count = 1
            for frame in container.decode(stream):
                layout = (frame.sample_rate, frame.layout.nb_channels)
                if first is None:
                    first = layout
                    check_rate(layout[0])
                    check_channels(layout[1])
                    packer = av.AudioResampler(frame.format.packed, frame.layout, layout[0])
                if layout != first:
                    raise AudioError(
                        "The clip changes its sample rate or channels on the way. Export it again."
                    )
                # PyAV reads eight planes and more beyond the frame's table of them, which
                # ends the process; one interleaved plane is read as it should be.
                packed = packer.resample(frame) if layout[1] >= 8 else [frame]
                for part in packed:
                    yield part.sample_rate, to_mono(_frames(part.to_ndarray(), layout[1]))
    except AudioError:
        raise
    except Exception as error:  # whatever a decoder makes of hostile bytes
        raise AudioError(_DAMAGED) from error


def _frames(array: npt.NDArray, channels: int) -> npt.NDArray[np.floating]:
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

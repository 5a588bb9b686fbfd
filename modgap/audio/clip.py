"""Audio in: one place that decodes, checks, resamples and fingerprints a clip.

Read are the kinds of `modgap.audio.formats.KINDS`: WAV, OGG (Opus, Vorbis) and MP3 with libsndfile,
all others with the FFmpeg in PyAV's wheel. Every refusal is one exception, `AudioError`, whose
message says what is wrong and what to do.
"""

from __future__ import annotations

import hashlib
import io
import math
import wave
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from modgap.audio.arguments import check_channel, check_range, from_array, rate_of, refuse_rate
from modgap.audio.blocks import Frames, check_rate
from modgap.audio.decoding import Samples, Window, decode
from modgap.audio.mixing import Mixer
from modgap.audio.sources import MAX_BYTES, display_name, read_source
from modgap.core.errors import AudioError

__all__ = ["MAX_BYTES", "MAX_SECONDS", "MIN_SECONDS", "SILENCE_DBFS", "Clip", "load_clip"]

MAX_SECONDS = 600.0
MIN_SECONDS = 0.1
SILENCE_DBFS = -80.0  # below this not even a loud whisper moves more than 3 steps of 16 bits
_SILENT = 10 ** (SILENCE_DBFS / 20)
MAX_PEAK = 100.0  # floats beyond it are integers that were not scaled, not loud sound


@dataclass(frozen=True, eq=False)
class Clip:
    """A mono recording that passed all checks; two clips with the same sound are equal.

    Attributes
    ----------
    samples : float32 ndarray (n,)
        Read-only, full scale is 1. Values of float files beyond 1 are kept as they are.
    rate : int
        Samples a second, as in the source.
    name : str
        For display only.
    kind : str
        A key of `modgap.audio.formats.KINDS`, such as "WAV", or "array".
    channels : int
        Channels of the source, of which `samples` is the mean or one.
    notes : tuple of str
        What its user should know: channels that cancel, several recordings in one file.
    sha256 : str
        Of rate and samples, so the same sound under two names or containers is the same.

    Raises
    ------
    AudioError
        NaN or infinite samples, shorter than `MIN_SECONDS`, silence (half the range from lowest
        to highest sample is below `SILENCE_DBFS`; so a constant offset is silence too), samples
        beyond 100 times full scale, a rate outside 4-192 kHz.
    """

    samples: Samples = field(repr=False)
    rate: int
    name: str = "clip"
    kind: str = "array"
    sha256: str = field(init=False)
    channels: int = 1
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        samples = self.samples
        if samples.dtype != np.float32 or samples.ndim != 1:
            raise AudioError("Clip takes float32 samples of shape (n,). Use load_clip for others.")
        check_rate(self.rate)
        if samples.flags.writeable or not samples.flags.c_contiguous:
            samples = samples.copy()
            samples.setflags(write=False)
        _check_sound(samples, self.rate)
        digest = hashlib.sha256(b"%d\n" % self.rate)
        digest.update(samples.astype("<f4", copy=False).data)
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "sha256", digest.hexdigest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Clip) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    def trim(self, start: float = 0.0, end: float | None = None) -> Clip:
        """The part from `start` to `end` (seconds), exactly as `load_clip` would cut it.

        Raises
        ------
        AudioError
            The range is upside down, outside the clip, or leaves too little sound.
        """
        return load_clip(self, start=start, end=end, max_seconds=math.inf)

    def resample(self, rate: int) -> Samples:
        """Samples at another rate: a new float32 array (m,), by soxr at its high quality."""
        import soxr

        check_rate(rate)
        if rate == self.rate:
            return self.samples.copy()
        return soxr.resample(self.samples, self.rate, rate, quality="HQ").astype(np.float32)

    def wav_bytes(self, rate: int = 16_000) -> bytes:
        """The clip as a 16-bit PCM WAV file, for players; scaled down if it goes beyond 1."""
        samples = self.resample(rate)
        samples /= max(1.0, float(np.abs(samples).max()))
        pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2")
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(pcm.tobytes())
        return out.getvalue()


def load_clip(
    source: str | Path | bytes | BinaryIO | npt.NDArray | Clip,
    *,
    rate: int | None = None,
    name: str | None = None,
    start: float | None = None,
    end: float | None = None,
    channel: int | None = None,
    max_seconds: float = MAX_SECONDS,
) -> Clip:
    """Read a clip from a file, bytes, a file object or an array.

    Parameters
    ----------
    source : str, Path, bytes, file object, ndarray or Clip
        Files of at most `MAX_BYTES`, read whole; file objects from where they stand. Arrays:
        (n,) or (n, channels), floats with full scale 1, int8, int16, int32 (scaled to it), or
        uint8 (128 is zero, as in WAV). At most 8 channels.
    rate : int, optional
        Samples a second; needed for arrays, refused for the rest, which say it themselves.
    name : str, optional
        Shown to the user; default the file's own.
    start, end : float, optional
        Seconds. Only this part is kept, so that a file longer than `max_seconds` can be used;
        what lies before is decoded and dropped (up to 2 h of it).
    channel : int, optional
        Which channel is taken, counted from 1; by default the mean of all. Where they cancel each
        other in the mean, the clip's `notes` say so.
    max_seconds : float
        Longest part taken (at 48 kHz at most 600 s, whatever is given: memory).

    Returns
    -------
    Clip

    Raises
    ------
    AudioError
        Always this, whatever is wrong; what of a broken file can be noticed is written at
        `modgap.audio.containers.parts`.

    Examples
    --------
    >>> tone = np.sin(np.arange(16000) / 5).astype(np.float32)
    >>> load_clip(tone, rate=16000, name="tone", end=0.5).seconds
    0.5
    """
    start, end = check_range(start, end, max_seconds)
    check_channel(channel)
    if isinstance(source, Clip):
        refuse_rate(rate)
        if channel is not None:
            raise AudioError("A clip has one channel left. Give channel when its file is read.")
        samples = _cut(source.samples[:, None], source.rate, start, end, max_seconds, Mixer())
        return replace(source, samples=samples, name=display_name(name or source.name))
    if isinstance(source, np.ndarray):
        mixer, own_rate = Mixer(channel), rate_of(rate)
        samples = _cut(from_array(source), own_rate, start, end, max_seconds, mixer)
        return _clip(samples, own_rate, name or "array", "array", mixer)
    refuse_rate(rate)
    data, own_name = read_source(source)
    if not data:
        raise AudioError("The file is empty. Choose or record another one.")
    if len(data) > MAX_BYTES:
        raise AudioError(
            f"The file is larger than {MAX_BYTES >> 20} MiB. Cut it, or save it as FLAC or MP3."
        )
    found = decode(data, start, end, max_seconds, channel)
    return _clip(found.samples, found.rate, name or own_name, found.kind, found.mixer, found.notes)


def _cut(
    frames: Frames,
    rate: int,
    start: float,
    end: float | None,
    max_seconds: float,
    mixer: Mixer,
) -> Samples:
    window = Window(rate, start, end, max_seconds, mixer, max_samples=len(frames))
    window.add(frames)
    return window.result()


def _clip(
    samples: Samples, rate: int, name: str, kind: str, mixer: Mixer, notes: tuple[str, ...] = ()
) -> Clip:
    cancels = mixer.cancels
    if cancels and _half_range(samples) < _SILENT:
        raise AudioError(f"The clip is silent. {cancels}")
    notes = (*notes, cancels) if cancels else notes
    return Clip(samples, rate, display_name(name), kind, channels=mixer.channels, notes=notes)


def _half_range(samples: Samples) -> float:
    return (float(samples.max()) - float(samples.min())) / 2 if len(samples) else 0.0


def _check_sound(samples: Samples, rate: int) -> None:
    seconds = len(samples) / rate
    if not np.isfinite(samples).all():
        raise AudioError("The audio contains NaN or infinite samples. Export it again.")
    if seconds < MIN_SECONDS:
        raise AudioError(
            f"The clip is {seconds:.3f} s long, shorter than the {MIN_SECONDS:g} s needed. "
            "Choose a longer one or a wider trim."
        )
    if _half_range(samples) < _SILENT:
        raise AudioError(
            f"The clip is silent: its peak is below {SILENCE_DBFS:g} dBFS. "
            "Check the microphone, or choose another part."
        )
    peak = max(float(samples.max()), -float(samples.min()))
    if peak > MAX_PEAK:
        raise AudioError(
            f"The samples reach {peak:,.0f}, but floating point audio lies within -1 "
            "and 1. Divide by 32768 if they were 16-bit values, or pass them as int16."
        )

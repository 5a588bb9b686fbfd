"""Audio in: one place that decodes, checks, resamples and fingerprints a clip.

Read are WAV, FLAC, OGG (Opus, Vorbis) and MP3 with libsndfile, and what phones and browsers
record, M4A/MP4 (AAC, ALAC, Opus) and WebM (Opus, Vorbis), with the FFmpeg in PyAV's wheel. Every
refusal is one exception, `AudioError`, whose message says what is wrong and what to do.
"""

from __future__ import annotations

import hashlib
import io
import math
import numbers
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from modgap.audio.decoding import (
    MAX_CHANNELS,
    MAX_POSITION,
    Samples,
    Window,
    check_rate,
    decode,
    scale,
    to_mono,
    too_long,
)
from modgap.audio.sources import MAX_BYTES, display_name, read_source
from modgap.core.errors import AudioError

__all__ = ["MAX_BYTES", "MAX_SECONDS", "MIN_SECONDS", "SILENCE_DBFS", "Clip", "load_clip"]

MAX_SECONDS = 600.0
MIN_SECONDS = 0.1
SILENCE_DBFS = -80.0  # below this not even a loud whisper moves more than 3 steps of 16 bits
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
        "WAV", "FLAC", "OGG", "MP3", "AAC", "M4A", "WebM" or "array".
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
    max_seconds: float = MAX_SECONDS,
) -> Clip:
    """Read a clip from a file, bytes, a file object or an array.

    Parameters
    ----------
    source : str, Path, bytes, file object, ndarray or Clip
        Files of at most `MAX_BYTES`, read whole; file objects from where they stand. Arrays:
        (n,) or (n, channels), floats with full scale 1, int8, int16, int32 (scaled to it), or
        uint8 (128 is zero, as in WAV). Channels (at most 8) are averaged.
    rate : int, optional
        Samples a second; needed for arrays, refused for the rest, which say it themselves.
    name : str, optional
        Shown to the user; default the file's own.
    start, end : float, optional
        Seconds. Only this part is kept, so that a file longer than `max_seconds` can be used;
        what lies before is decoded and dropped (up to 2 h of it).
    max_seconds : float
        Longest part taken (at 48 kHz at most 600 s, whatever is given: memory).

    Returns
    -------
    Clip

    Raises
    ------
    AudioError
        Always this, whatever is wrong; what of a broken file can be noticed is written at
        `modgap.audio.containers.check_structure`.

    Examples
    --------
    >>> tone = np.sin(np.arange(16000) / 5).astype(np.float32)
    >>> load_clip(tone, rate=16000, name="tone", end=0.5).seconds
    0.5
    """
    start, end = _check_range(start, end, max_seconds)
    if isinstance(source, np.ndarray | Clip):
        if isinstance(source, Clip):
            samples, own_rate, kind, own_name = (
                source.samples,
                source.rate,
                source.kind,
                source.name,
            )
            _refuse_rate(rate)
        else:
            samples, own_rate, kind, own_name = _from_array(source), _rate(rate), "array", "array"
        window = Window(own_rate, start, end, max_seconds, max_samples=len(samples))
        window.add(samples)
        return Clip(window.result(), own_rate, display_name(name or own_name), kind)
    _refuse_rate(rate)
    data, own_name = read_source(source)
    if not data:
        raise AudioError("The file is empty. Choose or record another one.")
    if len(data) > MAX_BYTES:
        raise AudioError(
            f"The file is larger than {MAX_BYTES >> 20} MiB. Cut it, or save it as FLAC or MP3."
        )
    samples, own_rate, kind = decode(data, start, end, max_seconds)
    return Clip(samples, own_rate, display_name(name or own_name), kind)


def _check_sound(samples: Samples, rate: int) -> None:
    seconds = len(samples) / rate
    if not np.isfinite(samples).all():
        raise AudioError("The audio contains NaN or infinite samples. Export it again.")
    if seconds < MIN_SECONDS:
        raise AudioError(
            f"The clip is {seconds:.3f} s long, shorter than the {MIN_SECONDS:g} s needed. "
            "Choose a longer one or a wider trim."
        )
    low, high = float(samples.min()), float(samples.max())
    if (high - low) / 2 < 10 ** (SILENCE_DBFS / 20):
        raise AudioError(
            f"The clip is silent: its peak is below {SILENCE_DBFS:g} dBFS. "
            "Check the microphone, or choose another part."
        )
    if max(high, -low) > MAX_PEAK:
        raise AudioError(
            f"The samples reach {max(high, -low):,.0f}, but floating point audio lies within -1 "
            "and 1. Divide by 32768 if they were 16-bit values, or pass them as int16."
        )


def _check_range(
    start: float | None, end: float | None, max_seconds: float
) -> tuple[float, float | None]:
    for label, value in (("start", start), ("end", end), ("max_seconds", max_seconds)):
        if value is None and label != "max_seconds":
            continue
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or math.isnan(value):
            raise AudioError(f"{label} must be a number of seconds, not {value!r}.")
    first = 0.0 if start is None else float(start)
    last = None if end is None else float(end)
    if first < 0 or math.isinf(first):
        raise AudioError(f"The trim starts at {first:g} s. Choose a start of 0 s or later.")
    if first > MAX_POSITION:
        raise AudioError(
            f"The trim starts at {first:g} s; only the first {MAX_POSITION:g} s of a file can be "
            "reached. Cut the file first."
        )
    if last is not None:
        if last <= first or math.isinf(last):
            raise AudioError(
                f"The trim from {first:g} s to {last:g} s is empty. Choose an end after the start."
            )
        if last - first > max_seconds + 1e-9:
            raise too_long(max_seconds)
    return first, last


def _refuse_rate(rate: int | None) -> None:
    if rate is not None:
        raise AudioError("rate is for arrays only; a file or clip says its own. Leave it out.")


def _rate(rate: Any) -> int:
    if rate is None:
        raise AudioError("An array has no sample rate of its own: give rate, in Hz.")
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not rate % 1 == 0:
        raise AudioError(f"rate must be a whole number of Hz, not {rate!r}.")
    return int(float(rate))


def _from_array(array: npt.NDArray) -> Samples:
    if array.dtype.kind not in "fiu" or (array.dtype.kind, array.dtype.itemsize) == ("i", 8):
        raise AudioError(
            f"An array of type {array.dtype} is not audio. Use floats within -1 and 1, or int16."
        )
    if array.ndim not in (1, 2):
        raise AudioError(f"The array has shape {array.shape}; use (n,) or (n, channels).")
    frames = array[:, None] if array.ndim == 1 else array
    if array.ndim == 2 and array.shape[1] > MAX_CHANNELS >= array.shape[0] > 0:
        raise AudioError(
            f"The array has shape {array.shape}, which looks like (channels, n). Transpose it."
        )
    return to_mono(scale(frames))

"""What `load_clip` is asked for, understood or refused in one sentence."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy.typing as npt

from modgap.audio.blocks import Frames, scale
from modgap.audio.decoding import MAX_POSITION, too_long
from modgap.audio.mixing import MAX_CHANNELS, check_channels
from modgap.core.errors import AudioError


def check_range(
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


def check_channel(channel: Any) -> None:
    if channel is None:
        return
    if isinstance(channel, bool) or not isinstance(channel, numbers.Integral) or channel < 1:
        raise AudioError(f"channel must be 1 (the first), 2, ..., not {channel!r}.")


def refuse_rate(rate: int | None) -> None:
    if rate is not None:
        raise AudioError("rate is for arrays only; a file or clip says its own. Leave it out.")


def rate_of(rate: Any) -> int:
    if rate is None:
        raise AudioError("An array has no sample rate of its own: give rate, in Hz.")
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not rate % 1 == 0:
        raise AudioError(f"rate must be a whole number of Hz, not {rate!r}.")
    return int(float(rate))


def from_array(array: npt.NDArray) -> Frames:
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
    check_channels(frames.shape[1])
    return scale(frames)

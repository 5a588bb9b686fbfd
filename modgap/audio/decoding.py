"""Decoding in bounded blocks. Nothing a file says about its own length or size is believed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modgap.audio.blocks import Frames, blocks_of, check_rate
from modgap.audio.containers import parts
from modgap.audio.mixing import Mixer
from modgap.core.errors import AudioError

Samples = npt.NDArray[np.float32]

MAX_SAMPLES = 600 * 48_000  # 115 MB of float32; at higher rates the longest clip is shorter
MAX_POSITION = 7_200.0  # seconds; what lies before `start` must be decoded and thrown away
_ROUNDING = 0.05  # seconds; an `end` past the end by less is a rounded duration, not a mistake
_EMPTY = "The file holds no sound: it is empty behind its header."


def too_long(limit: float) -> AudioError:
    """Error for a clip over the limit (seconds): how long it may be, and the way out."""
    return AudioError(
        f"The clip is longer than {limit:g} s, the most that is taken here. "
        "Trim it: give start and end (in seconds) of the part to use."
    )


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
    mixer : Mixer
        Makes one channel of several.
    max_samples : int
        The same in samples, for memory.
    """

    def __init__(
        self,
        rate: int,
        start: float,
        end: float | None,
        max_seconds: float,
        mixer: Mixer,
        max_samples: int = MAX_SAMPLES,
    ) -> None:
        self.rate = check_rate(rate)
        self.start, self.end = start, end
        self.first = round(start * rate)
        self.last = None if end is None else round(end * rate)
        self.limit = min(max_seconds, max_samples / rate)
        self.mixer = mixer
        self.parts: list[Samples] = []
        self.seen = self.kept = 0

    def add(self, block: Frames) -> bool:
        """Take the next block, (n, channels); False if no more are wanted."""
        low = max(self.first - self.seen, 0)
        high = len(block) if self.last is None else min(len(block), self.last - self.seen)
        if high > low:
            self.parts.append(self.mixer.add(block[low:high]))
            self.kept += high - low
        self.seen += len(block)
        if self.kept > math.floor(self.limit * self.rate + 1e-6):
            raise too_long(self.limit)
        return self.last is None or self.seen < self.last

    @property
    def seconds(self) -> float:
        """How far it has come."""
        return self.seen / self.rate

    def result(self) -> Samples:
        """The kept samples; an error if the asked range does not lie in what came."""
        length = self.seconds
        if self.seen == 0:
            raise AudioError(_EMPTY)
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


@dataclass(frozen=True)
class Decoded:
    """Part of a file: mono samples (n,), and what its user should know."""

    samples: Samples
    rate: int
    kind: str
    mixer: Mixer
    notes: tuple[str, ...]


def decode(
    data: bytes,
    start: float,
    end: float | None,
    max_seconds: float,
    channel: int | None = None,
) -> Decoded:
    """Decode the part of a file that is asked for.

    Recordings that were joined are read one after the other.

    Raises
    ------
    AudioError
        For anything that is wrong with the bytes.
    """
    window: Window | None = None
    mixer, found, wanted = Mixer(channel), parts(data), True
    notes: list[str] = []
    lengths: list[float] = []
    for part in found:
        if not wanted:
            break
        begun = window.seen if window else 0
        blocks = blocks_of(part, notes)
        try:
            for rate, block in blocks:
                if window is None:
                    window = Window(rate, start, end, max_seconds, mixer)
                if rate != window.rate:
                    raise _changes(window, rate)
                if not window.add(block):
                    wanted = False
                    break
        finally:
            blocks.close()
        if window is None:
            raise AudioError(_EMPTY)
        if window.seen == begun:
            raise AudioError(
                f"The recording in the file that begins at {window.seconds:.2f} s holds no sound. "
                f"Take the part before it, with its end at {window.seconds:.2f} s, or export it "
                "again."
            )
        lengths.append((window.seen - begun) / window.rate)
        if wanted and part.more:
            raise AudioError(
                f"The file goes on behind the {window.seconds:.2f} s that its header counts: "
                f"{part.more}. Export it again, or take the first part only, with its end at "
                f"{window.seconds:.2f} s or before."
            )
    if window is None:
        raise AudioError(_EMPTY)
    samples = window.result()
    if len(lengths) > 1:
        each = ", ".join(f"{seconds:.2f}" for seconds in lengths[:8])
        notes.insert(
            0,
            f"The file holds {len(found)} recordings one after the other, which are read as one: "
            f"{each}{', ...' if len(lengths) > 8 else ''} s.",
        )
    return Decoded(samples, window.rate, found[0].kind, mixer, tuple(dict.fromkeys(notes)))


def _changes(window: Window, rate: int) -> AudioError:
    at = f"{window.seconds:.2f} s"
    return AudioError(
        f"The clip changes its sample rate at {at}, from {window.rate} to {rate} Hz. Export it "
        f"again at one rate, or take the first part only, with its end at {at} or before."
    )

"""From channels to one: their mean or one of them, and whether the mean says what they say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modgap.core.errors import AudioError

Samples = npt.NDArray[np.float32]

MAX_CHANNELS = 8
#: Channels that have nothing in common keep 1 / n of their energy in their mean, and so does one
#: channel among n - 1 silent ones. Less than half of that is cancellation.
_CANCELS = 0.5


def check_channels(channels: int) -> int:
    """The number of channels, if it is one that is taken."""
    if channels == 0:
        raise AudioError("The clip has no channels, so no sound. Export it again.")
    if channels > MAX_CHANNELS:
        raise AudioError(
            f"The clip has {channels} channels; at most {MAX_CHANNELS} are taken. Mix it down."
        )
    return channels


class Mixer:
    """Makes one channel of several, block by block.

    Parameters
    ----------
    channel : int or None
        Which one is taken, counted from 1; None for the mean.

    Attributes
    ----------
    channels : int
        Most channels that a block had.
    """

    def __init__(self, channel: int | None = None) -> None:
        self.channel, self.channels = channel, 0
        self._count = 0
        self._sums = np.zeros(0)
        self._squares = self._mean_sum = self._mean_squares = 0.0

    def add(self, frames: npt.NDArray[np.floating]) -> Samples:
        """One channel (n,) of a block (n, channels)."""
        channels = check_channels(frames.shape[1])
        self.channels = max(self.channels, channels)
        if self.channel is not None:
            if self.channel > channels:
                has = "one channel" if channels == 1 else f"{channels} channels"
                raise AudioError(
                    f"There is no channel {self.channel}: the clip has {has}. "
                    "Choose one of these, or none for their mean."
                )
            frames = frames[:, self.channel - 1 : self.channel]
        with np.errstate(all="ignore"):  # overflow to infinity is refused with a message later
            if frames.shape[1] == 1:
                return frames[:, 0].astype(np.float32)
            mean = frames.mean(axis=1, dtype=np.float64)
            self._weigh(frames, mean)
            return mean.astype(np.float32)

    def _weigh(self, frames: npt.NDArray[np.floating], mean: npt.NDArray[np.float64]) -> None:
        if not self._count:
            self._sums = np.zeros(frames.shape[1])
        if len(self._sums) != frames.shape[1]:  # another recording in the same file
            return
        wide = frames.astype(np.float64)
        self._count += len(frames)
        self._sums += wide.sum(axis=0)
        self._squares += float(np.vdot(wide, wide))
        self._mean_sum += float(mean.sum())
        self._mean_squares += float(np.vdot(mean, mean))

    @property
    def kept(self) -> float:
        """Share of the channels' energy that is in their mean; constant offsets do not count."""
        if not self._count:
            return 1.0
        n, channels = self._count, len(self._sums)
        of_all = (self._squares - float(np.vdot(self._sums, self._sums)) / n) / channels
        of_mean = self._mean_squares - self._mean_sum**2 / n
        if not of_all > 1e-12 * n:
            return 1.0
        return max(0.0, of_mean / of_all)

    @property
    def cancels(self) -> str:
        """A sentence where the mean loses most of what the channels hold, else nothing."""
        if not self._count or self.kept >= _CANCELS / len(self._sums):
            return ""
        return (
            f"The {len(self._sums)} channels cancel each other: their mean keeps "
            f"{100 * self.kept:.2g} % of their energy. Choose one of them, such as channel 1 "
            "(--channel 1, channel=1)."
        )

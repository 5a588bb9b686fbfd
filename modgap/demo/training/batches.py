"""Batches as pure functions of (seed, step): a resumed run needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modgap.demo.compose import COMPOSITE
from modgap.demo.training.features import Heard
from modgap.demo.training.shards import stable_rng
from modgap.models.composite_net import stack

__all__ = ["Epochs", "collate", "positions"]

#: How much faster or slower frames are made in training: by this factor's logarithm at most.
TEMPO = 0.16


def positions(frames: int | np.ndarray) -> int | np.ndarray:
    """How many positions an utterance of so many frames has in the prompt."""
    return -(-frames // COMPOSITE.stack)


@dataclass
class Epochs:
    """Which utterances each step takes: all of them once an epoch, similar lengths together.

    Attributes
    ----------
    lengths : ndarray, shape (n,)
        Of the utterances.
    size : int
        Utterances a step.
    seed : int
    name : str
        So that two samplers of one seed differ.
    """

    lengths: np.ndarray
    size: int
    seed: int
    name: str = ""
    #: Batches whose utterances are sorted among themselves.
    together: int = 16

    def step(self, n: int) -> np.ndarray:
        """Indices of step `n`, int64, shape (size,)."""
        per_epoch = max(1, len(self.lengths) // self.size)
        epoch, batch = divmod(n, per_epoch)
        return self._order(epoch)[batch]

    def _order(self, epoch: int) -> np.ndarray:
        if getattr(self, "_epoch", None) != epoch:
            rng = stable_rng(self.name, self.seed, epoch)
            count = max(1, len(self.lengths) // self.size)
            order = np.resize(rng.permutation(len(self.lengths)), count * self.size)
            chunk = self.together * self.size
            for start in range(0, len(order), chunk):
                part = order[start : start + chunk]
                order[start : start + chunk] = part[np.argsort(self.lengths[part], kind="stable")]
            batches = order.reshape(count, self.size)
            self._batches, self._epoch = batches[rng.permutation(count)], epoch
        return self._batches


def collate(
    heard: Heard, rows: np.ndarray, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Stacked frames of utterances, as the adapter takes them.

    Parameters
    ----------
    heard : Heard
    rows : ndarray of int
    rng : numpy.random.Generator, optional
        Of training: another tempo, noise, and a few short stretches wiped out.

    Returns
    -------
    stacked : Tensor, shape (B, n, stack * d)
    mask : Tensor of bool, shape (B, n)
        Where there is an utterance.
    """
    clips = []
    for i in rows:
        frames = heard.frames(int(i))
        if rng is not None:
            frames = _disturbed(frames, rng)
        clips.append(stack(frames[None], COMPOSITE)[0])
    width = max(len(c) for c in clips)
    stacked = clips[0].new_zeros(len(clips), width, clips[0].shape[1])
    mask = torch.zeros(len(clips), width, dtype=torch.bool)
    for k, clip in enumerate(clips):
        stacked[k, : len(clip)] = clip
        mask[k, : len(clip)] = True
    return stacked, mask


def _disturbed(frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Frames said faster or slower, with noise, and with stretches and dimensions wiped out."""
    length = max(COMPOSITE.stack, round(len(frames) * float(np.exp(rng.uniform(-TEMPO, TEMPO)))))
    frames = functional.interpolate(frames.T[None], length, mode="linear", align_corners=True)[0].T
    chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
    frames = torch.randn(frames.shape, generator=chance).mul_(0.12 * frames.std()).add_(frames)
    for _ in range(int(rng.integers(0, 2 + length // 60))):
        size = int(rng.integers(1, 13))
        start = int(rng.integers(0, max(1, length - size)))
        frames[start : start + size] = 0.0
    if rng.random() < 0.5:
        dimensions = rng.choice(frames.shape[1], int(0.1 * frames.shape[1]), replace=False)
        frames[:, torch.from_numpy(dimensions)] = 0.0
    return frames

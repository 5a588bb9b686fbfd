"""Batches as pure functions of (seed, step): a resumed run needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modgap.demo.compose import STACK
from modgap.demo.training.features import Heard, positions
from modgap.demo.training.shards import stable_rng
from modgap.models.composite_net import CompositeConfig, stack

__all__ = ["Epochs", "collate"]

#: How much faster or slower frames are made in training: by this factor's logarithm at most.
TEMPO = 0.16
#: Share of the utterances whose frames are wiped out altogether: what Whisper's decoder reads
#: carries over from synthetic voices to people better than what an adapter learns of frames.
UNHEARD = 0.15
#: How frames are put side by side.
STACKING = CompositeConfig(stack=STACK, last="pad")


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
    heard: Heard, rows: np.ndarray, table: Tensor, rng: np.random.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Stacked frames of utterances, as the adapter takes them.

    Parameters
    ----------
    heard : Heard
    rows : ndarray of int
    table : Tensor, shape (V, d_llm)
        The text model's embeddings.
    rng : numpy.random.Generator, optional
        Of training: another tempo, noise, and a few short stretches wiped out.

    Returns
    -------
    stacked : Tensor, shape (B, n, (stack + reads) * d)
    mask : Tensor of bool, shape (B, n)
        Where there is an utterance.
    words : Tensor, shape (B, n, reads, d_llm)
        What was read at each position, as embeddings.
    """
    clips, said = [], []
    for i in rows:
        frames, read = heard.frames(int(i)), heard.read(int(i))
        ids, shares = heard.words(int(i))
        words = functional.embedding_bag(
            ids.flatten(0, 1), table, mode="sum", per_sample_weights=shares.flatten(0, 1)
        ).unflatten(0, ids.shape[:2])
        if rng is not None:
            frames, read, words = _disturbed(frames, read, words, rng)
        clips.append(torch.cat([stack(frames[None], STACKING)[0], read], -1))
        said.append(words)
    width = max(len(c) for c in clips)
    stacked = clips[0].new_zeros(len(clips), width, clips[0].shape[1])
    mask = torch.zeros(len(clips), width, dtype=torch.bool)
    for k, clip in enumerate(clips):
        stacked[k, : len(clip)] = clip
        mask[k, : len(clip)] = True
    padded = [functional.pad(w, (0, 0, 0, 0, 0, width - len(w))) for w in said]
    return stacked, mask, torch.stack(padded)


def _disturbed(
    frames: Tensor, read: Tensor, words: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Said faster or slower, with noise, and with stretches and dimensions wiped out."""
    length = max(STACK, round(len(frames) * float(np.exp(rng.uniform(-TEMPO, TEMPO)))))
    sizes = (length, positions(length))
    both = [_stretched(x, size) for x, size in zip((frames, read), sizes, strict=True)]
    words = words[torch.linspace(0, len(words) - 1, sizes[1]).round().long()].clone()
    chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
    both = [torch.randn(x.shape, generator=chance).mul_(0.12 * x.std()).add_(x) for x in both]
    for _ in range(int(rng.integers(0, 2 + length // 60))):
        size = int(rng.integers(1, 13))
        start = int(rng.integers(0, max(1, length - size)))
        both[0][start : start + size] = 0.0
        for x in (both[1], words):
            x[start // STACK : (start + size) // STACK] = 0.0
    if rng.random() < UNHEARD:
        both[0].zero_()
    if rng.random() < 0.5:
        for x in both:
            dimensions = rng.choice(x.shape[1], int(0.1 * x.shape[1]), replace=False)
            x[:, torch.from_numpy(dimensions)] = 0.0
    return both[0], both[1], words


def _stretched(x: Tensor, length: int) -> Tensor:
    """Rows (n, d) as so many, in between where needed."""
    return functional.interpolate(x.T[None], length, mode="linear", align_corners=True)[0].T

"""Linear CKA between any speech layer and any text layer, over aligned tokens of many clips.

Unbiased HSIC summed over minibatches (Nguyen, Raghu and Kornblith, 2021, arXiv 2010.15327; the
estimator is that of Song et al., 2012, JMLR 13): memory does not grow with the number of clips, and
unlike the biased estimate of `similarity.linear_cka` it is not high for any two sets when there
are fewer tokens than dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from modgap.core.errors import ModgapError

__all__ = ["CkaMap", "CkaStream"]

BATCH = 256
SMALLEST = 4  # tokens: below, the estimator is undefined


@dataclass(frozen=True, eq=False)
class CkaMap:
    """Similarity of every speech layer to every text layer.

    Attributes
    ----------
    values : float64 ndarray (K, K)
        Row: speech layer, column: text layer. At most 1; about 0 for unrelated layers, where it
        may be a little below. NaN where a layer does not vary over the tokens.
    layers : tuple of K int
    pairs : int
        Aligned tokens that it was made of.
    batches : int
    """

    values: np.ndarray
    layers: tuple[int, ...]
    pairs: int
    batches: int

    def table(self) -> pd.DataFrame:
        """``speech_layer``, ``text_layer``, ``cka``: a row a cell."""
        at = np.array(self.layers)
        return pd.DataFrame(
            {
                "speech_layer": np.repeat(at, len(at)),
                "text_layer": np.tile(at, len(at)),
                "cka": self.values.ravel(),
            }
        )


class CkaStream:
    """Takes clips one after the other; keeps at most a batch of tokens.

    Parameters
    ----------
    batch : int
        Tokens of a minibatch, at least 4.

    Raises
    ------
    ModgapError
        The batch is too small.
    """

    def __init__(self, batch: int = BATCH) -> None:
        if batch < SMALLEST:
            raise ModgapError(f"A minibatch for CKA needs at least {SMALLEST} tokens, not {batch}.")
        self.batch = batch
        self._held: list[tuple[Tensor, Tensor]] = []
        self._count = self._pairs = self._batches = 0
        self._cross: np.ndarray | None = None
        self._speech = self._text = np.zeros(0)

    def add(self, speech: Tensor, text: Tensor) -> None:
        """Take the aligned tokens of a clip.

        Parameters
        ----------
        speech, text : Tensor, shape (K, n, d)
            Row j of both belongs to one pair; any floating dtype and device.

        Raises
        ------
        ModgapError
            Shapes that do not fit each other or the clips before, NaN or infinite states.
        """
        if speech.ndim != 3 or speech.shape[:2] != text.shape[:2] or text.ndim != 3:
            raise ModgapError(
                f"Aligned tokens are (K, n, d) for speech and text; got {tuple(speech.shape)} and "
                f"{tuple(text.shape)}."
            )
        if self._held and len(self._held[0][0]) != len(speech):
            raise ModgapError("All clips must have the same layers.")
        if not (torch.isfinite(speech).all() and torch.isfinite(text).all()):
            raise ModgapError("CKA is undefined for NaN or infinite states.")
        self._held.append((speech.detach(), text.detach()))
        self._count += speech.shape[1]
        while self._count >= self.batch:
            self._take(self.batch)

    def finish(self, layers: tuple[int, ...] | None = None) -> CkaMap:
        """The map of all tokens; what is left of a batch counts if it is at least half of one.

        Raises
        ------
        ModgapError
            Fewer than 4 aligned tokens, or `layers` do not fit.
        """
        if self._count >= SMALLEST and (not self._batches or 2 * self._count >= self.batch):
            self._take(self._count)
        if self._cross is None:
            raise ModgapError(f"CKA needs at least {SMALLEST} aligned tokens.")
        named = tuple(range(len(self._cross))) if layers is None else layers
        if len(named) != len(self._cross):
            raise ModgapError(f"{len(named)} names for {len(self._cross)} layers.")
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.sqrt(np.outer(np.maximum(self._speech, 0), np.maximum(self._text, 0)))
            values = np.where(scale > 0, self._cross / scale, np.nan)
        return CkaMap(np.minimum(values, 1.0), named, self._pairs, self._batches)

    def _take(self, n: int) -> None:
        """One minibatch of the first `n` tokens held."""
        speech = torch.cat([s for s, _ in self._held], 1)
        text = torch.cat([t for _, t in self._held], 1)
        self._held = [(speech[:, n:], text[:, n:])] if speech.shape[1] > n else []
        self._count -= n
        s, t = _grams(speech[:, :n]), _grams(text[:, :n])
        cross, own_s, own_t = _hsic(s, t), _own(s), _own(t)
        if self._cross is None:
            self._cross, self._speech, self._text = cross, own_s, own_t
        else:
            self._cross, self._speech, self._text = (
                self._cross + cross, self._speech + own_s, self._text + own_t,
            )  # fmt: skip
        self._pairs += n
        self._batches += 1


def _grams(x: Tensor) -> np.ndarray:
    """Centred Gram matrices without their diagonals, float64 (K, n, n).

    Centring changes nothing in exact arithmetic; it keeps a large common mean out of the sums.
    """
    y = x.double() if x.device.type != "mps" else x.float()
    y = y - y.mean(1, keepdim=True)
    made = (y @ y.transpose(1, 2)).cpu().double().numpy()
    n = made.shape[1]
    made[:, np.arange(n), np.arange(n)] = 0.0
    return made


def _hsic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Unbiased HSIC of every Gram matrix of `a` with every one of `b`, (K, K')."""
    n = a.shape[1]
    rows_a, rows_b = a.sum(2), b.sum(2)
    trace = a.reshape(len(a), -1) @ b.reshape(len(b), -1).T
    sums = np.outer(rows_a.sum(1), rows_b.sum(1)) / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * (rows_a @ rows_b.T)) / (n * (n - 3))


def _own(a: np.ndarray) -> np.ndarray:
    """Unbiased HSIC of every Gram matrix with itself; 0 where it does not vary."""
    n = a.shape[1]
    rows = a.sum(2)
    made = (
        (a * a).sum((1, 2))
        + rows.sum(1) ** 2 / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (rows**2).sum(1)
    ) / (n * (n - 3))
    return np.where(np.abs(a).max((1, 2)) > 1e-12, made, 0.0)

"""What carries an Alignment Path Score: how many speech positions, and which of them are sinks.

A score is a mean over text tokens, whichever positions these go to. One position that is near every
text token, such as an attention sink in the silence, gives a high one with nothing aligned. The
score without sinks and silence is modgap's variant, never the source's: see docs/method.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modgap.core.errors import ModgapError

__all__ = ["BELOW_DB", "Filtered", "distinct", "silent", "sinks", "without_sinks"]

#: A position is silent if its sound is so many decibels below the loudest position's.
BELOW_DB = 40.0
#: A sink is the nearest position of at least so many text tokens, of at least this share of them,
#: and of at least so many times the number that each position would have, were all alike.
TOKENS, SHARE, EVEN = 3, 0.25, 3.0


@dataclass(frozen=True, eq=False)
class Filtered:
    """One measure's argmax path over the positions that are left.

    Attributes
    ----------
    kept : bool ndarray (K, T_s)
        Neither silent nor a sink of the layer.
    path : int32 ndarray (K, T_t)
        The nearest kept position of each text token; ties: the earliest. -1 where none is kept.
    score : float64 ndarray (K,)
        Mean over the path; NaN where none is kept.
    """

    kept: np.ndarray
    path: np.ndarray
    score: np.ndarray


def distinct(path: np.ndarray) -> np.ndarray:
    """How many different speech positions a path (K, T_t) holds, int64 (K,); -1 is none."""
    ordered = np.sort(path, axis=1)
    new = np.diff(ordered, axis=1, prepend=-1) != 0
    return (new & (ordered >= 0)).sum(1)


def silent(audio: np.ndarray, rate: int, times: np.ndarray, *, below_db: float = BELOW_DB
           ) -> np.ndarray:  # fmt: skip
    """Which speech positions hold no sound.

    Parameters
    ----------
    audio : ndarray (n,)
        Samples, of any scale.
    rate : int
        Samples a second.
    times : float ndarray (T_s, 2)
        Start and end of the positions in seconds.
    below_db : float
        The root mean square of a silent position is so far below that of the loudest one.

    Returns
    -------
    bool ndarray (T_s,)
    """
    power = np.concatenate([[0.0], np.cumsum(np.asarray(audio, np.float64) ** 2)])
    ends = np.clip(np.rint(np.asarray(times) * rate).astype(np.int64), 0, len(power) - 1)
    counts = np.maximum(ends[:, 1] - ends[:, 0], 1)
    mean = (power[ends[:, 1]] - power[ends[:, 0]]) / counts
    return mean <= mean.max(initial=0.0) * 10 ** (-below_db / 10)


def sinks(path: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Which positions draw the text tokens of a layer to themselves.

    Parameters
    ----------
    path : int ndarray (K, T_t)
        The nearest position of each text token, -1 for none.
    candidates : bool ndarray (T_s,)
        The positions that the path was found among.

    Returns
    -------
    bool ndarray (K, T_s)
        Nearest of at least 3 text tokens, of a quarter of them, and of 3 T_t / n, where n is the
        number of candidates.
    """
    K, T_t = path.shape
    n_speech = len(candidates)
    counts = np.zeros((K, n_speech), np.int64)
    k = np.broadcast_to(np.arange(K)[:, None], path.shape)
    there = path >= 0
    np.add.at(counts, (k[there], path[there]), 1)
    even = EVEN * T_t / max(1, int(candidates.sum()))
    return counts >= max(TOKENS, SHARE * T_t, even)


def without_sinks(matrices: np.ndarray, quiet: np.ndarray, *, lowest: bool = False) -> Filtered:
    """The argmax path and its score once silent positions, and then sinks, are left out.

    Sinks are looked for once, among what is not silent: another position may become the nearest of
    many tokens when they are gone, and stays.

    Parameters
    ----------
    matrices : float ndarray (K, T_s, T_t)
    quiet : bool ndarray (T_s,)
        Positions that hold no sound.
    lowest : bool
        The nearest has the smallest entry (distances).

    Raises
    ------
    ModgapError
        Shapes that do not fit.
    """
    K, T_s, _ = matrices.shape
    if quiet.shape != (T_s,):
        raise ModgapError(f"{T_s} speech positions need as many flags, not {quiet.shape}.")
    heard = np.broadcast_to(~quiet, (K, T_s))
    first, _ = _nearest(matrices, heard, lowest)
    kept = heard & ~sinks(first, ~quiet)
    path, score = _nearest(matrices, kept, lowest)
    return Filtered(kept, path, score)


def _nearest(matrices: np.ndarray, kept: np.ndarray, lowest: bool
             ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    worst = np.inf if lowest else -np.inf
    open_ = np.where(kept[:, :, None], matrices, worst)
    path = open_.argmin(1) if lowest else open_.argmax(1)
    none: np.ndarray = ~np.asarray(kept.any(1))
    values = np.take_along_axis(matrices, path[:, None, :], 1)[:, 0].mean(1, dtype=np.float64)
    path = np.where(none[:, None], -1, path).astype(np.int32)
    return path, np.where(none, np.nan, values)

"""Fine measures: which speech position each text token goes with (method, section 3).

Definitions after Xiang et al., "Understanding the Modality Gap", arXiv 2510.12116.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modgap.core.errors import ModgapError
from modgap.measures.dtw import Traced, best_on_paths, best_rows, trace
from modgap.measures.similarity_matrices import similarity_matrices

__all__ = [
    "Alignment",
    "align",
    "argmax_path",
    "dtw_paths",
    "monotonicity",
    "path_pairs",
    "similarity_matrices",
]

Array = np.ndarray | Tensor

TOO_SHORT = "undefined for fewer than 2 text tokens"
ALL_EQUAL = "undefined: every text token goes to the same speech position"


@dataclass(frozen=True, eq=False)
class Alignment:
    """Matrices, paths and scores of K layers of one clip, on the CPU.

    ``_cos`` goes with the cosine (high is near), ``_euc`` with the distance (low is near).

    Attributes
    ----------
    similarity, distance : ndarray float32, shape (K, T_s, T_t)
        S[i, j] = cos(H_s[i], H_t[j]) and D[i, j] = ||H_s[i] - H_t[j]||.
    argmax_cos, argmin_euc : ndarray int32, shape (K, T_t)
        The source's path: i*(j), the nearest speech position of text token j; ties: the earliest.
    dtw_cos, dtw_euc : tuple of K ndarray int32, shape (P, 2)
        Monotone path (i, j), start first, that minimises the sum of 1 - S (of D).
    dtw_pair_cos, dtw_pair_euc : ndarray int32, shape (K, T_t)
        Per text token, the nearest of its positions on the monotone path; ties: the earliest.
    aps_cos, aps_euc : ndarray float64, shape (K,)
        Alignment Path Score: mean over j of S[i*(j), j] (of D[i*(j), j]).
    aps_dtw_cos, aps_dtw_euc : ndarray float64, shape (K,)
        The same over the monotone path's pairs.
    monotonicity_cos, monotonicity_euc : ndarray float64, shape (K,)
        Spearman's rho between j and i*(j); NaN where it is undefined.
    monotonicity_reason_cos, monotonicity_reason_euc : tuple of K (str or None)
        Why it is undefined, None where it is not.
    """

    similarity: np.ndarray
    distance: np.ndarray
    argmax_cos: np.ndarray
    argmin_euc: np.ndarray
    dtw_cos: tuple[np.ndarray, ...]
    dtw_euc: tuple[np.ndarray, ...]
    dtw_pair_cos: np.ndarray
    dtw_pair_euc: np.ndarray
    aps_cos: np.ndarray
    aps_euc: np.ndarray
    aps_dtw_cos: np.ndarray
    aps_dtw_euc: np.ndarray
    monotonicity_cos: np.ndarray
    monotonicity_euc: np.ndarray
    monotonicity_reason_cos: tuple[str | None, ...]
    monotonicity_reason_euc: tuple[str | None, ...]


def align(S: Array, D: Array) -> Alignment:
    """Both paths for both measures and their scores, all layers at once.

    Parameters
    ----------
    S, D : array, shape (K, T_s, T_t)
        Cosine similarity and Euclidean distance, as ``similarity_matrices`` gives them.

    Raises
    ------
    ModgapError
        Shapes that do not fit, no positions, NaN or infinite entries.
    """
    S, D = _matrices(S, np.float32), _matrices(D, np.float32)
    if S.shape != D.shape:
        raise ModgapError(f"S and D must have one shape; got {S.shape} and {D.shape}.")
    return align_checked(S, D)


def align_checked(S: np.ndarray, D: np.ndarray) -> Alignment:
    """``align`` for matrices that need no check.

    Parameters
    ----------
    S, D : ndarray float32, shape (K, T_s, T_t)
        C-contiguous and finite.
    """
    cos, euc = trace((S, True), (D, False))
    rho_cos, reason_cos = monotonicity(cos.best)
    rho_euc, reason_euc = monotonicity(euc.best)
    return Alignment(
        similarity=S,
        distance=D,
        argmax_cos=cos.best,
        argmin_euc=euc.best,
        dtw_cos=_cut(cos),
        dtw_euc=_cut(euc),
        dtw_pair_cos=cos.pairs,
        dtw_pair_euc=euc.pairs,
        aps_cos=_score(S, cos.best),
        aps_euc=_score(D, euc.best),
        aps_dtw_cos=_score(S, cos.pairs),
        aps_dtw_euc=_score(D, euc.pairs),
        monotonicity_cos=rho_cos,
        monotonicity_euc=rho_euc,
        monotonicity_reason_cos=reason_cos,
        monotonicity_reason_euc=reason_euc,
    )


def argmax_path(matrices: Array, *, lowest: bool = False) -> np.ndarray:
    """i*(j): per text token the speech position of the highest (``lowest``: smallest) entry.

    Parameters
    ----------
    matrices : array, shape (K, T_s, T_t)

    Returns
    -------
    ndarray int32, shape (K, T_t)
        Ties go to the earliest position.
    """
    m = _matrices(matrices)
    best = np.empty((len(m), m.shape[2]), np.int32)
    best_rows(m, not lowest, best)
    return best


def dtw_paths(cost: Array) -> tuple[np.ndarray, ...]:
    """Monotone paths of least summed cost, from (0, 0) to (T_s - 1, T_t - 1).

    Steps (1, 1), (0, 1), (1, 0) of equal weight. Exactly ``librosa.sequence.dtw(C=cost[k])`` with
    its ties, but start first.

    Parameters
    ----------
    cost : array, shape (K, T_s, T_t)

    Returns
    -------
    tuple of K ndarray int32, shape (P, 2)

    Raises
    ------
    ModgapError
        Wrong shape, no positions, NaN or infinite entries.
    """
    (traced,) = trace((_matrices(cost), False))
    return _cut(traced)


def path_pairs(path: np.ndarray, matrix: Array, *, lowest: bool = False) -> np.ndarray:
    """Per text token, the speech position on a monotone path with the highest (lowest) entry.

    Parameters
    ----------
    path : ndarray int, shape (P, 2)
        Pairs (i, j), start first, that visit every j.
    matrix : array, shape (T_s, T_t)

    Returns
    -------
    ndarray int32, shape (T_t,)
        Ties go to the earliest position.

    Raises
    ------
    ModgapError
        The path leaves the matrix or misses a text token.
    """
    m = _matrices(matrix[None])
    p = np.ascontiguousarray(path, np.int32)
    shaped = p.ndim == 2 and p.shape[1] == 2 and len(p) > 0
    if not shaped or p.min() < 0 or (p.max(0) >= m.shape[1:]).any():
        raise ModgapError(f"A path holds (i, j) pairs inside the {m.shape[1:]} matrix.")
    pairs = np.empty((1, m.shape[2]), np.int32)
    best_on_paths(m, not lowest, p[None], np.array([len(p)], np.int32), pairs)
    if (pairs < 0).any():
        raise ModgapError("The path does not visit every text token.")
    return pairs[0]


def monotonicity(i_star: np.ndarray) -> tuple[np.ndarray, tuple[str | None, ...]]:
    """Spearman's rho between j and i*(j), ranks of ties averaged.

    Parameters
    ----------
    i_star : ndarray int, shape (K, T_t)
        Speech position of each text token.

    Returns
    -------
    rho : ndarray float64, shape (K,)
        NaN where undefined: fewer than 2 text tokens, or all positions equal.
    reasons : tuple of K (str or None)
        Why it is undefined, else None.

    Raises
    ------
    ModgapError
        No positions: wrong shape, not integers, negative.
    """
    i_star = np.asarray(i_star)
    if i_star.ndim != 2 or 0 in i_star.shape or i_star.dtype.kind not in "iu" or i_star.min() < 0:
        raise ModgapError(
            "Monotonicity takes speech positions: integers >= 0 of shape (K, T_t), not "
            f"{i_star.dtype} of shape {i_star.shape}."
        )
    n_layers, n_tokens = i_star.shape
    if n_tokens < 2:
        return np.full(n_layers, np.nan), (TOO_SHORT,) * n_layers
    width = int(i_star.max()) + 1
    flat = i_star + width * np.arange(n_layers)[:, None]
    counts = np.bincount(flat.ravel(), minlength=width * n_layers).reshape(n_layers, width)
    average_rank = counts.cumsum(1) - (counts - 1) / 2
    ranks = np.take_along_axis(average_rank, i_star, 1) - (n_tokens + 1) / 2
    j = np.arange(n_tokens) - (n_tokens - 1) / 2
    spread = (ranks**2).sum(1)
    rho = np.full(n_layers, np.nan)
    np.divide((ranks * j).sum(1), np.sqrt(spread * (j * j).sum()), out=rho, where=spread > 0)
    return np.clip(rho, -1, 1), tuple(None if s > 0 else ALL_EQUAL for s in spread)


def _matrices(x: Array, dtype: type | None = None) -> np.ndarray:
    """``x`` as C-contiguous float32 or float64 matrices (K, T_s, T_t) without NaN or infinity."""
    if isinstance(x, Tensor):
        x = x.detach()
        x = (x if x.dtype == torch.float64 else x.float()).cpu().numpy()
    x = np.asarray(x)
    if dtype is None:
        dtype = np.float32 if x.dtype == np.float32 else np.float64
    m: np.ndarray = np.ascontiguousarray(x, dtype)
    if m.ndim != 3 or 0 in m.shape:
        raise ModgapError(f"Need matrices of shape (K, T_s, T_t), none empty; got {m.shape}.")
    if not np.isfinite(m).all():
        raise ModgapError("The matrices hold NaN or infinite values: no path can be found.")
    return m


def _cut(traced: Traced) -> tuple[np.ndarray, ...]:
    ends = zip(traced.paths, traced.lengths, strict=True)
    return tuple(path[:length].copy() for path, length in ends)


def _score(matrices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    chosen = np.take_along_axis(matrices, rows[:, None, :].astype(np.int64), 1)[:, 0]
    return chosen.mean(1, dtype=np.float64)

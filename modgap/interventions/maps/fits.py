"""Maps in closed form from sufficient statistics, float64; X and Y are the centred pairs in rows.

| kind | the map that is nearest to Y in squares among |
|---|---|
| shift | h + b |
| scale | a * h + b, dimension by dimension |
| procrustes | s h Q + b, Q orthogonal (Schoenemann 1966; Gower and Dijksterhuis 2004) |
| ridge | h W + b with a penalty on W's squares, W of full or of a given rank |
| residual | h + h W + b with the penalty on W alone: what is not learned stays as it is |

The ridge of rank r is that of Mukherjee and Zhu (2011): W V V^T, where W is that of full rank,
(X^T X + lambda I)^-1 X^T Y, and V are the r leading eigenvectors of W^T (X^T X + lambda I) W,
which is W^T X^T Y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modgap.core.errors import SettingsError
from modgap.interventions.maps.affine import KINDS, FittedMap
from modgap.interventions.maps.moments import Moments

__all__ = ["PENALTIES", "Chosen", "choose", "fit", "solve"]

#: Penalties that are tried, as multiples of the mean of X^T X's eigenvalues.
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
#: A residual is called low-rank: its rank is at most this share of the width.
LOW = 4


def fit(
    kind: str,
    moments: Moments,
    layer: int = 0,
    *,
    penalty: float | None = None,
    rank: int | None = None,
    folds: Sequence[Moments] = (),
) -> FittedMap:
    """The map of one kind.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    moments : Moments
        Of the pairs to fit.
    layer : int
        Where the pairs were taken, for the record.
    penalty : float, optional
        lambda of "ridge" and "residual", in the unit of X^T X; by default chosen on `folds`.
    rank : int, optional
        Of their W; by default chosen on `folds`, at most d / 4 for "residual".
    folds : sequence of Moments
        The same pairs in parts, to choose by: no fit sees the part that it is judged on.

    Raises
    ------
    SettingsError
        The kind is unknown, there are fewer than 2 pairs, the rank is out of range, or there is
        nothing to choose by.
    """
    if kind not in KINDS:
        raise SettingsError(f"Maps are {', '.join(KINDS)}, not {kind!r}.")
    if moments.count < 2:
        raise SettingsError(f"A map needs at least 2 pairs, not {moments.count}: give more clips.")
    d, x, y = moments.width, moments.mean_x, moments.mean_y
    ones = torch.ones_like(x)
    if kind == "shift":
        return FittedMap(kind, layer, x, y, ones)
    if kind == "scale":
        # What does not vary is put at the mean.
        own = torch.diagonal(moments.xx)
        a = torch.where(own > 0, torch.diagonal(moments.xy) / own.clamp_min(1e-300), 0.0)
        return FittedMap(kind, layer, x, y, a)
    if kind == "procrustes":
        u, s, v = torch.linalg.svd(moments.xy)
        size = torch.trace(moments.xx)
        scale = s.sum() / size if size > 0 else torch.zeros_like(size)
        return FittedMap(kind, layer, x, y, left=scale * (u @ v))
    residual = kind == "residual"
    if rank is not None and not 1 <= rank <= d:
        raise SettingsError(f"The rank of a map is from 1 to {d} here, not {rank}.")
    if penalty is not None and not penalty > 0:
        raise SettingsError(f"The penalty is a number above 0, not {penalty!r}.")
    if penalty is None or rank is None:
        found = choose(folds, residual=residual, penalty=penalty, rank=rank)
        # The penalty was chosen for a part of the pairs: it grows with their number.
        penalty = found.penalty * _size(moments) if penalty is None else penalty
        rank = found.rank
    left, right = solve(moments, penalty, rank, residual=residual)
    about = {"penalty": float(penalty), "rank": rank}
    return FittedMap(kind, layer, x, y, ones if residual else None, left, right, card=about)


def solve(
    moments: Moments, penalty: float, rank: int, *, residual: bool = False
) -> tuple[Tensor, Tensor | None]:
    """`left` (d, r) and `right` (r, d) of the ridge of X to Y, or to Y - X; r = d: no `right`."""
    target = moments.xy - moments.xx if residual else moments.xy
    w = _ridge(moments.xx, target, penalty)
    if rank >= moments.width:
        return w, None
    v = _leading(w, target)[:, :rank]
    return w @ v, v.T.contiguous()


@dataclass(frozen=True)
class Chosen:
    """What cross-validation says.

    Attributes
    ----------
    penalty : float
        As a multiple of the mean eigenvalue of X^T X.
    rank : int
    errors : tuple of float
        Sum over folds of the squared error with each of `PENALTIES`, at full rank.
    """

    penalty: float
    rank: int
    errors: tuple[float, ...] = ()


def choose(
    folds: Sequence[Moments],
    *,
    residual: bool = False,
    penalty: float | None = None,
    rank: int | None = None,
) -> Chosen:
    """Penalty, then rank, by the squared error on the fold that a fit has not seen.

    The penalty is chosen at full rank, the rank with that penalty; of equal errors the larger
    penalty and the smaller rank. The error of every rank comes from one eigenbasis.

    Raises
    ------
    SettingsError
        There are fewer than two folds with pairs.
    """
    parts = [fold for fold in folds if fold.count]
    if len(parts) < 2:
        raise SettingsError(
            "There is nothing to choose penalty and rank by: give more clips, or name both "
            "(--penalty, --rank)."
        )
    width = parts[0].width
    splits = []
    for n, held in enumerate(parts):
        rest = [part for k, part in enumerate(parts) if k != n]
        trained = rest[0]
        for part in rest[1:]:
            trained = trained + part
        splits.append((trained, held))
    errors: tuple[float, ...] = ()
    if penalty is None:
        errors = tuple(
            sum(_errors(trained, held, share * _size(trained), residual)[-1]
                for trained, held in splits)
            for share in PENALTIES
        )  # fmt: skip
        best = min(errors)
        share = max(s for s, e in zip(PENALTIES, errors, strict=True) if e == best)
    else:
        total = splits[0][0] + splits[0][1]
        share = penalty / _size(total)
    if rank is None:
        highest = max(1, width // LOW) if residual else width
        by_rank = torch.zeros(highest, dtype=torch.float64)
        for trained, held in splits:
            found = _errors(trained, held, share * _size(trained), residual, ranks=True)
            by_rank += torch.tensor(found[:highest], dtype=torch.float64)
        rank = int(by_rank.argmin()) + 1
    return Chosen(share, rank, errors)


def _errors(
    trained: Moments, held: Moments, penalty: float, residual: bool, *, ranks: bool = False
) -> list[float]:
    """Squared error on `held` of the full rank alone, or of ranks 1 to d."""
    xx, xy, yy = held.around(trained.mean_x, trained.mean_y)
    own, target, total = trained.xx, trained.xy, yy.sum()
    if residual:
        # |Z|^2 of Z = Y - X, in the place of |Y|^2.
        total = total - 2 * torch.trace(xy) + torch.trace(xx)
        target, xy = target - own, xy - xx
    w = _ridge(own, target, penalty)
    if not ranks:
        return [float(total - 2 * (w * xy).sum() + (w * (xx @ w)).sum())]
    v = _leading(w, target)
    low = w @ v
    fits = 2 * (low * (xy @ v)).sum(0) - (low * (xx @ low)).sum(0)
    return (total - fits.cumsum(0)).tolist()


def _ridge(xx: Tensor, target: Tensor, penalty: float) -> Tensor:
    damped = xx.clone()
    damped.diagonal().add_(penalty)
    return torch.cholesky_solve(target, torch.linalg.cholesky(damped))


def _leading(w: Tensor, target: Tensor) -> Tensor:
    """Eigenvectors of W^T X^T Y in columns, that of the largest eigenvalue first."""
    fitted = w.T @ target
    _, vectors = torch.linalg.eigh((fitted + fitted.T) / 2)
    return vectors.flip(-1)


def _size(moments: Moments) -> float:
    """Mean eigenvalue of X^T X; of states that do not vary, 1."""
    return float(torch.trace(moments.xx)) / moments.width or 1.0

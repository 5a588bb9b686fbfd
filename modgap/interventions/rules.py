"""From an intervention to new hidden states: which positions, and the rules' formulas.

Formulas of section 4 of the method (after Xiang et al., arXiv 2510.12116); all in float32, whatever
the model's dtype. Nothing here knows a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modgap.core.errors import SettingsError
from modgap.interventions.intervention import Intervention
from modgap.interventions.maps.affine import FittedMap
from modgap.measures.alignment import argmax_path, dtw_paths, path_pairs
from modgap.measures.similarity_matrices import similarity_matrices

__all__ = ["Edit", "SourcePath", "apply_edit", "plan_edit", "plan_map", "rotate", "source_path"]


@dataclass(frozen=True, eq=False)
class SourcePath:
    """One layer's path: the speech position of every text token, and how near the two are.

    Attributes
    ----------
    i : ndarray int64, shape (T_t,)
    value : ndarray float64, shape (T_t,)
        Cosine similarity, or distance.
    nearness : ndarray float64, shape (T_t,)
        The same with high meaning near, whatever the measure.
    matrix : ndarray float32, shape (T_s, T_t)
    """

    i: np.ndarray
    value: np.ndarray
    nearness: np.ndarray
    matrix: np.ndarray


def source_path(H_s: Tensor, H_t: Tensor, path: str, measure: str) -> SourcePath:
    """The path that pairs are taken from (method, sections 3 and 4).

    Parameters
    ----------
    H_s : Tensor, shape (T_s, d)
    H_t : Tensor, shape (T_t, d)
        One layer's states of the plain runs.
    path : "argmax" or "dtw"
    measure : "cosine" or "euclidean"
    """
    S, D = similarity_matrices(H_s[None], H_t[None])
    cosine = measure == "cosine"
    matrix = np.ascontiguousarray((S if cosine else D)[0].float().cpu().numpy())
    if path == "argmax":
        i = argmax_path(matrix[None], lowest=not cosine)[0]
    else:
        cost = 1 - matrix if cosine else matrix
        i = path_pairs(dtw_paths(cost[None])[0], matrix, lowest=not cosine)
    i = i.astype(np.int64)
    value = matrix[i, np.arange(len(i))].astype(np.float64)
    return SourcePath(i, value, value if cosine else -value, matrix)


@dataclass(frozen=True, eq=False)
class Edit:
    """An intervention on one clip: its pairs, ready to be applied in any of its layers.

    Attributes
    ----------
    intervention : Intervention
    pairs : ndarray int64, shape (n, 2)
        The chosen pairs (i, j), by j. Two text tokens may share a speech position.
    rows, columns : ndarray int64, shape (m,)
        What is done: position ``rows[n]``, ascending and different, goes with ``columns[n]``, of
        several text tokens the one most like it (ties: the earliest); -1 where it goes with none.
    fitted : FittedMap, optional
        Of the rule ``"map"``.
    """

    intervention: Intervention
    pairs: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    fitted: FittedMap | None = None

    @property
    def idle(self) -> bool:
        """Whether it changes nothing by definition."""
        return len(self.rows) == 0 or self.intervention.strength == 0


def plan_edit(intervention: Intervention, path: SourcePath) -> Edit:
    """Choose the pairs of a clip.

    Raises
    ------
    SettingsError
        A given pair lies outside the clip or its transcript.
    """
    kind, count = intervention.choice
    n, m = path.matrix.shape
    if kind == "given":
        pairs = np.array(intervention.pairs, dtype=np.int64).reshape(-1, 2)
        outside = [tuple(map(int, p)) for p in pairs if p[0] >= n or p[1] >= m]
        if outside:
            raise SettingsError(
                f"The pair {outside[0]} lies outside the clip: it has speech positions 0 to "
                f"{n - 1} and text tokens 0 to {m - 1}."
            )
    else:
        if kind == "all":
            chosen = np.arange(m)
        elif kind == "random":
            rng = np.random.default_rng(intervention.seed)
            chosen = rng.permutation(m)[:count]
        else:
            order = np.argsort(path.nearness if kind == "bottom" else -path.nearness, kind="stable")
            chosen = order[:count]
        chosen = np.sort(chosen)
        pairs = np.stack([path.i[chosen], chosen], axis=1)
    cosine = intervention.measure == "cosine"
    near = path.matrix[pairs[:, 0], pairs[:, 1]] * (1 if cosine else -1)
    best: dict[int, tuple[float, int]] = {}
    for (i, j), value in zip(pairs.tolist(), near.tolist(), strict=True):
        if i not in best or value > best[i][0]:
            best[i] = (value, j)
    rows = sorted(best)
    return Edit(
        intervention,
        pairs,
        np.array(rows, dtype=np.int64),
        np.array([best[i][1] for i in rows], dtype=np.int64),
    )


def plan_map(
    intervention: Intervention, fitted: FittedMap, positions: int, path: SourcePath | None
) -> Edit:
    """The same for the rule ``"map"``.

    Parameters
    ----------
    intervention : Intervention
    fitted : FittedMap
        Its map.
    positions : int
        T_s.
    path : SourcePath or None
        Only looked at where the intervention asks for tokens of it, or gives pairs.

    Raises
    ------
    SettingsError
        A given position or pair lies outside the clip.
    """
    it = intervention
    if it.needs_words or (it.pairs and path is not None):
        assert path is not None
        edit = plan_edit(it, path)
        rows, columns = edit.rows, edit.columns
        more = np.setdiff1d(np.array(it.positions, np.int64), rows)
        pairs = edit.pairs
    else:
        rows, columns = np.zeros(0, np.int64), np.zeros(0, np.int64)
        named = {*it.positions, *(i for i, _ in it.pairs)}
        more = np.arange(positions) if it.tokens == "all" else np.array(sorted(named), np.int64)
        pairs = np.zeros((0, 2), np.int64)
    if len(more) and more[-1] >= positions:
        raise SettingsError(
            f"The speech position {more[-1]} lies outside the clip: it has 0 to {positions - 1}."
        )
    rows = np.concatenate([rows, more])
    columns = np.concatenate([columns, np.full(len(more), -1)])
    order = np.argsort(rows, kind="stable")
    return Edit(it, pairs, rows[order], columns[order], fitted)


def apply_edit(edit: Edit, layer: int, H_s: Tensor, H_t: Tensor) -> Tensor:
    """New states of the edited positions.

    Parameters
    ----------
    edit : Edit
    layer : int
        One of the intervention's layers (seeds the random direction).
    H_s : Tensor, shape (T_s, d)
        The speech states as they are now, of all positions.
    H_t : Tensor, shape (T_t, d)
        A map does not look at it; T_t may be 0 then.

    Returns
    -------
    Tensor, shape (m, d)
        Of ``edit.rows``, in H_s's dtype.
    """
    it = edit.intervention
    rows = torch.as_tensor(edit.rows, device=H_s.device)
    if edit.fitted is not None:
        return edit.fitted.apply(H_s[rows], it.strength, it.keep_length)
    columns = torch.as_tensor(edit.columns, device=H_s.device)
    h_s, h_t = H_s[rows].float(), H_t.to(H_s.device)[columns].float()
    alpha = it.strength
    if it.rule == "mean":
        shift = H_t.to(H_s.device).float().mean(0) - H_s.float().mean(0)
        return (h_s + alpha * shift).to(H_s.dtype)
    if it.rule == "patch":
        return (h_t if alpha == 1 else torch.lerp(h_s, h_t, alpha)).to(H_s.dtype)
    own, its = h_s.norm(dim=-1, keepdim=True), h_t.norm(dim=-1, keepdim=True)
    # Without a direction of both there is no angle and no length to give: such a state stays.
    whole = (own > 0) & (its > 0)
    u, v = h_s / own.clamp_min(1e-30), h_t / its.clamp_min(1e-30)
    length = torch.lerp(own, its, alpha) if it.rule in ("length", "both") else own
    direction = u
    if it.rule in ("angle", "both"):
        direction = rotate(u, v, alpha)
    elif it.rule == "random":
        noise = _directions(it.seed, layer, edit.rows, H_s.shape[-1]).to(u)
        theta = angle(u, v)
        direction = _turn(u, _across(u, noise), alpha * theta)
    return torch.where(whole, length * direction, h_s).to(H_s.dtype)


def angle(u: Tensor, v: Tensor) -> Tensor:
    """The angle between unit vectors, (n, 1), exact also for tiny and for nearly flat angles."""
    return 2 * torch.atan2((u - v).norm(dim=-1, keepdim=True), (u + v).norm(dim=-1, keepdim=True))


def rotate(u: Tensor, v: Tensor, alpha: float) -> Tensor:
    """Unit vectors `u` (n, d) turned towards `v` by the share `alpha` of the angle between them.

    Exactly opposite vectors have no arc of their own; one is chosen that is always the same.
    """
    if alpha == 1:
        return v
    return _turn(u, _across(u, v), alpha * angle(u, v))


def _turn(u: Tensor, across: Tensor, theta: Tensor) -> Tensor:
    return torch.cos(theta) * u + torch.sin(theta) * across


def _across(u: Tensor, v: Tensor) -> Tensor:
    """The unit vector at right angles to `u` in the plane of `u` and `v`."""
    w = v - (u * v).sum(-1, keepdim=True) * u
    w = w - (u * w).sum(-1, keepdim=True) * u  # again: the first difference cancels digits
    size = w.norm(dim=-1, keepdim=True)
    axis = torch.zeros_like(u).scatter_(-1, u.abs().argmin(-1, keepdim=True), 1.0)
    other = axis - (u * axis).sum(-1, keepdim=True) * u
    other = other / other.norm(dim=-1, keepdim=True)
    return torch.where(size > 1e-6, w / size.clamp_min(1e-30), other)


def _directions(seed: int, layer: int, rows: np.ndarray, width: int) -> Tensor:
    """A random direction per position, on the CPU: the same on every device and in any batch."""
    made = [
        torch.from_numpy(np.random.default_rng([seed, layer, i]).standard_normal(width))
        for i in rows.tolist()
    ]
    return torch.stack(made) if made else torch.zeros(0, width)

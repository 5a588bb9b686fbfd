"""What one layer's hidden states give: cosines, distances, norms and means, by one product.

``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` is fast and, where x and y nearly coincide, wrong: the terms
cancel. Those few entries are computed again from the differences themselves, so equal vectors are
at exactly distance 0 and cosine 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modgap.errors import ModgapError

# Where the squared distance is below this share of |x|^2 + |y|^2, more than 3 of float32's 7 digits
# have cancelled and the entry is computed again.
CANCELLED = 1e-3
# Elements of the differences held at once while entries are computed again.
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class LayerProducts:
    """One layer of one clip, on the states' device, in float32 (float64 for float64 states).

    Attributes
    ----------
    similarity, distance : Tensor, shape (T_s, T_t)
        Cosine similarity S and Euclidean distance D (method, section 3).
    speech_norm : Tensor, shape (T_s,)
    text_norm : Tensor, shape (T_t,)
        Euclidean norms of the positions.
    speech_mean, text_mean : Tensor, shape (d,)
        Means over positions (method, section 2).
    to_mean_cos, to_mean_dist : Tensor, shape (T_s,)
        Cosine and distance of each speech position to ``text_mean``.
    """

    similarity: Tensor
    distance: Tensor
    speech_norm: Tensor
    text_norm: Tensor
    speech_mean: Tensor
    text_mean: Tensor
    to_mean_cos: Tensor
    to_mean_dist: Tensor


def metric_dtype(x: Tensor) -> Tensor:
    """``x`` in the dtype metrics are computed in: float32, or float64 where it is that already."""
    if not isinstance(x, Tensor):
        raise ModgapError(f"Hidden states must be a torch tensor, not {type(x).__name__}.")
    if not x.is_floating_point():
        raise ModgapError(f"Hidden states must be floating point, not {x.dtype}.")
    x = x.detach()
    return x if x.dtype == torch.float64 else x.float()


def check_pair(H_s: Tensor, H_t: Tensor, ndim: int | None = None) -> None:
    """Refuse shapes that are not (..., T_s, d) and (..., T_t, d) with T_s, T_t, d >= 1.

    Raises
    ------
    ModgapError
        Shapes that do not fit each other, no speech positions, no text tokens.
    """
    shapes = f"speech {tuple(H_s.shape)}, text {tuple(H_t.shape)}"
    if H_s.ndim != H_t.ndim or H_s.ndim < 2 or (ndim is not None and H_s.ndim != ndim):
        want = {2: "(T, d)", 3: "(K, T, d)"}.get(ndim or 0, "(..., T, d)")
        raise ModgapError(f"Speech and text states must both have shape {want}; got {shapes}.")
    if H_s.shape[-1] != H_t.shape[-1] or H_s.shape[:-2] != H_t.shape[:-2]:
        raise ModgapError(f"Speech and text states must be of the same layers and size: {shapes}.")
    if H_s.shape[-2] == 0:
        raise ModgapError("There are no speech positions to compare. Use a longer clip.")
    if H_t.shape[-2] == 0:
        raise ModgapError("There are no text tokens to compare. Give a transcript.")
    if H_s.numel() == 0:
        raise ModgapError(f"The hidden states are empty: {shapes}.")


def check_finite(*norms: Tensor) -> None:
    """Refuse states with NaN or infinity, by their norms (last axis: positions).

    Raises
    ------
    ModgapError
        A norm is not finite, also where the square of a state exceeds float32.
    """
    for norm in norms:
        if not bool(torch.isfinite(norm).all()):
            raise ModgapError(
                "The hidden states hold NaN, infinite or overflowing values: nothing can be "
                "measured on them. Load the model in float32 or bfloat16 instead of float16."
            )


def layer_products(H_s: Tensor, H_t: Tensor) -> LayerProducts:
    """Everything that is measured on one layer's states while they are there.

    Parameters
    ----------
    H_s : Tensor, shape (T_s, d)
    H_t : Tensor, shape (T_t, d)
        Hidden states of any floating dtype, on one device.
    """
    X, Y = metric_dtype(H_s), metric_dtype(H_t)
    gram = X @ Y.T
    x_norm, y_norm = torch.linalg.vector_norm(X, dim=1), torch.linalg.vector_norm(Y, dim=1)
    x_mean, y_mean = X.mean(0), Y.mean(0)
    S, D = _compare(X, Y, gram, x_norm, y_norm)
    # x . mean(y) is the mean of x . y: no second product is needed.
    mean_norm = torch.linalg.vector_norm(y_mean, dim=0, keepdim=True)
    s, e = _compare(X, y_mean[None], gram.mean(1, keepdim=True), x_norm, mean_norm)
    return LayerProducts(S, D, x_norm, y_norm, x_mean, y_mean, s[:, 0], e[:, 0])


def similarity_matrices(H_s: Tensor, H_t: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine similarity and Euclidean distance of every speech position and text token.

    Parameters
    ----------
    H_s : Tensor, shape (..., T_s, d)
    H_t : Tensor, shape (..., T_t, d)
        Hidden states of any floating dtype, on one device.

    Returns
    -------
    S, D : Tensor, shape (..., T_s, T_t)
        float32 (float64 for float64 states), on the states' device: ``S[i, j] = cos(H_s[i],
        H_t[j])`` in [-1, 1], exactly 1 for equal vectors and 0 where either vector is zero;
        ``D[i, j] = ||H_s[i] - H_t[j]||``, exactly 0 for equal vectors (method, section 3).

    Raises
    ------
    ModgapError
        Shapes that do not fit, no positions, NaN or infinite states.
    """
    check_pair(H_s, H_t)
    lead = H_s.shape[:-2]
    pairs = zip(H_s.reshape(-1, *H_s.shape[-2:]), H_t.reshape(-1, *H_t.shape[-2:]), strict=True)
    S, D = [], []
    for h_s, h_t in pairs:
        X, Y = metric_dtype(h_s), metric_dtype(h_t)
        x_norm, y_norm = torch.linalg.vector_norm(X, dim=1), torch.linalg.vector_norm(Y, dim=1)
        check_finite(x_norm, y_norm)
        s, e = _compare(X, Y, X @ Y.T, x_norm, y_norm)
        S.append(s)
        D.append(e)
    return torch.stack(S).reshape(*lead, *S[0].shape), torch.stack(D).reshape(*lead, *D[0].shape)


def _compare(
    X: Tensor, Y: Tensor, gram: Tensor, x_norm: Tensor, y_norm: Tensor
) -> tuple[Tensor, Tensor]:
    """S and D of all pairs of rows from ``gram = X @ Y.T`` and the rows' norms."""
    x_norm, y_norm = x_norm[:, None], y_norm[None, :]
    # The cosine with a zero vector is 0 by definition here, never NaN.
    S = gram * x_norm.reciprocal().masked_fill_(x_norm == 0, 0)
    S = S.mul_(y_norm.reciprocal().masked_fill_(y_norm == 0, 0)).clamp_(-1, 1)
    total = x_norm.square() + y_norm.square()
    squared = total - 2 * gram
    close = (squared < total.mul_(CANCELLED)).nonzero()
    D = squared.clamp_(min=0).sqrt_()
    step = max(1, _CHUNK // X.shape[1])
    for start in range(0, len(close), step):
        i, j = close[start : start + step].unbind(1)
        x, y = X[i], Y[j]
        diff = x - y
        apart = diff.square().sum(1)
        n, m = x_norm[i, 0], y_norm[0, j]
        longer = (diff * (x + y)).sum(1) / (n + m)  # |x| - |y| without cancellation
        S[i, j] = (1 - (apart - longer.square()) / (2 * n * m)).clamp_(-1, 1)
        D[i, j] = apart.sqrt()
    return S, D

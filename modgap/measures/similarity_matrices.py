"""What one layer's hidden states give: cosines, distances, norms and means, by one product.

``|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`` is fast and, where x and y nearly coincide, wrong: the terms
cancel. Those few entries are computed again from the differences themselves, so equal vectors are
at exactly distance 0 and cosine 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from modgap.core.errors import ModgapError
from modgap.measures import kernels

# Elements of the differences held at once while entries are computed again.
_CHUNK = 1 << 22


class LayerProducts(NamedTuple):
    """What is measured on the states of K layers of one clip.

    On the states' device, in float32 (float64 for float64 states); the fields are in the order of
    ``kernels.layer``'s arguments.

    Attributes
    ----------
    similarity, distance : Tensor, shape (K, T_s, T_t)
        S and D (method, section 3).
    speech_norm, text_norm : Tensor, shapes (K, T_s) and (K, T_t)
        Euclidean norms of the positions.
    speech_mean, text_mean : Tensor, shape (K, d)
        Means over positions (method, section 2).
    mean_cos, mean_dist : Tensor, shape (K, T_s, 1)
        Cosine and distance of each speech position to ``text_mean``.
    """

    similarity: Tensor
    distance: Tensor
    speech_norm: Tensor
    text_norm: Tensor
    speech_mean: Tensor
    text_mean: Tensor
    mean_cos: Tensor
    mean_dist: Tensor


class LayerStack:
    """Collects the products of one layer after the other; the states are not kept.

    Memory for ``capacity`` layers is reserved at the first one (twice as much when that is full);
    on the CPU it is not touched, thus not used, before it is filled.
    """

    def __init__(self, capacity: int = 40) -> None:
        self._capacity = max(1, capacity)
        self._count = 0
        self._slots: LayerProducts | None = None

    def add(self, H_s: Tensor, H_t: Tensor) -> None:
        """Measure one layer's states, shapes (T_s, d) and (T_t, d), of any floating dtype.

        Raises
        ------
        ModgapError
            Shapes that do not fit each other or the layers before.
        """
        check_pair(H_s, H_t, ndim=2)
        slot = self._next_slot(H_s, H_t)
        S = slot.similarity
        # On S's device: a model that is spread over several has its states on several.
        X = H_s.detach().to(S.device, S.dtype).contiguous()
        Y = H_t.detach().to(S.device, S.dtype).contiguous()
        with _full_precision(S.device):
            torch.mm(X, Y.T, out=S)  # autocast leaves a product with out= alone
        if S.device.type == "cpu" and S.dtype == torch.float32:
            kernels.layer(X.numpy(), Y.numpy(), *(part.numpy() for part in slot))
        else:
            _fill(X, Y, slot)
        self._count += 1

    def products(self) -> LayerProducts:
        """The layers added so far, without copying.

        Raises
        ------
        ModgapError
            No layer was added; the states hold NaN or infinity.
        """
        if self._slots is None:
            raise ModgapError("No layer was measured: choose at least one.")
        taken = LayerProducts(*(held[: self._count] for held in self._slots))
        finite = torch.isfinite(taken.speech_norm).all(1) & torch.isfinite(taken.text_norm).all(1)
        if not bool(finite.all()):
            bad = (~finite).nonzero()[:, 0].tolist()
            raise ModgapError(
                f"The hidden states of {len(bad)} of {self._count} layers (the first is number "
                f"{bad[0]}, counted from 0) hold NaN, infinite or overflowing values: nothing can "
                "be measured on them. If the model runs in float16, load it in bfloat16 or float32."
            )
        return taken

    def _next_slot(self, H_s: Tensor, H_t: Tensor) -> LayerProducts:
        (n, d), m = H_s.shape, len(H_t)
        shapes = ((n, m), (n, m), (n,), (m,), (d,), (d,), (n, 1), (n, 1))
        # Not as inference tensors, even when called in inference mode: they outlive it.
        with torch.inference_mode(False):
            if self._slots is None:
                dtype = torch.float64 if H_s.dtype == torch.float64 else torch.float32
                room = torch.empty(0, dtype=dtype, device=H_s.device)
                self._slots = LayerProducts(
                    *(room.new_empty((self._capacity, *shape)) for shape in shapes)
                )
            if tuple(held.shape[1:] for held in self._slots) != shapes:
                raise ModgapError("All layers of a clip must have the same positions and size.")
            if self._count == self._capacity:
                self._capacity *= 2
                self._slots = LayerProducts(
                    *(torch.cat((held, torch.empty_like(held))) for held in self._slots)
                )
            return LayerProducts(*(held[self._count] for held in self._slots))


def layer_products(speech: Tensor, text: Tensor) -> LayerProducts:
    """Products of all layers of whole states, shapes (K, T_s, d) and (K, T_t, d)."""
    check_pair(speech, text, ndim=3)
    stack = LayerStack(capacity=len(speech))
    for H_s, H_t in zip(speech, text, strict=True):
        stack.add(H_s, H_t)
    return stack.products()


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
    speech, text = (H.reshape(-1, *H.shape[-2:]) for H in (H_s, H_t))
    products = layer_products(speech, text)
    shape = (*H_s.shape[:-1], H_t.shape[-2])
    return products.similarity.reshape(shape), products.distance.reshape(shape)


def check_pair(H_s: Tensor, H_t: Tensor, ndim: int | None = None) -> None:
    """Refuse what is not float states (..., T_s, d) and (..., T_t, d) with T_s, T_t, d >= 1.

    Raises
    ------
    ModgapError
        No tensors of floats, shapes that do not fit each other, no positions.
    """
    for H in (H_s, H_t):
        if not isinstance(H, Tensor) or not H.is_floating_point():
            kind = H.dtype if isinstance(H, Tensor) else type(H).__name__
            raise ModgapError(f"Hidden states must be torch tensors of floats, not {kind}.")
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


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """Products of float32 in float32, also where the process allows TF32 or bfloat16 for them."""
    name = "cuda" if device.type == "cuda" else "mkldnn"
    backend = getattr(torch.backends, name).matmul
    held = getattr(backend, "fp32_precision", "none")  # since torch 2.9
    if held in ("none", "ieee"):
        yield
        return
    backend.fp32_precision = "ieee"
    try:
        yield
    finally:
        backend.fp32_precision = held


def _fill(X: Tensor, Y: Tensor, slot: LayerProducts) -> None:
    """``kernels.layer`` on any device and in float64: ``slot.similarity`` holds ``X @ Y.T``."""
    torch.linalg.vector_norm(X, dim=1, out=slot.speech_norm)
    torch.linalg.vector_norm(Y, dim=1, out=slot.text_norm)
    torch.mean(X, 0, out=slot.speech_mean)
    torch.mean(Y, 0, out=slot.text_mean)
    # x . mean(y) is the mean of x . y: no second product is needed.
    torch.mean(slot.similarity, 1, keepdim=True, out=slot.mean_cos)
    mean_norm = torch.linalg.vector_norm(slot.text_mean, dim=0, keepdim=True)
    _compare(X, Y, slot.speech_norm, slot.text_norm, slot.similarity, slot.distance)
    mean = slot.text_mean[None]
    _compare(X, mean, slot.speech_norm, mean_norm, slot.mean_cos, slot.mean_dist)


def _compare(X: Tensor, Y: Tensor, x_norm: Tensor, y_norm: Tensor, S: Tensor, D: Tensor) -> None:
    """Turn the dot products in ``S`` (n, m) into cosines, in place, and fill in distances."""
    x_norm, y_norm = x_norm[:, None], y_norm[None, :]
    total = x_norm.square() + y_norm.square()
    torch.sub(total, S, alpha=2, out=D)
    close = (total.mul_(kernels.CANCELLED) > D).nonzero()
    D.clamp_(min=0).sqrt_()
    for norm in (x_norm, y_norm):
        # The cosine with a zero vector is 0 by definition here, never NaN.
        S.mul_(norm.reciprocal().masked_fill_(norm == 0, 0))
    S.clamp_(-1, 1)
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

"""Which layer's path follows the order of speech best; needs nothing but arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["most_monotone"]


def most_monotone(rho: np.ndarray, layer_ids: Sequence[int] | np.ndarray) -> int | None:
    """The layer in which a path follows the order of speech best, level 0 aside.

    Parameters
    ----------
    rho : ndarray, shape (K,)
        Monotonicity, NaN where undefined.
    layer_ids : sequence of K int

    Returns
    -------
    int or None
        A layer's number; the lowest of those that are equal. None where none is defined.
    """
    found = [(-r, int(n)) for r, n in zip(rho, layer_ids, strict=True) if n > 0 and r == r]
    return min(found)[1] if found else None

"""Compiled CPU kernels of the layer products.

One sweep per matrix, in place: with array operations the many passes over memory cost as much as
the matrix product itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

# Where the squared distance is below this share of |x|^2 + |y|^2, more than 2 of float32's 7 digits
# have cancelled and the entry is computed again. Distances are right to about 3e-5.
CANCELLED = 1e-2

# Sums may be taken in another order (vector lanes); NaN and infinity keep their meaning.
_REORDER = {"reassoc", "contract", "nsz"}


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``numba.njit``, its machine code kept on disk where some folder for it can be written."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # neither __pycache__ nor the user's cache folder can be written
            return numba.njit(nogil=True, **options)(function)

    return decorate


@compiled(fastmath=_REORDER)
def norms_and_mean(X, norm, mean):
    """Euclidean norms of the rows of X (n, d) and the mean row, all float32, in one read of X.

    Four rows at a time: the running sum of rows is then read and written a quarter as often.
    """
    n, d = X.shape
    mean[:] = 0
    for i in range(0, n - 3, 4):
        s0 = s1 = s2 = s3 = np.float32(0)
        for c in range(d):
            x0, x1, x2, x3 = X[i, c], X[i + 1, c], X[i + 2, c], X[i + 3, c]
            s0 += x0 * x0
            s1 += x1 * x1
            s2 += x2 * x2
            s3 += x3 * x3
            mean[c] += (x0 + x1) + (x2 + x3)
        norm[i] = np.sqrt(s0)
        norm[i + 1] = np.sqrt(s1)
        norm[i + 2] = np.sqrt(s2)
        norm[i + 3] = np.sqrt(s3)
    for i in range(n - n % 4, n):
        s = np.float32(0)
        for c in range(d):
            s += X[i, c] * X[i, c]
            mean[c] += X[i, c]
        norm[i] = np.sqrt(s)
    for c in range(d):
        mean[c] /= np.float32(n)


@compiled(fastmath=_REORDER)
def _differences(x, y):
    """|x - y|^2 and (x - y).(x + y), the latter being |x|^2 - |y|^2 without cancellation."""
    apart = np.float32(0)
    longer = np.float32(0)
    for c in range(x.shape[0]):
        diff = x[c] - y[c]
        apart += diff * diff
        longer += diff * (x[c] + y[c])
    return apart, longer


@compiled()
def compare(X, Y, x_norm, y_norm, S, D, row_mean):
    """Turn dot products into cosines and distances, in place; all arrays float32.

    ``S`` (n, m) holds ``X @ Y.T`` and is overwritten with the cosines, ``D`` (n, m) is filled with
    the distances, ``row_mean`` (n,) with the mean dot product of each row.
    """
    n, m = S.shape
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    cancelled = np.float32(CANCELLED)
    y_inverse = np.empty(m, np.float32)
    y_square = np.empty(m, np.float32)
    for j in range(m):
        # The cosine with a zero vector is 0 by definition here, never NaN.
        y_inverse[j] = one / y_norm[j] if y_norm[j] > zero else zero
        y_square[j] = y_norm[j] * y_norm[j]
    for i in range(n):
        x_inverse = one / x_norm[i] if x_norm[i] > zero else zero
        x_square = x_norm[i] * x_norm[i]
        total = 0.0
        for j in range(m):  # before the products are overwritten
            total += S[i, j]
        row_mean[i] = total / m
        close = 0
        for j in range(m):
            dot = S[i, j]
            S[i, j] = min(max(dot * x_inverse * y_inverse[j], -one), one)
            both = x_square + y_square[j]
            squared = both - two * dot
            again = squared < cancelled * both
            close += again
            # No distance is -1: it marks what the loop below computes again. A branch in this one
            # would keep the compiler from making vectors.
            D[i, j] = -one if again else np.sqrt(max(squared, zero))
        if close:
            for j in range(m):
                if D[i, j] < zero:
                    # |x - y|^2 = (|x| - |y|)^2 + 2 |x||y| (1 - cos). Neither norm is 0: of a zero
                    # vector and another, `squared` is `both`, and was not marked.
                    apart, longer = _differences(X[i], Y[j])
                    longer /= x_norm[i] + y_norm[j]
                    cosine = one - (apart - longer * longer) / (two * x_norm[i] * y_norm[j])
                    S[i, j] = min(max(cosine, -one), one)
                    D[i, j] = np.sqrt(apart)


@compiled()
def layer(X, Y, S, D, x_norm, y_norm, x_mean, y_mean, mean_cos, mean_dist):
    """Fill in one layer's slot (`similarity_matrices.LayerStack`); ``S`` is ``X @ Y.T`` on entry.

    ``mean_cos`` and ``mean_dist`` (n, 1): each row of X against the mean row of Y. x . mean(y) is
    the mean of x . y, so that no second product is needed.
    """
    norms_and_mean(X, x_norm, x_mean)
    norms_and_mean(Y, y_norm, y_mean)
    compare(X, Y, x_norm, y_norm, S, D, mean_cos[:, 0])
    mean_row = y_mean.reshape(1, y_mean.shape[0])
    mean_norm = np.empty(1, np.float32)
    norms_and_mean(mean_row, mean_norm, np.empty_like(y_mean))
    unused = np.empty_like(x_norm)
    compare(X, mean_row, x_norm, mean_norm, mean_cos, mean_dist, unused)

"""The area under an ROC curve and its variance, where several values may come from one item."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["area_under_curve"]


def area_under_curve(
    x: np.ndarray, y: np.ndarray, x_item: np.ndarray, y_item: np.ndarray
) -> tuple[float, float]:
    """The probability that an x is above a y, ties by half, and its standard error.

    The area is the Mann-Whitney U over the number of pairs. With items that hold several values
    the variance is that of Obuchowski (Biometrics 53, 1997, 567): the placements of an item are
    summed, so that what they share counts once. With every value in an item of its own it is that
    of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988, 837), term by term.

    Parameters
    ----------
    x, y : ndarray float, shapes (m,) and (n,)
        At least one of each.
    x_item, y_item : ndarray, shapes (m,) and (n,)
        The item of each; one item may hold values of both.

    Returns
    -------
    area, error : float
        The error is NaN where the x, or the y, come from fewer than two items.
    """
    from scipy import stats

    m, n = len(x), len(y)
    both = stats.rankdata(np.concatenate([x, y]))
    above = (both[:m] - stats.rankdata(x)) / n  # share of y below each x
    below = 1 - (both[m:] - stats.rankdata(y)) / m  # share of x above each y
    area = float(above.mean())
    items, place = np.unique(np.concatenate([x_item, y_item]), return_inverse=True)
    of_x = np.bincount(place[:m], above - area, len(items))  # sums over an item: placements - m_i A
    of_y = np.bincount(place[m:], below - area, len(items))
    x_items, y_items = len(np.unique(place[:m])), len(np.unique(place[m:]))
    if x_items < 2 or y_items < 2:
        return area, math.nan
    variance = (
        x_items / (x_items - 1) * (of_x @ of_x) / m**2
        + y_items / (y_items - 1) * (of_y @ of_y) / n**2
        + 2 * len(items) / (len(items) - 1) * (of_x @ of_y) / (m * n)
    )
    return area, math.sqrt(max(float(variance), 0.0))  # the last term may be below 0

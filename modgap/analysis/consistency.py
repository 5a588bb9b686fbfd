"""Consistency of patterns: how much a measure varies over layers and over clips, per model.

The source (arXiv 2510.12116) remarks that models trained in several stages show more consistent
patterns, without a number for it; these are modgap's. X[c, k] is the measure of clip c in the
measured layer k of one model, C clips, K layers:

- level: the mean over k of m[k], where m[k] is the mean over c of X[c, k]
- over layers: the standard deviation over k of m[k], divisor K (the layers are all there are)
- over clips: the mean over k of the standard deviation over c of X[c, k], divisor C - 1
- agreement: the mean over c of Pearson's correlation over k between X[c, k] and the mean of the
  other clips; 1 means that every clip goes through the layers in the same way

Undefined values (monotonicity) are left out of each mean and deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from modgap.analysis.export import plain_value
from modgap.analysis.model_comparison import check_measure
from modgap.core.errors import SettingsError

__all__ = ["STATISTICS", "Consistency", "Estimate", "consistency", "consistency_table"]

#: The statistics, and how tables and figures name them.
STATISTICS = {
    "level": "level",
    "over_layers": "spread over layers",
    "over_clips": "spread over clips",
    "agreement": "agreement of clips",
}
RESAMPLES = 9999
MIN_CLIPS = 5  # an interval from fewer would say nothing
MIN_LAYERS = 3  # of a correlation over layers
_CHUNK = 1000


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; the interval is None where there are too few clips, the
    value NaN where it is undefined."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Consistency:
    """How consistent one measure is in one model, or, with `against`, how much more than there.

    Attributes
    ----------
    model, measure : str
    clips : int
        C: those that every compared model has.
    layers : int
        K.
    undefined : int
        How many of the C * K values do not exist.
    level, over_layers, over_clips, agreement : Estimate
        See the module; in the measure's own unit, agreement in [-1, 1]. With `against`: this
        model's minus that one's.
    against : str or None
    """

    model: str
    measure: str
    clips: int
    layers: int
    undefined: int
    level: Estimate
    over_layers: Estimate
    over_clips: Estimate
    agreement: Estimate
    against: str | None = None


def consistency(
    curves: pd.DataFrame, measure: str, *, against: str | None = None, seed: int = 0
) -> tuple[Consistency, ...]:
    """The consistency of a measure in every model of a table.

    Parameters
    ----------
    curves : DataFrame
        ``model``, ``clip``, ``layer`` and the measure, one row each (`curve_table`,
        `clip_curves`). Clips that one of the models lacks are left out everywhere.
    measure : str
    against : str, optional
        A model; then the differences of all others to it are given, paired by clip.
    seed : int
        Of the resampling.

    Returns
    -------
    tuple of Consistency
        In the order of the table. From 5 clips on with percentile bootstrap intervals over clips
        (9,999 resamples, the same ones for all models). For the agreement, the curves that the
        clips are held against are not resampled: a clip drawn twice would agree with itself.

    Raises
    ------
    SettingsError
        The measure or the model `against` is not in the table, the models have no clip in common,
        or a row comes twice.
    """
    check_measure(curves, measure)
    names, values = _matrices(curves, measure)
    if against is not None and against not in names:
        raise SettingsError(f"{against!r} is not among the models: {', '.join(names)}.")
    count = len(next(iter(values.values())))
    weights = _resamples(count, seed) if count >= MIN_CLIPS else None
    points = {name: _statistics(x, np.ones((1, count))) for name, x in values.items()}
    draws = None if weights is None else {n: _chunked(x, weights) for n, x in values.items()}
    made = []
    for name in names:
        if name == against:
            continue
        estimates = {}
        for key in STATISTICS:
            value = points[name][key][0]
            drawn = None if draws is None else draws[name][key]
            if against is not None:
                value = value - points[against][key][0]
                drawn = None if drawn is None or draws is None else drawn - draws[against][key]
            estimates[key] = _estimate(float(value), drawn)
        x = values[name]
        made.append(
            Consistency(
                model=name,
                measure=measure,
                clips=count,
                layers=x.shape[1],
                undefined=int(np.isnan(x).sum()),
                against=against,
                **estimates,
            )
        )
    return tuple(made)


def consistency_table(found: Sequence[Consistency]) -> pd.DataFrame:
    """One row per model and measure.

    Returns
    -------
    DataFrame
        ``model``, ``measure``, ``against``, ``clips``, ``layers``, ``undefined``, and for each of
        the statistics its value, ``..._low`` and ``..._high`` (None where there is none).
    """
    rows: list[dict[str, Any]] = []
    for one in found:
        row: dict[str, Any] = {
            name: getattr(one, name)
            for name in ("model", "measure", "against", "clips", "layers", "undefined")
        }
        for key in STATISTICS:
            estimate: Estimate = getattr(one, key)
            row |= {key: estimate.value, f"{key}_low": estimate.low, f"{key}_high": estimate.high}
        rows.append({name: plain_value(value) for name, value in row.items()})
    table = pd.DataFrame(rows)
    numbers = [c for c in table if str(c).startswith(tuple(STATISTICS))]
    return table.astype(dict.fromkeys(numbers, float))


def _matrices(curves: pd.DataFrame, measure: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """Each model's values as (C, K), the clips the same and in the same order in all of them."""
    if curves.duplicated(["model", "clip", "layer"]).any():
        raise SettingsError("A clip and layer comes twice in one model: name the clips apart.")
    names = [str(name) for name in dict.fromkeys(curves["model"])]
    wide = {
        name: curves[curves["model"] == name].pivot(index="clip", columns="layer", values=measure)
        for name in names
    }
    clips = [c for c in dict.fromkeys(curves["clip"]) if all(c in w.index for w in wide.values())]
    if not clips:
        raise SettingsError("The models have no clip in common: compare them on the same clips.")
    return names, {name: w.loc[clips].to_numpy(dtype=float) for name, w in wide.items()}


def _resamples(count: int, seed: int) -> np.ndarray:
    """How often each clip is drawn, float64 (resamples, C)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(float)


def _chunked(x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    parts = [_statistics(x, weights[n : n + _CHUNK]) for n in range(0, len(weights), _CHUNK)]
    return {key: np.concatenate([p[key] for p in parts]) for key in STATISTICS}


def _statistics(x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The four statistics of x (C, K), its clips counted as each row of `weights` (B, C) says."""
    known = np.isfinite(x)
    centre = np.nan_to_num(_mean(x.T))
    shifted = np.where(known, x - centre, 0.0)  # so that the squares lose no digits
    n = weights @ known
    total, squares = weights @ shifted, weights @ shifted**2
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, total / n, np.nan)
        variance = np.where(n > 1, (squares - total * mean) / (n - 1), np.nan)
    clip_mean = mean + centre
    defined = np.isfinite(clip_mean)
    level = _mean(clip_mean)
    off = np.where(defined, clip_mean - level[:, None], np.nan)
    over_layers = np.where(defined.sum(1) > 1, np.sqrt(_mean(off**2)), np.nan)
    over_clips = _mean(np.sqrt(np.maximum(variance, 0.0)))
    each = _agreements(x)
    has = np.isfinite(each)
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement = (weights @ np.where(has, each, 0.0)) / (weights @ has)
    return {
        "level": level,
        "over_layers": over_layers,
        "over_clips": over_clips,
        "agreement": agreement,
    }


def _agreements(x: np.ndarray) -> np.ndarray:
    """Each clip's correlation with the mean of the others, (C,), NaN where undefined."""
    made = np.full(len(x), np.nan)
    known = np.isfinite(x)
    filled = np.where(known, x, 0.0)
    for c in range(len(x)):
        n = known.sum(0) - known[c]
        use = known[c] & (n > 0)
        if use.sum() < MIN_LAYERS:
            continue
        others = (filled.sum(0) - filled[c])[use] / n[use]
        a, b = x[c, use] - x[c, use].mean(), others - others.mean()
        size = np.sqrt((a @ a) * (b @ b))
        scale = max(np.abs(x[c, use]).max() * np.abs(others).max(), 1e-300)
        if size > 1e-12 * scale * use.sum():  # a curve that does not change has no course
            made[c] = np.clip(a @ b / size, -1.0, 1.0)
    return made


def _mean(rows: np.ndarray) -> np.ndarray:
    """The mean of what is defined in each row, NaN where nothing is."""
    known = np.isfinite(rows)
    n = known.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, np.where(known, rows, 0.0).sum(1) / n, np.nan)


def _estimate(value: float, drawn: np.ndarray | None) -> Estimate:
    if drawn is None or not np.isfinite(value) or not np.isfinite(drawn).any():
        return Estimate(value)
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Estimate(value, float(low), float(high))

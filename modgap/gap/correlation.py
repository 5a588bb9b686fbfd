"""Similarity against the gap: one point per checkpoint, and the line through them (section 6)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modgap.core.errors import SettingsError
from modgap.gap.accuracy import RESAMPLES, estimates, patterns
from modgap.gap.run_data import check_measure

if TYPE_CHECKING:
    from modgap.gap.run_data import Run, Where

__all__ = ["FEWEST", "ONE_VALUE", "TOO_FEW", "Fit", "fit", "fits", "gaps", "layer_curve",
           "layer_means", "points"]  # fmt: skip

FEWEST = 3
TOO_FEW = "fewer than 3 points"
ONE_VALUE = "the points do not differ in the measure"
GAP_QUANTITIES = ("gap", "relative_gap")


@dataclass(frozen=True, eq=False)
class Fit:
    """Ordinary least squares through n points of one group; NaN where `reason` says why.

    Attributes
    ----------
    group : str
    n : int
    slope, slope_low, slope_high, slope_p : float
        With its 95 % interval and the p of no slope (t test); for n = 3 one degree of freedom.
    intercept, r2 : float
    pearson, pearson_low, pearson_high, pearson_p : float
        The interval is Fisher's, which needs 4 points.
    spearman, spearman_p : float
    influence : DataFrame
        A row a point: ``model``, ``slope`` and ``r2`` without it, ``cook`` (Cook's distance).
    reason : str or None
        Why there is no line: `TOO_FEW` or `ONE_VALUE`.
    """

    group: str
    n: int
    slope: float = math.nan
    slope_low: float = math.nan
    slope_high: float = math.nan
    slope_p: float = math.nan
    intercept: float = math.nan
    r2: float = math.nan
    pearson: float = math.nan
    pearson_low: float = math.nan
    pearson_high: float = math.nan
    pearson_p: float = math.nan
    spearman: float = math.nan
    spearman_p: float = math.nan
    influence: pd.DataFrame | None = None
    reason: str | None = None
    _model: object = None

    def band(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The line and the 95 % interval of the mean at `x`, each of the same shape."""
        if self.reason is not None:
            raise SettingsError(f"There is no line: {self.reason}.")
        design = np.column_stack([np.ones(len(x)), x])
        made = self._model.get_prediction(design).summary_frame(alpha=0.05)  # type: ignore[attr-defined]
        return (made["mean"].to_numpy(), made["mean_ci_lower"].to_numpy(),
                made["mean_ci_upper"].to_numpy())  # fmt: skip

    def row(self) -> dict[str, object]:
        """The numbers as a table's row."""
        skip = ("influence", "_model")
        return {k: v for k, v in vars(self).items() if k not in skip}


def layer_means(
    run: Run, measure: str, where: Where | None = None, split: str | None = None
) -> pd.DataFrame:
    """A measure's mean over clips, layer by layer.

    Parameters
    ----------
    run : Run
    measure : str
        One of `modgap.gap.run_data.MEASURES`.
    where : mapping, optional
        Facet -> values.
    split : str, optional
        A facet: means of each of its values.

    Returns
    -------
    DataFrame
        ``model``, ``part`` (the facet's value, else empty), ``layer``, ``value``, ``n`` (clips for
        which the measure is defined).
    """
    check_measure(measure)
    condition, parameters = run.condition(where)
    part = f"{run.column(split)}::VARCHAR" if split else "''"
    joined = "JOIN q ON q.question = l.question" if split or where else ""
    known = f"AND {part} IS NOT NULL" if split else ""
    return run.sql(
        f"SELECT l.model, {part} AS part, l.layer, avg(l.{measure}) AS value, "
        f"count(l.{measure}) AS n FROM {run.layer_rows} AS l {joined} "
        f"WHERE {condition} {known} GROUP BY ALL ORDER BY ALL",
        parameters,
    )


def gaps(
    run: Run,
    where: Where | None = None,
    split: str | None = None,
    *,
    relative: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """The gap of every checkpoint (and value of `split`).

    Returns
    -------
    DataFrame
        ``model``, ``part``, ``group``, ``quantity`` (``relative_gap`` where there is a base LLM and
        it is asked for, else ``gap``), ``gap``, ``gap_low``, ``gap_high``, ``n``. Checkpoints
        without answers to both text and speech are left out.
    """
    have = {m: run.inputs_of(m) for m in run.models}
    wanted = [m for m in run.models if {"text", "speech"} <= set(have[m])]
    relative = relative and bool(wanted) and all("base" in have[m] for m in wanted)
    inputs = ("base", "text", "speech") if relative else ("text", "speech")
    name = GAP_QUANTITIES[relative]
    rows = []
    for model in wanted:
        found = patterns(run, model, inputs, where, split)
        for value, part in found.groupby("part") if split else [("", found)]:
            made = estimates(part, resamples=resamples, seed=seed).set_index("quantity")
            if name in made.index:
                r = made.loc[name]
                rows.append((model, str(value), run.group_of(model), name, float(r["value"]),
                             float(r["low"]), float(r["high"]), int(r["n"])))  # fmt: skip
    columns = ["model", "part", "group", "quantity", "gap", "gap_low", "gap_high", "n"]
    return pd.DataFrame(rows, columns=columns)


def points(means: pd.DataFrame, gap: pd.DataFrame, layer: int | None = None) -> pd.DataFrame:
    """Put similarity and gap together.

    Parameters
    ----------
    means : DataFrame
        From `layer_means`.
    gap : DataFrame
        From `gaps`.
    layer : int, optional
        One layer; by default the mean over layers and clips.

    Returns
    -------
    DataFrame
        The columns of `gaps` and ``x``, the similarity; checkpoints without it are left out.
    """
    chosen = means if layer is None else means[means["layer"] == layer]
    chosen = chosen[chosen["n"] > 0]
    total = (chosen["value"] * chosen["n"]).groupby([chosen["model"], chosen["part"]]).sum()
    count = chosen["n"].groupby([chosen["model"], chosen["part"]]).sum()
    x = (total / count).rename("x").reset_index()
    return gap.merge(x, on=["model", "part"], how="inner")


def fit(found: pd.DataFrame, group: str = "") -> Fit:
    """The least squares line of the gap on the similarity.

    Parameters
    ----------
    found : DataFrame
        From `points`: ``x``, ``gap``, ``model``. Rows with an undefined value are left out.

    Returns
    -------
    Fit
    """
    import statsmodels.api as sm
    from scipy import stats

    found = found[np.isfinite(found["x"]) & np.isfinite(found["gap"])]
    x, y = found["x"].to_numpy(dtype=float), found["gap"].to_numpy(dtype=float)
    if len(x) < FEWEST:
        return Fit(group, len(x), reason=TOO_FEW)
    if np.ptp(x) <= 1e-12 * max(1.0, float(np.abs(x).max())):
        return Fit(group, len(x), reason=ONE_VALUE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant gap has no correlation: NaN says it
        made = sm.OLS(y, sm.add_constant(x)).fit()
        low, high = made.conf_int(0.05)[1]
        constant = np.ptp(y) == 0
        r = stats.pearsonr(x, y)
        ends = r.confidence_interval() if len(x) > 3 and not constant else (math.nan, math.nan)
        rho = stats.spearmanr(x, y)
        influence = _influence(found, made)
    return Fit(
        group, len(x), float(made.params[1]), float(low), float(high), float(made.pvalues[1]),
        float(made.params[0]), math.nan if constant else float(made.rsquared),
        float(r.statistic), float(ends[0]), float(ends[1]), float(r.pvalue),
        float(rho.statistic), float(rho.pvalue), influence, None, made,
    )  # fmt: skip


def _influence(found: pd.DataFrame, made: object) -> pd.DataFrame:
    """Each point left out once."""
    from statsmodels.stats.outliers_influence import OLSInfluence

    x, y = found["x"].to_numpy(dtype=float), found["gap"].to_numpy(dtype=float)
    cook = np.asarray(OLSInfluence(made).cooks_distance[0], dtype=float)
    rows = []
    for i in range(len(x)):
        keep = np.arange(len(x)) != i
        a, b = x[keep], y[keep]
        slope = r2 = math.nan
        if np.ptp(a) > 0:
            slope = float(np.cov(a, b)[0, 1] / np.var(a, ddof=1))
            r2 = float(np.corrcoef(a, b)[0, 1] ** 2) if np.ptp(b) > 0 else math.nan
        rows.append((found["model"].iloc[i], found["part"].iloc[i], slope, r2, cook[i]))
    return pd.DataFrame(rows, columns=["model", "part", "slope", "r2", "cook"])


def fits(found: pd.DataFrame, groups: Sequence[str] | None = None) -> list[Fit]:
    """A line for each group, and one for all points where there are several groups."""
    names = list(dict.fromkeys(found["group"])) if groups is None else list(groups)
    made = [fit(found[found["group"] == name], name) for name in names]
    return [*made, fit(found, "all")] if len(names) > 1 else made


def layer_curve(means: pd.DataFrame, gap: pd.DataFrame) -> pd.DataFrame:
    """R^2 and slope in every layer, group by group.

    Returns
    -------
    DataFrame
        ``group``, ``layer``, ``n``, ``r2``, ``slope``, ``pearson``, ``spearman``; NaN where there
        is no line.
    """
    rows = [
        (made.group, int(layer), made.n, made.r2, made.slope, made.pearson, made.spearman)
        for layer in sorted(set(means["layer"]))
        for made in fits(points(means, gap, int(layer)))
    ]
    columns = ["group", "layer", "n", "r2", "slope", "pearson", "spearman"]
    return pd.DataFrame(rows, columns=columns)

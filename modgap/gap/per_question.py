"""Question by question: does a clip's own similarity tell that its spoken answer fails?"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modgap.gap.delong import area_under_curve
from modgap.gap.run_data import check_measure

if TYPE_CHECKING:
    from modgap.gap.run_data import Run, Where

__all__ = ["Auc", "Logistic", "Within", "auc", "logistic", "question_rows", "within_items"]

SEPARATED = 0.01  # every question is foretold to within this
FEWEST_ITEMS = 3
NAMES = {"measure": "similarity", "seconds": "length of the clip", "wer": "word error rate"}


def question_rows(
    run: Run,
    model: str,
    measure: str = "aps_cos",
    layer: int | None = None,
    where: Where | None = None,
    *,
    text_right: bool = True,
) -> pd.DataFrame:
    """One row a question that a model was asked aloud.

    Parameters
    ----------
    run : Run
    model : str
    measure : str
        One of `modgap.gap.run_data.MEASURES`.
    layer : int, optional
        By default the mean over layers.
    where : mapping, optional
        Facet -> values.
    text_right : bool
        Only questions that the model answers rightly as text: then a failure is the speech's.

    Returns
    -------
    DataFrame
        ``failed`` (bool), ``measure``, ``seconds``, ``wer`` (NaN where unknown), ``item``,
        ``question`` (its id).
    """
    check_measure(measure)
    number = run.model_number(model)
    condition, parameters = run.condition(where)
    s = run.input_number("speech")
    right = f"AND w.c{run.input_number('text')}" if text_right else ""
    if layer is None:
        source = f"(SELECT q, {measure} FROM {run.with_means()} WHERE model = ?) AS m USING (q)"
        chosen: list[object] = [number]
    else:
        source = (
            f"(SELECT question, {measure} FROM {run.layer_rows} WHERE model = ? AND layer = ?) "
            "AS m USING (question)"
        )
        chosen = [model, layer]
    return run.sql(
        f"SELECT NOT w.c{s} AS failed, m.{measure}::DOUBLE AS measure, "
        "q.seconds::DOUBLE AS seconds, w.wer::DOUBLE AS wer, q.item, q.question FROM wide AS w "
        f"JOIN q USING (q) JOIN {source} WHERE w.model = ? AND w.c{s} IS NOT NULL {right} "
        f"AND {condition}",
        [*chosen, number, *parameters],
    )


@dataclass(frozen=True)
class Auc:
    """How well a low similarity tells failures; 0.5 is no better than chance.

    Attributes
    ----------
    value, low, high : float
        Area under the ROC curve with its 95 % interval, value +- 1.96 standard errors as in
        `modgap.gap.delong`; it has no width at 0 and 1, and is NaN with fewer than two items that
        failed or did not.
    failed, kept : int
        Questions that failed and that did not.
    reason : str or None
        Why it is undefined.
    clustered : bool
        Whether items came in several voices, so that the error is Obuchowski's (1997) over items;
        else it is DeLong's (1988), which is the same where every item comes once.
    """

    value: float
    low: float
    high: float
    failed: int
    kept: int
    reason: str | None = None
    clustered: bool = False

    @property
    def method(self) -> str:
        """What the interval is called."""
        return "DeLong, clustered by item" if self.clustered else "DeLong"


def auc(rows: pd.DataFrame, *, higher_fails: bool = False) -> Auc:
    """The probability that a failed question has a lower measure than one that did not fail.

    Ties count half. The voices of an item are no independent questions: the interval is over items.

    Parameters
    ----------
    rows : DataFrame
        From `question_rows`.
    higher_fails : bool
        For distances: a high value tells failure.
    """
    from scipy import stats

    known = rows[np.isfinite(rows["measure"])]
    value = known["measure"].to_numpy(dtype=float) * (1 if higher_fails else -1)
    failed, item = known["failed"].to_numpy(dtype=bool), known["item"].to_numpy()
    m, n = int(failed.sum()), int((~failed).sum())
    if not m or not n:
        said = "no question failed" if not m else "every question failed"
        return Auc(math.nan, math.nan, math.nan, m, n, said if m + n else "no questions")
    area, error = area_under_curve(value[failed], value[~failed], item[failed], item[~failed])
    half = float(stats.norm.ppf(0.975)) * error
    # np: a NaN stays one, which max and min of Python would turn into a bound.
    low, high = np.maximum(0.0, area - half), np.minimum(1.0, area + half)
    clustered = len(np.unique(item)) < len(item)
    return Auc(area, float(low), float(high), m, n, clustered=clustered)


@dataclass(frozen=True, eq=False)
class Logistic:
    """Failure on similarity and covariates.

    Attributes
    ----------
    table : DataFrame
        ``term``, ``odds_ratio`` per standard deviation of the term, ``low``, ``high`` (95 %),
        ``p``. Errors are clustered by item where several questions share one.
    n : int
    pseudo_r2 : float
        McFadden's.
    reason : str or None
        Why there is none.
    dropped : tuple of str
        Terms that do not vary or are unknown here.
    """

    table: pd.DataFrame
    n: int
    pseudo_r2: float = math.nan
    reason: str | None = None
    dropped: tuple[str, ...] = field(default=())


def logistic(rows: pd.DataFrame) -> Logistic:
    """Logistic regression of failure on the measure, the clip's length and the word error rate.

    Parameters
    ----------
    rows : DataFrame
        From `question_rows`.
    """
    import statsmodels.api as sm

    empty = pd.DataFrame(columns=["term", "odds_ratio", "low", "high", "p"])
    terms = [t for t in NAMES if rows[t].notna().any() and rows[t].std() > 0]
    dropped = tuple(NAMES[t] for t in NAMES if t not in terms)
    known = rows.dropna(subset=terms) if terms else rows.iloc[:0]
    y = known["failed"].to_numpy(dtype=float)
    if "measure" not in terms:
        return Logistic(empty, len(known), reason="the measure is unknown or does not vary")
    if len(known) <= 10 * len(terms) or y.min() == y.max():
        return Logistic(empty, len(known), reason="too few questions, or all with one outcome",
                        dropped=dropped)  # fmt: skip
    x = known[terms].to_numpy(dtype=float)
    spread = x.std(0, ddof=1)
    if (spread == 0).any():
        return Logistic(empty, len(known), reason="a term does not vary", dropped=dropped)
    design = sm.add_constant((x - x.mean(0)) / spread)
    items = known["item"].to_numpy()
    how = (
        {"cov_type": "cluster", "cov_kwds": {"groups": items}}
        if len(np.unique(items)) < len(items)
        else {}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is told from the fit below
        try:
            made = sm.Logit(y, design).fit(disp=0, maxiter=100, **how)
        except np.linalg.LinAlgError:
            return Logistic(empty, len(known), reason="the terms say the same", dropped=dropped)
    if np.abs(made.predict() - y).max() < SEPARATED:
        said = "the terms separate the outcomes perfectly"
        return Logistic(empty, len(known), reason=said, dropped=dropped)
    if not made.mle_retvals["converged"] or not np.isfinite(made.bse).all():
        return Logistic(empty, len(known), reason="the fit does not converge", dropped=dropped)
    with np.errstate(over="ignore"):
        ends = np.exp(made.conf_int(0.05)[1:])
        ratio = np.exp(made.params[1:])
    table = pd.DataFrame(
        {
            "term": [NAMES[t] for t in terms],
            "odds_ratio": ratio,
            "low": ends[:, 0],
            "high": ends[:, 1],
            "p": made.pvalues[1:],
        }
    )
    return Logistic(table, len(known), float(made.prsquared), dropped=dropped)


@dataclass(frozen=True)
class Within:
    """Failure on similarity among voices of the same question.

    Attributes
    ----------
    slope, low, high, p : float
        Change of the probability to fail for one standard deviation (within items) of the
        measure; errors clustered by item.
    r2 : float
        Share of the variance within items.
    questions, items : int
        Of items with at least two voices.
    reason : str or None
        Why there is none.
    """

    slope: float
    low: float
    high: float
    p: float
    r2: float
    questions: int
    items: int
    reason: str | None = None


def within_items(rows: pd.DataFrame) -> Within:
    """Least squares of failure on the measure with item effects removed.

    Both are taken as differences from their means over the item's voices, so that what makes a
    question hard in every voice plays no part. The slope is that of a regression with a dummy for
    each item (Frisch and Waugh).

    Parameters
    ----------
    rows : DataFrame
        From `question_rows`, best with ``text_right=False``: the item's difficulty is removed here.
    """
    import statsmodels.api as sm

    known = rows[np.isfinite(rows["measure"])]
    known = known[known.groupby("item")["item"].transform("size") > 1]
    items = known["item"].nunique()
    nothing = (math.nan,) * 5
    if items < FEWEST_ITEMS:
        return Within(*nothing, len(known), items, "no item, or too few, is asked in two voices")
    y = known["failed"].astype(float)
    x = known["measure"].astype(float)
    dy = (y - y.groupby(known["item"]).transform("mean")).to_numpy()
    dx = (x - x.groupby(known["item"]).transform("mean")).to_numpy()
    spread = float(np.sqrt((dx**2).sum() / (len(dx) - items)))
    if spread <= 1e-12 * max(1.0, float(x.abs().max())):
        return Within(*nothing, len(known), items, "the measure does not vary within items")
    if not (dy**2).sum() > 0:
        return Within(*nothing, len(known), items, "no item fails in one voice and not in another")
    made = sm.OLS(dy, dx / spread).fit(
        cov_type="cluster", cov_kwds={"groups": known["item"].to_numpy()}, use_t=True
    )
    low, high = made.conf_int(0.05)[0]
    r2 = 1 - float((made.resid**2).sum() / (dy**2).sum())
    return Within(float(made.params[0]), float(low), float(high), float(made.pvalues[0]), r2,
                  len(known), items)  # fmt: skip

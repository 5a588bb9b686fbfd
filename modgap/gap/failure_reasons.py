"""Why a spoken question failed: not heard, heard but not used, wrong form of the answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modgap.gap.run_data import Run, Where

__all__ = ["REASONS", "Threshold", "calibrated", "false_alarms", "reason", "reasons"]

#: In the order in which they are looked for.
REASONS = {
    "not heard": "the model, asked to write down the clip, gets a word wrong",
    "wrong form": "no answer can be found in what the model says",
    "not used": "written down without fault, and yet answered wrongly",
    "unknown": "the model was not asked to write the clip down",
}
#: Error rates are kept as float32 in memory and perhaps in the files: 0.3 becomes 0.30000001, which
#: is not above a tolerance of 0.3. Error rates up to 8 are kept to 2.4e-7; two that differ, of a
#: thousand words each, differ by 1e-6 at least.
ROUNDING = 5e-7


#: Where a threshold is looked for: word error rates from 0 to 1.
GRID = np.arange(101) / 100


@dataclass(frozen=True)
class Threshold:
    """Up to which word error rate a clip counts as heard, as a run itself tells the two apart.

    Attributes
    ----------
    tolerance : float
        The word error rate, of `GRID`, with the highest Youden index; 0 where there is none.
    youden : float
        J = detected - alarms (Youden, 1950); NaN where it is undefined.
    detected, alarms : float
        Of the failures (answered rightly as text, not as speech) and of the right answers to
        speech: the shares that count as not heard.
    failed, right : int
        How many these are, with a word error rate.
    reason : str or None
        Why there is no calibrated threshold.
    """

    tolerance: float
    youden: float
    detected: float
    alarms: float
    failed: int
    right: int
    reason: str | None = None


def calibrated(
    run: Run, models: Sequence[str] | None = None, where: Where | None = None
) -> Threshold:
    """The threshold that tells failures from right answers best: the maximal Youden index.

    It is found on the questions that it is used for, so J is the best case of the rule and no
    estimate of how it does elsewhere. Of equal thresholds the one with fewer false alarms counts,
    then the lower.

    Parameters
    ----------
    run : Run
    models : sequence of str, optional
        Taken together; all by default.
    where : mapping, optional
        Facet -> values.
    """
    if not {"text", "speech"} <= set(run.inputs):
        return Threshold(0.0, math.nan, math.nan, math.nan, 0, 0, "no answers to text and speech")
    condition, parameters = run.condition(where)
    t, s = run.input_number("text"), run.input_number("speech")
    found = run.sql(
        f"SELECT w.model, NOT w.c{s} AS failed, w.wer::DOUBLE AS wer FROM wide AS w JOIN q "
        f"USING (q) WHERE w.wer IS NOT NULL AND (w.c{s} OR (NOT w.c{s} AND w.c{t})) "
        f"AND {condition}",
        parameters,
    )
    numbers = [run.models.index(m) for m in models or run.models]
    found = found[found["model"].isin(numbers)]
    wer, failed = found["wer"].to_numpy(float), found["failed"].to_numpy(bool)
    counts = int(failed.sum()), int((~failed).sum())
    if not all(counts):
        missing = "no failure" if not counts[0] else "no right answer to speech"
        why = f"{missing} has a word error rate"
        return Threshold(0.0, math.nan, math.nan, math.nan, *counts, why)
    limits = np.array([highest_heard(float(x)) for x in GRID])
    detected, alarms = (
        1 - np.searchsorted(np.sort(wer[which]), limits, side="right") / which.sum()
        for which in (failed, ~failed)
    )
    youden = np.round(detected - alarms, 12)
    best = max(range(len(GRID)), key=lambda n: (youden[n], -alarms[n], -n))
    hit, alarm = float(detected[best]), float(alarms[best])
    return Threshold(float(GRID[best]), hit - alarm, hit, alarm, *counts)


def highest_heard(tolerance: float) -> float:
    """The word error rate, as it is kept, above which a clip counts as not heard."""
    return tolerance + ROUNDING


def reason(wer: float | None, unparsed: bool, tolerance: float = 0.0) -> str:
    """Why a spoken question that was answered wrongly failed.

    What is heard comes first: who hears another question gives its answer, in whatever form.

    Parameters
    ----------
    wer : float or None
        Word error rate of what the model writes down; None (or NaN) if it was not asked.
    unparsed : bool
        Whether the scorer found no answer in the response.
    tolerance : float
        The clip counts as heard up to this word error rate, this one included.

    Examples
    --------
    >>> reason(0.25, False), reason(0.0, True), reason(0.0, False), reason(None, False)
    ('not heard', 'wrong form', 'not used', 'unknown')
    """
    asked = wer is not None and wer == wer
    # float(): NumPy would compare a float32 with the limit rounded to float32.
    if asked and float(wer) > highest_heard(tolerance):  # type: ignore[arg-type]
        return "not heard"
    if unparsed:
        return "wrong form"
    return "not used" if asked else "unknown"


def reasons(
    run: Run,
    models: Sequence[str] | None = None,
    where: Where | None = None,
    *,
    tolerance: float = 0.0,
) -> pd.DataFrame:
    """How often each reason holds, among the spoken questions that were answered wrongly.

    Returns
    -------
    DataFrame
        ``model``, ``text`` (``right``: lost by speech; ``wrong``: wrong as text, too), ``reason``
        (a key of `REASONS`), ``n``, ``share`` (of all of the model's spoken questions that failed
        with that text). Only questions with judged answers to both.
    """
    columns = ["model", "text", "reason", "n", "share"]
    if not {"text", "speech"} <= set(run.inputs):
        return pd.DataFrame(columns=columns)
    condition, parameters = run.condition(where)
    t, s = run.input_number("text"), run.input_number("speech")
    found = run.sql(
        f"SELECT w.model, w.c{t} AS was_right, w.u{s} AS unparsed, w.wer::DOUBLE > ? AS misheard, "
        "count(*) AS n FROM wide AS w JOIN q USING (q) "
        f"WHERE NOT w.c{s} AND w.c{t} IS NOT NULL AND {condition} GROUP BY ALL",
        [highest_heard(tolerance), *parameters],
    )
    wanted = set(models or run.models)
    counts: dict[tuple[str, str, str], int] = {}
    for row in found.itertuples():
        model = run.models[int(row.model)]
        if model in wanted:
            wer = None if pd.isna(row.misheard) else math.inf if row.misheard else 0.0
            name = reason(wer, bool(row.unparsed), tolerance)
            key = (model, "right" if row.was_right else "wrong", name)
            counts[key] = counts.get(key, 0) + int(row.n)
    totals: dict[tuple[str, str], int] = {}
    for (model, text, _), n in counts.items():
        totals[model, text] = totals.get((model, text), 0) + n
    rows = [
        (model, text, name, counts[model, text, name], counts[model, text, name] / all_)
        for (model, text), all_ in totals.items()
        for name in REASONS
        if (model, text, name) in counts
    ]
    order = {m: n for n, m in enumerate(run.models)}
    rows.sort(key=lambda r: (order[r[0]], r[1], list(REASONS).index(r[2])))
    return pd.DataFrame(rows, columns=columns)


def false_alarms(
    run: Run,
    models: Sequence[str] | None = None,
    where: Where | None = None,
    *,
    tolerance: float = 0.0,
) -> pd.DataFrame:
    """What "not heard" is to be held against: how often it would be said of right answers.

    A model that answers a spoken question rightly has heard it, in whatever words it writes it
    down. Where this share is as high as that of the failures, "not heard" explains nothing.

    Returns
    -------
    DataFrame
        ``model``; ``right``, the spoken questions answered rightly that were written down, too;
        ``misheard``, those of them whose word error rate is above the tolerance; ``share``.
    """
    columns = ["model", "right", "misheard", "share"]
    if "speech" not in run.inputs:
        return pd.DataFrame(columns=columns)
    condition, parameters = run.condition(where)
    s = run.input_number("speech")
    found = run.sql(
        "SELECT w.model, count(*) AS n, count(*) FILTER (w.wer::DOUBLE > ?) AS misheard "
        f"FROM wide AS w JOIN q USING (q) WHERE w.c{s} AND w.wer IS NOT NULL AND {condition} "
        "GROUP BY w.model ORDER BY w.model",
        [highest_heard(tolerance), *parameters],
    )
    wanted = set(models or run.models)
    rows = [
        (run.models[int(r.model)], int(r.n), int(r.misheard), r.misheard / r.n)
        for r in found.itertuples()
        if run.models[int(r.model)] in wanted
    ]
    return pd.DataFrame(rows, columns=columns)

"""The modality gap: accuracies with intervals, the gap, and what it is made of (method, section 5).

A_b, A_t, A_s, A_p are the accuracies of the base text LLM on text, of the speech LLM on text and on
speech, and of a pipeline. Definitions after Xiang et al., arXiv 2510.12116.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modgap.core.errors import SettingsError
from modgap.gap.option_rules import OPTION_COLUMNS, option_scores

if TYPE_CHECKING:
    from modgap.gap.run_data import Run, Where

__all__ = ["COUNTS", "NAMES", "RESAMPLES", "RULES", "accuracies", "estimates", "gap_table",
           "patterns", "quantity_name"]  # fmt: skip

RESAMPLES = 9999
STANDARD = ("base", "text", "speech", "pipeline")
#: Columns of `accuracies`: what was counted, and the scores by more than one rule.
COUNTS = ("model", "input", "asked", "judged", "right", "unparsed", "failed")
RULES = ("accuracy", "expected", "expected_of", *OPTION_COLUMNS)
MOST_DRAWS = 40_000_000  # counts drawn at once; more different patterns get fewer resamples
FEWEST = 999

#: What `estimates` can hold, in its order, as pages and reports name it.
NAMES = {
    "base": "A_b: base LLM on text",
    "text": "A_t: on text",
    "speech": "A_s: on speech",
    "pipeline": "A_p: pipeline",
    "gap": "gap: A_t − A_s",
    "relative_gap": "relative gap: (A_t − A_s) / A_b",
    "lost_in_tuning": "lost in tuning: (A_b − A_t) / A_b",
    "lost_total": "lost in all: (A_b − A_s) / A_b",
    "pipeline_lead": "pipeline's lead: A_p − A_s",
}


def quantity_name(quantity: str) -> str:
    """A quantity of `estimates` for people.

    >>> quantity_name("change:speech+all")
    'speech+all − A_s'
    """
    if quantity.startswith("change:"):
        return f"{quantity.removeprefix('change:')} − A_s"
    return NAMES.get(quantity, quantity)


def patterns(
    run: Run, model: str, inputs: Sequence[str], where: Where | None = None, by: str | None = None
) -> pd.DataFrame:
    """How often each pattern of right and wrong answers occurs, over questions with all `inputs`.

    Questions that are the same but for the voice form one item; an item's pattern is how many of
    its questions were right on each input.

    Parameters
    ----------
    run : Run
    model : str
    inputs : sequence of str
        A question counts if each of these has a judged answer.
    where : mapping, optional
        Facet -> values.
    by : str, optional
        A facet: patterns of each of its values, which is then the column ``part``.

    Returns
    -------
    DataFrame
        One row a pattern: a column an input with the number of right answers, ``size`` (questions
        of the item), ``n`` (how many items have this pattern).
    """
    right = [f"c{run.input_number(kind)}" for kind in inputs]
    if not right:
        raise SettingsError("Choose at least one input.")
    condition, parameters = run.condition(where)
    group = f"{run.column(by)}::VARCHAR AS part, " if by else ""
    known = "WHERE part IS NOT NULL " if by else ""
    sums = ", ".join(f"sum(w.{c}::INTEGER)::INTEGER AS s{n}" for n, c in enumerate(right))
    judged = " AND ".join(f"w.{c} IS NOT NULL" for c in right)
    table = run.sql(
        "SELECT * EXCLUDE (item), count(*)::BIGINT AS n FROM ("
        f"SELECT {group}q.item, {sums}, count(*)::INTEGER AS size FROM wide AS w JOIN q USING (q) "
        f"WHERE w.model = ? AND {judged} AND {condition} GROUP BY ALL) {known}"
        "GROUP BY ALL ORDER BY ALL",
        [run.model_number(model), *parameters],
    )
    return table.rename(columns={f"s{n}": kind for n, kind in enumerate(inputs)})


def estimates(
    found: pd.DataFrame, *, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> pd.DataFrame:
    """Accuracies, gap and decomposition with percentile bootstrap intervals over questions.

    All quantities come from the same resamples, so that differences are paired. Resampling items
    is drawing the counts of their patterns from a multinomial distribution, which costs the same
    for a hundred questions as for a million.

    Parameters
    ----------
    found : DataFrame
        From `patterns`: columns of inputs, ``size``, ``n``.
    resamples : int
        Fewer are drawn where there are more than about 4,000 different patterns.
    seed : int
    level : float
        Of the intervals.

    Returns
    -------
    DataFrame
        One row a quantity: ``quantity`` (a key of `NAMES`, or an input's own name for
        interventions, ``change:INPUT`` for its difference from speech), ``value``, ``low``,
        ``high``, ``n`` (questions). Shares, not percent. NaN where a quantity is undefined (A_b is
        0). Empty where there are no questions.
    """
    columns = ["quantity", "value", "low", "high", "n"]
    inputs = [c for c in found.columns if c not in ("part", "size", "n")]
    counts = found["n"].to_numpy(dtype=np.int64)
    if not counts.sum():
        return pd.DataFrame({c: pd.Series(dtype=object if c == "quantity" else float)
                             for c in columns})  # fmt: skip
    size = found["size"].to_numpy(dtype=float)
    right = found[inputs].to_numpy(dtype=float)
    drawn = max(min(resamples, MOST_DRAWS // len(counts)), min(resamples, FEWEST))
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(counts.sum(), counts / counts.sum(), size=drawn)
    made = _quantities(inputs, (weights @ right) / (weights @ size)[:, None])
    point = _quantities(inputs, (counts @ right / (counts @ size))[None])
    tails = [(1 - level) / 2, (1 + level) / 2]
    rows = []
    for name, values in point.items():
        sample = made[name][np.isfinite(made[name])]
        low, high = np.quantile(sample, tails) if len(sample) else (np.nan, np.nan)
        rows.append((name, values[0], low, high, int(counts @ size)))
    return pd.DataFrame(rows, columns=columns)


def _quantities(inputs: Sequence[str], accuracy: np.ndarray) -> dict[str, np.ndarray]:
    """Everything that is made of accuracies; `accuracy` has shape (samples, inputs)."""
    a = {kind: accuracy[:, n] for n, kind in enumerate(inputs)}
    made = {k: a[k] for k in (*(k for k in STANDARD if k in a),
                              *(k for k in a if k not in STANDARD))}  # fmt: skip
    if {"text", "speech"} <= set(a):
        made["gap"] = a["text"] - a["speech"]
    with np.errstate(divide="ignore", invalid="ignore"):
        if "base" in a:
            base = np.where(a["base"] > 0, a["base"], np.nan)
            if "gap" in made:
                made["relative_gap"] = made["gap"] / base
            if "text" in a:
                made["lost_in_tuning"] = (a["base"] - a["text"]) / base
            if "speech" in a:
                made["lost_total"] = (a["base"] - a["speech"]) / base
    if {"pipeline", "speech"} <= set(a):
        made["pipeline_lead"] = a["pipeline"] - a["speech"]
    for kind in a:
        if kind not in STANDARD and "speech" in a:
            made[f"change:{kind}"] = a[kind] - a["speech"]
    return made


def gap_table(
    run: Run,
    models: Sequence[str] | None = None,
    where: Where | None = None,
    by: str | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Accuracies, gap and decomposition of models, over the questions that each was asked in full.

    Parameters
    ----------
    run : Run
    models : sequence of str, optional
        All by default.
    where, by
        As in `patterns`.
    resamples, seed
        As in `estimates`.

    Returns
    -------
    DataFrame
        ``model``, ``part`` (the facet's value, empty without one), then the columns of `estimates`.
        Interventions are compared with the speech as it is on the questions that both were asked.
    """
    rows: list[pd.DataFrame] = []
    for model in models or run.models:
        have = run.inputs_of(model)
        sets = [[k for k in STANDARD if k in have]]
        sets += [["speech", k] for k in have if k not in STANDARD and "speech" in have]
        for inputs in filter(None, sets):
            found = patterns(run, model, inputs, where, by)
            parts = found.groupby("part", sort=True) if by else [("", found)]
            for value, part in parts:
                made = estimates(part, resamples=resamples, seed=seed)
                if inputs != sets[0]:
                    made = made[made["quantity"].isin([inputs[1], f"change:{inputs[1]}"])]
                made.insert(0, "part", str(value))
                made.insert(0, "model", model)
                rows.append(made)
    columns = ["model", "part", "quantity", "value", "low", "high", "n"]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def accuracies(run: Run, where: Where | None = None) -> pd.DataFrame:
    """What was asked and judged, model by model and input by input.

    Returns
    -------
    DataFrame
        ``model``, ``input``, ``asked`` (questions with an answer), ``judged``, ``right``,
        ``unparsed`` (judged wrong because no answer was found in the response), ``failed``
        (questions that could not be run); ``accuracy`` (right of those judged); ``expected`` (mean
        score that VoiceBench's rule would give on average, and where that is the same, 1 or 0) over
        ``expected_of`` answers; and the columns of `option_rules.option_scores`. Shares in
        [0, 1], NaN where there is nothing to take one of.
    """
    condition, parameters = run.condition(where)
    counts = ", ".join(
        f"sum((n{n} > 0)::INTEGER) AS asked{n}, count(c{n}) AS judged{n}, "
        f"sum(coalesce(c{n}, FALSE)::INTEGER) AS right{n}, sum(u{n}::INTEGER) AS unparsed{n}, "
        f"count(e{n}) AS expected_of{n}, avg(e{n}) AS expected{n}"
        for n in range(len(run.inputs))
    )
    if not counts:
        return pd.DataFrame(columns=[*COUNTS, *RULES])
    wide = run.sql(
        f"SELECT model, {counts} FROM wide JOIN q USING (q) WHERE {condition} GROUP BY model "
        "ORDER BY model", parameters,
    )  # fmt: skip
    lost = run.sql(
        "SELECT f.model, f.input, count(DISTINCT f.question) AS failed FROM failures AS f "
        f"JOIN q USING (question) WHERE {condition} AND NOT EXISTS (SELECT 1 FROM answers AS a "
        "WHERE a.model = f.model AND a.question = f.question AND a.input = f.input) "
        "GROUP BY ALL", parameters,
    )  # fmt: skip
    failed = {(r.model, r.input): int(r.failed) for r in lost.itertuples()}
    rows: list[dict[str, Any]] = []
    for row in wide.to_dict("records"):
        model = run.models[int(row["model"])]
        for n, kind in enumerate(run.inputs):
            if row[f"asked{n}"] or (model, kind) in failed:
                numbers: dict[str, Any] = {k: int(row[f"{k}{n}"]) for k in COUNTS[2:-1]}
                numbers["failed"] = failed.get((model, kind), 0)
                numbers["accuracy"] = numbers["right"] / (numbers["judged"] or math.nan)
                numbers["expected"] = float(row[f"expected{n}"])
                numbers["expected_of"] = int(row[f"expected_of{n}"])
                rows.append({"model": model, "input": kind, **numbers})
    table = pd.DataFrame(rows, columns=[*COUNTS, *RULES[:3]])
    made = table.merge(option_scores(run, where), on=["model", "input"], how="left")
    return made.assign(with_options=made["with_options"].fillna(0).astype(int))

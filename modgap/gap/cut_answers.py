"""Answers that the budget of new tokens cut: how many, of which side, and when that matters.

What is cut loses an option that is named at the end, or an instruction that is followed there;
where one side is cut more often than the other, that is counted as gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from modgap.gap.run_data import Run, Where

__all__ = ["SHARE", "cut_answers", "cut_warnings", "run_warnings"]

#: A side of which more is cut is warned of.
SHARE = 0.01


def cut_answers(
    run: Run, models: Sequence[str] | None = None, where: Where | None = None
) -> pd.DataFrame:
    """Count cut answers, model by model and input by input.

    Returns
    -------
    DataFrame
        ``model``, ``input``, ``answers``, ``cut``.
    """
    condition, parameters = run.condition(where)
    found = run.sql(
        "SELECT a.model, a.input, count(*)::INTEGER AS answers, "
        "sum((a.finished IS NOT DISTINCT FROM FALSE)::INTEGER)::INTEGER AS cut "
        f"FROM {run.answer_rows} AS a JOIN q USING (question) WHERE {condition} GROUP BY ALL",
        parameters,
    )
    order = {name: n for n, name in enumerate(run.models)}
    sides = {name: n for n, name in enumerate(run.inputs)}
    found = found[found["model"].isin(list(models or run.models))]
    key = found["model"].map(order) * len(sides) + found["input"].map(sides)
    return found.loc[key.sort_values().index].reset_index(drop=True)


def cut_warnings(rows: Iterable[Mapping[str, Any]], budget: int | None) -> list[str]:
    """A sentence for each model of which more than 1 % of a side's answers are cut, all its sides
    in numbers.

    Parameters
    ----------
    rows : iterable of mapping
        ``model``, ``input``, ``answers``, ``cut``.
    budget : int or None
        New tokens of an answer, where it is known.
    """
    sides: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["answers"]:
            sides.setdefault(str(row["model"]), []).append(row)
    at = f" at {budget} new tokens" if budget else ""
    return [
        f"{model}: answers were cut{at}: "
        + ", ".join(
            f"{r['input']} {r['cut']} of {r['answers']} ({100 * r['cut'] / r['answers']:.1f} %)"
            for r in mine
        )
        + ". What is cut can be wrong or unparsed for that alone, and so count as gap: ask again "
        "with a larger --max-new-tokens, in a new run."
        for model, mine in sides.items()
        if any(r["cut"] > SHARE * r["answers"] for r in mine)
    ]


def run_warnings(
    run: Run, models: Sequence[str] | None = None, where: Where | None = None
) -> list[str]:
    """`cut_warnings` of a run that is read."""
    said = run.protocol.get("settings")
    budget = said.get("max_new_tokens") if isinstance(said, dict) else None
    rows = cut_answers(run, models, where).to_dict("records")
    return cut_warnings(rows, budget if isinstance(budget, int) else None)

"""The clips of a run as a table: who was right, what was said, sorted and filtered."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import pandas as pd

from modgap.core.errors import SettingsError
from modgap.gap.failure_reasons import reason
from modgap.gap.run_data import MEASURES

if TYPE_CHECKING:
    from modgap.gap.run_data import Run, Where

__all__ = ["SORTS", "Change", "changes", "clip_rows", "count_clips"]

#: What rows can be ordered by.
SORTS = ("question", "seconds", "wer", "kl", *MEASURES)


class Change(StrEnum):
    """What became of a question when it was spoken instead of typed."""

    ALL = "all"
    LOST = "lost by speech"
    FIXED = "fixed by speech"
    BOTH = "right both ways"
    NEITHER = "wrong both ways"
    UNPARSED = "no answer found in the speech's response"


def changes(run: Run) -> tuple[Change, ...]:
    """What can be told of the questions of a run, by the inputs that it has."""
    both = {"text", "speech"} <= set(run.inputs)
    alone = (Change.UNPARSED,) if "speech" in run.inputs else ()
    return tuple(Change) if both else (Change.ALL, *alone)


def _conditions(
    run: Run, model: str, change: Change, where: Where | None, words: str
) -> tuple[str, list[object]]:
    """After FROM wide AS w JOIN q: the condition and its parameters."""
    condition, parameters = run.condition(where)
    terms, values = ["w.model = ?", condition], [run.model_number(model), *parameters]
    if change is not Change.ALL:
        s = run.input_number("speech")
        if change is Change.UNPARSED:
            terms.append(f"w.u{s}")
        else:
            t = run.input_number("text")
            text, speech = {
                Change.LOST: ("", "NOT "), Change.FIXED: ("NOT ", ""),
                Change.BOTH: ("", ""), Change.NEITHER: ("NOT ", "NOT "),
            }[change]  # fmt: skip
            terms.append(f"{text}w.c{t} AND {speech}w.c{s}")
    if words.strip():
        terms.append(
            "q.question IN (SELECT question FROM questions WHERE contains(lower(transcript), ?))"
        )
        values.append(words.strip().lower())
    return " AND ".join(terms), values


def count_clips(
    run: Run,
    model: str,
    change: Change = Change.ALL,
    where: Where | None = None,
    *,
    words: str = "",
) -> int:
    """How many rows `clip_rows` has in all."""
    condition, values = _conditions(run, model, change, where, words)
    found = run.sql(
        f"SELECT count(*) AS n FROM wide AS w JOIN q USING (q) WHERE {condition}", values
    )
    return int(found["n"][0])


def clip_rows(
    run: Run,
    model: str,
    change: Change = Change.ALL,
    where: Where | None = None,
    *,
    words: str = "",
    sort: str = "question",
    descending: bool = False,
    start: int = 0,
    limit: int = 50,
    tolerance: float = 0.0,
) -> pd.DataFrame:
    """Some clips with their answers.

    Parameters
    ----------
    run : Run
    model : str
    change : Change
        Only clips of which this became.
    where : mapping, optional
        Facet -> values.
    words : str
        Only clips whose transcript holds this.
    sort : str
        One of `SORTS`; a measure means its mean over layers. Unknown values come last.
    descending : bool
    start, limit : int
    tolerance : float
        As in `modgap.gap.failure_reasons.reason`.

    Returns
    -------
    DataFrame
        ``question``, ``transcript``, ``reference``, then for every input of the run its response
        and ``INPUT right`` (true, false or null), ``heard``, ``wer``, ``kl``, ``seconds``, the
        measure that it is sorted by, ``reason`` (why the spoken question failed), and the facets.

    Raises
    ------
    SettingsError
        The model, a facet or the order is unknown.
    """
    if sort not in SORTS:
        raise SettingsError(f"Clips can be sorted by {', '.join(SORTS)}, not by {sort!r}.")
    condition, values = _conditions(run, model, change, where, words)
    joined, key = "", f"q.{sort}" if sort in ("question", "seconds") else f"w.{sort}"
    if sort in MEASURES:
        joined = f"LEFT JOIN {run.with_means()} AS m ON m.model = w.model AND m.q = w.q"
        key = f"m.{sort}"
    right = ", ".join(f"w.c{n}, w.u{n}" for n in range(len(run.inputs)))
    facets = "".join(f", q.{run.column(f)}::VARCHAR AS g{n}" for n, f in enumerate(run.facets))
    chosen = run.sql(
        f"SELECT q.question, {right}, w.wer, w.kl, q.seconds, {key} AS key{facets} "
        f"FROM wide AS w JOIN q USING (q) {joined} WHERE {condition} ORDER BY key "
        f"{'DESC' if descending else 'ASC'} NULLS LAST, q.question LIMIT ? OFFSET ?",
        [*values, limit, start],
    )
    names = list(chosen["question"])
    places = ", ".join("?" for _ in names) or "NULL"
    about = run.sql(
        f"SELECT question, transcript, reference FROM questions WHERE question IN ({places})", names
    ).drop_duplicates("question")
    said = run.sql(
        "SELECT question, input, response, heard FROM answers WHERE model = ? AND question IN "
        f"({places})", [model, *names],
    ).drop_duplicates(["question", "input"])  # fmt: skip
    table = chosen[["question"]].merge(about, on="question", how="left")
    for n, kind in enumerate(run.inputs):
        mine = said[said["input"] == kind].set_index("question")["response"]
        table[kind] = table["question"].map(mine)
        table[f"{kind} right"] = chosen[f"c{n}"].astype("boolean")
    heard = said[said["input"] == "speech"].set_index("question")["heard"]
    table["heard"] = table["question"].map(heard)
    for name in ("wer", "kl", "seconds"):
        table[name] = chosen[name]
    if sort in MEASURES:
        table[sort] = chosen["key"]
    table["reason"] = None
    if "speech" in run.inputs:
        s = run.input_number("speech")
        table["reason"] = [
            reason(w, bool(u), tolerance) if c is not pd.NA and c is not None and not c else None
            for c, u, w in zip(
                chosen[f"c{s}"].astype("boolean"), chosen[f"u{s}"], chosen["wer"], strict=True
            )
        ]
    for n, facet in enumerate(run.facets):
        table[facet] = chosen[f"g{n}"]
    return table

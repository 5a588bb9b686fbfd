"""The source's Table 1 beside a run: what `modgap table1 --out RUN/interventions` has written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from modgap.core.errors import StoreError
from modgap.core.foreign_files import is_plain
from modgap.evaluation.interventions.adaptive import choice_sentence, evaluate, shown
from modgap.evaluation.interventions.question_outcomes import (
    CONTROLS,
    PLAIN,
    RULES_OF_THE_SOURCE,
    TEXT,
    summary,
)

__all__ = ["FOLDER", "Table1", "kept_answers", "read_table1"]

#: Of a run's folder.
FOLDER = "interventions"
_ENDING = "-answers.parquet"
_COLUMNS = {"item", "variant", "right", "aps"}


@dataclass(frozen=True, eq=False)
class Table1:
    """Interventions over the questions of a data set, in one model.

    Attributes
    ----------
    model : str
    fixed : DataFrame
        `summary` of the source's rows and their controls.
    adaptive : DataFrame or None
        The report on the questions that the adaptive choice was not made on (`adaptive.evaluate`).
    choice : str
        What was chosen, in a sentence; empty without a choice.
    """

    model: str
    fixed: pd.DataFrame
    adaptive: pd.DataFrame | None = None
    choice: str = ""


def kept_answers(run: Path) -> dict[str, Path]:
    """The files of answers beside a run, by what stands before their ending."""
    found = sorted((run / FOLDER).glob(f"*{_ENDING}"))
    return {path.name.removesuffix(_ENDING): path for path in found if is_plain(path, run)}


def read_table1(path: Path) -> Table1:
    """Read a model's answers and sum them up.

    Raises
    ------
    StoreError
        The file cannot be read, or holds something else.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as problem:
        raise StoreError(f"{path.name} cannot be read: {problem}") from problem
    missing = _COLUMNS - set(table)
    if missing or not {PLAIN, TEXT} <= set(table.get("variant", ())):
        raise StoreError(f"{path.name} holds no answers of `modgap table1`: write it again.")
    said = table["model"].iloc[0] if "model" in table else path.name.removesuffix(_ENDING)
    known = [PLAIN, TEXT, *RULES_OF_THE_SOURCE, *CONTROLS]
    fixed = summary(table[table["variant"].isin(known)])
    if set(table["variant"]) <= set(known):
        return Table1(str(said), fixed)
    choice, report = evaluate(table)
    return Table1(str(said), fixed, shown(choice, report), choice_sentence(choice, report))

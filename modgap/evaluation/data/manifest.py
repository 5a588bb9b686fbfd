"""A manifest: a table beside its audio files, read row by row."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import SettingsError
from modgap.scoring.question import Question

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

__all__ = ["GROUPS", "KINDS", "manifest_questions", "manifest_rows"]

#: Columns that say what a question is grouped by; so does ``group`` and every ``group_NAME``.
GROUPS = (
    "topic", "accent", "voice", "speaker", "gender", "language", "condition", "perturbation",
    "speed", "item",
)  # fmt: skip
KINDS = (".csv", ".jsonl", ".parquet")
_OWN = ("id", "audio", "transcript", "reference", "instruction", "scorer", "choices", "meta",
        "dataset", "subset")  # fmt: skip
# What is said or answered can be the word "None"; elsewhere it is how programs write an empty cell.
_WORDS = ("transcript", "reference")
_EMPTY = ("", "nan", "None")


def manifest_questions(path: Path) -> Iterator[Question]:
    """Questions of a CSV, JSONL or parquet table.

    Columns
    -------
    audio
        A path, relative to the table.
    transcript
        What is said.
    reference
        The right answer; not needed where `scorer` needs none. The word "None" is one.
    references
        More right answers: a list, or in CSV with ``|`` between them.
    id, instruction, scorer, dataset, subset
        As in `Question`. Without an id, rows are numbered from 0; without a scorer, the answer is
        compared with the reference.
    choices
        A list, or in CSV the options with ``|`` between them.
    meta
        A mapping, or in CSV one in JSON. Columns of no other meaning are added to it.
    group, group_NAME, topic, accent, voice, speaker, ..., item
        Groups (`GROUPS`).

    Raises
    ------
    SettingsError
        The file is missing or of another kind, a column or a value is missing, or a row has an
        unknown scorer or lacks what its scorer needs.
    """
    for number, row in enumerate(manifest_rows(path)):
        if number == 0:
            _check_columns(path, row)
        yield _question(path, number, row)


def manifest_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a table as mappings, with no value where a cell is null or not a number.

    Raises
    ------
    SettingsError
        The file is missing, of another kind, damaged, or has no rows.
    """
    readers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise SettingsError(f"A manifest is a .csv, .jsonl or .parquet file, not {path.name}.")
    if not path.is_file():
        raise SettingsError(f"There is no manifest {path}.")
    empty = True
    try:
        for row in read(path):
            empty = False
            # Parquet made by pandas has NaN for an empty cell.
            yield {k: v for k, v in row.items() if v is not None and v == v}
    except (OSError, csv.Error, ValueError) as problem:
        if isinstance(problem, SettingsError):
            raise
        raise SettingsError(f"The manifest {path} cannot be read: {problem}.") from problem
    if empty:
        raise SettingsError(f"The manifest {path.name} has no rows.")


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if None in row:
                raise ValueError(f"row {row} has more cells than there are columns")
            yield row


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number + 1} is not a JSON object")
            yield row


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def _check_columns(path: Path, row: Mapping[str, Any]) -> None:
    for name in ("audio", "transcript"):
        if name not in row:
            raise SettingsError(
                f"The manifest {path.name} has no column {name!r}; it needs audio, transcript and "
                "mostly reference, and may have id, instruction, choices, scorer, meta, groups."
            )


def _question(path: Path, number: int, row: Mapping[str, Any]) -> Question:
    text = {name: str(row[name]) for name in _OWN if name in row and name not in _NESTED}
    text = {name: value for name, value in text.items() if not _missing(name, value)}
    scorer = text.get("scorer", "reference")
    for name in ("audio", "transcript", *(("reference",) if scorer == "reference" else ())):
        if name not in text:
            raise SettingsError(f"Row {number + 1} of {path.name} has no {name}.")
    groups = {
        _group_name(name): str(value)
        for name, value in row.items()
        if _group_name(name) and not _missing(name, str(value))
    }
    extra = {k: v for k, v in row.items() if k not in _OWN and not _group_name(k)}
    meta = {**extra, **_meta(path, number, row.get("meta"))}
    if "references" in meta:
        meta["references"] = _references(meta["references"])
    _check_scorer(path, number, scorer, meta)
    return Question(
        id=text.get("id", str(number)),
        transcript=text["transcript"],
        load=partial(_load, path.parent / text["audio"]),
        reference=text.get("reference", ""),
        instruction=text.get("instruction", ""),
        scorer=scorer,
        choices=_choices(path, number, row.get("choices")),
        meta=meta,
        dataset=text.get("dataset", path.stem),
        subset=text.get("subset", ""),
        groups=groups,
    )


_NESTED = ("choices", "meta")


def _missing(name: str, value: str) -> bool:
    return not value.strip() if name in _WORDS else value.strip() in _EMPTY


def _check_scorer(path: Path, number: int, scorer: str, meta: Mapping[str, Any]) -> None:
    from modgap.scoring.scorers import check_scorer

    try:
        check_scorer(scorer, meta)
    except SettingsError as problem:
        raise SettingsError(f"Row {number + 1} of {path.name}: {problem}") from problem


def _group_name(column: str) -> str:
    if column == "group" or column in GROUPS:
        return column
    return column.removeprefix("group_") if column.startswith("group_") else ""


def _choices(path: Path, number: int, value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = json.loads(value) if value.lstrip().startswith("[") else value.split("|")
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise SettingsError(
            f"Row {number + 1} of {path.name} has no list of words as choices: {value!r}."
        )
    return tuple(v.strip() for v in value)


def _references(value: Any) -> list[str]:
    """More right answers as a list; one that is no list is one answer, or several with ``|``."""
    if isinstance(value, str):
        value = value.split("|")
    given = value if isinstance(value, list | tuple) else [value]
    return [text for v in given if v is not None and (text := str(v).strip())]


def _meta(path: Path, number: int, value: Any) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise SettingsError(f"Row {number + 1} of {path.name} has no JSON mapping as meta.")
    return value


def _load(path: Path) -> Clip:
    from modgap.audio.clip import load_clip

    return load_clip(path)

"""A manifest: a table beside its audio files, read row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import SettingsError
from modgap.evaluation.data.cells import choices_of, literal, mapping_of, text_of
from modgap.evaluation.data.embedded_audio import load_row
from modgap.evaluation.data.reference import check_row, references_of
from modgap.evaluation.data.rows import KINDS, nested_audio, table_rows
from modgap.scoring.question import Question

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

__all__ = ["GROUPS", "KINDS", "manifest_questions", "manifest_rows", "row_sound"]

#: Columns that say what a question is grouped by; so does ``group`` and every ``group_NAME``.
GROUPS = (
    "topic", "accent", "voice", "speaker", "gender", "language", "condition", "perturbation",
    "speed", "item",
)  # fmt: skip
_TEXTS = ("id", "transcript", "instruction", "scorer", "dataset", "subset")
_OWN = ("id", "audio", "transcript", "reference", "instruction", "scorer", "choices", "meta",
        "dataset", "subset")  # fmt: skip
# What is said or answered can be the word "None"; elsewhere it is how programs write an empty cell.
_WORDS = ("transcript", "reference")
_EMPTY = ("", "nan", "None")


def manifest_questions(path: Path) -> Iterator[Question]:
    """Questions of a CSV, TSV, JSONL or parquet table.

    What every cell is is decided here, once: whatever is asked or scored later sees texts.

    Columns
    -------
    audio
        A path, relative to the table; or sound inside a parquet file, as Hugging Face's have it.
    transcript
        What is said.
    reference
        The right answer; not needed where `scorer` needs none. The word "None" is one. A list
        means several right answers; a number is its text, 4.0 is 4. Of a choice it is a letter or
        an option's words, never an index.
    references
        More right answers: a list, or in CSV with ``|`` between them.
    id, instruction, scorer, dataset, subset
        As in `Question`. Without an id, rows are numbered from 0; without a scorer, the answer is
        compared with the reference.
    choices
        A list, in CSV as JSON, pandas or NumPy write it or the options with ``|`` between them; or
        a mapping of ``text`` and ``label``.
    meta
        A mapping, or in CSV one in JSON. Columns of no other meaning are added to it.
    group, group_NAME, topic, accent, voice, speaker, ..., item
        Groups (`GROUPS`).

    Raises
    ------
    SettingsError
        The file is missing or of another kind, a column or a value is missing or of another kind,
        or a row has an unknown scorer or lacks what its scorer needs.
    """
    inside = nested_audio(path)
    for number, row in enumerate(table_rows(path)):
        if number == 0:
            _check_columns(path, row, inside)
        yield _question(path, number, row, inside)


def manifest_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a table as mappings; see `modgap.evaluation.data.rows.table_rows`."""
    return table_rows(path)


def _check_columns(path: Path, row: Mapping[str, Any], inside: bool) -> None:
    for name in ("audio", "transcript"):
        if name not in row and not (name == "audio" and inside):
            raise SettingsError(
                f"The manifest {path.name} has no column {name!r} (it has {_names(row)}); it needs "
                "audio, transcript and mostly reference, and may have id, instruction, choices, "
                "scorer, meta, groups."
            )


def _names(row: Mapping[str, Any]) -> str:
    names = [str(name) for name in row]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "none"


def _question(path: Path, number: int, row: Mapping[str, Any], inside: bool) -> Question:
    where = f"Row {number + 1} of {path.name}"
    text = {name: text_of(where, name, row.get(name)) for name in _TEXTS}
    known = {name: v for name, v in text.items() if v is not None and not _missing(name, v)}
    scorer = known.get("scorer", "reference").strip()
    if "transcript" not in known:
        raise SettingsError(f"{where} has no transcript.")
    load = row_sound(path, number, row.get("audio"), inside=inside)
    groups = {}
    for name, value in row.items():
        group = _group_name(name)
        if group and (said := text_of(where, name, value)) and not _missing(name, said):
            groups[group] = said
    extra = {k: v for k, v in row.items() if k not in _OWN and not _group_name(k)}
    meta = {**extra, **mapping_of(where, "meta", row.get("meta"))}
    choices, labels = choices_of(where, row.get("choices"))
    reference, more = references_of(
        where, scorer, row.get("reference"), meta.get("references"), choices=choices, labels=labels
    )
    if more or "references" in meta:
        meta["references"] = more
    check_row(where, scorer, reference, choices, meta)
    return Question(
        id=known.get("id", str(number)),
        transcript=known["transcript"],
        load=load,
        reference=reference,
        instruction=known.get("instruction", ""),
        scorer=scorer,
        choices=choices,
        meta=meta,
        dataset=known.get("dataset", path.stem),
        subset=known.get("subset", ""),
        groups=groups,
    )


def _missing(name: str, value: str) -> bool:
    return not value.strip() if name in _WORDS else value.strip() in _EMPTY


def _group_name(column: str) -> str:
    if column == "group" or column in GROUPS:
        return column
    return column.removeprefix("group_") if column.startswith("group_") else ""


def row_sound(path: Path, number: int, value: Any, *, inside: bool = False) -> Callable[[], Clip]:
    """What reads the sound of a row of a table: inside the file, or by the cell's path.

    Raises
    ------
    SettingsError
        The cell is empty or of another kind.
    """
    where = f"Row {number + 1} of {path.name}"
    if inside:
        return partial(load_row, path, number)
    if isinstance(value, str) and value.strip().startswith("{"):
        value = literal(value) or value
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes) and value["bytes"]:
        return partial(_load_bytes, value["bytes"], where)
    if isinstance(value, Mapping):
        value = value.get("path")
    name = text_of(where, "audio", value)
    if name is None or _missing("audio", name):
        raise SettingsError(f"{where} has no audio.")
    return partial(_load, path.parent / name)


def _load(path: Path) -> Clip:
    from modgap.audio.clip import load_clip

    return load_clip(path)


def _load_bytes(data: bytes, name: str) -> Clip:
    from modgap.audio.clip import load_clip

    return load_clip(data, name=name)

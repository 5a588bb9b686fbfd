"""The questions of a run as its `questions.parquet`, written and read a thousand at a time."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import AudioError, StoreError
from modgap.core.foreign_files import is_plain
from modgap.evaluation.runs.shards import batches

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.scoring.question import Question

__all__ = ["describe", "fill_clips", "question_of_row", "read_roster", "write_questions"]


def _row(question: Question) -> dict[str, Any]:
    return {
        "question": question.id,
        "dataset": question.dataset,
        "subset": question.subset,
        "transcript": question.transcript,
        "instruction": question.instruction,
        "reference": question.reference,
        "scorer": question.scorer,
        "choices": list(question.choices),
        "groups": dict(question.groups),
    }


def describe(questions: Iterable[Question]) -> tuple[str, dict[str, int], list[str]]:
    """Hash of questions, the number of each by its id, and their scorers; read one by one."""
    digest, scorers = hashlib.sha256(), set()
    index: dict[str, int] = {}
    for question in questions:
        row = {**_row(question), "meta": dict(question.meta)}
        digest.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
        scorers.add(question.scorer)
        index[question.id] = len(index)
    return digest.hexdigest(), index, sorted(scorers)


def write_questions(path: Path, questions: Iterable[Question]) -> None:
    """Write the table of questions, a thousand at a time, by one rename."""

    def tables() -> Iterator[list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        for question in questions:
            meta = json.dumps(dict(question.meta), ensure_ascii=False, default=str)
            groups = list(question.groups.items())
            rows.append({**_row(question), "groups": groups, "meta": meta})
            if len(rows) == 1024:
                yield rows
                rows = []
        if rows:
            yield rows

    _stream(path, tables())


def question_of_row(row: Mapping[str, Any]) -> Question:
    """A question from its row of the table: all but its sound, of which only the data set knows.

    Raises
    ------
    StoreError
        Its ``meta`` is no JSON object.
    """
    from modgap.scoring.question import Question

    texts = ("transcript", "reference", "instruction", "scorer", "dataset", "subset")
    choices = row["choices"]
    return Question(
        id=row["question"],
        load=partial(_no_sound, row["question"]),
        choices=() if choices is None else tuple(choices),
        meta=_meta(row),
        groups=dict(row.get("groups") or {}),
        **{name: row[name] or "" for name in texts},
    )


def _meta(row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(row.get("meta") or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise StoreError(
            f"The question {str(row['question'])[:80]!r} of this run is damaged: what its meta "
            "holds is no JSON object. Get the run's files again."
        )
    return found


def read_roster(folder: Path) -> Iterator[tuple[Question, bool]]:
    """Questions of a run, and whether the run keeps all of their fields (older ones do not)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "questions.parquet"
    try:
        if path.exists() and not is_plain(path):  # a pipe would be waited for without end
            raise OSError("it is not a plain file")
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    yield question_of_row(row), row.get("meta") is not None
    except (OSError, pa.ArrowException) as problem:
        raise StoreError(
            f"The questions of the run in {folder} cannot be read ({problem}): give its `modgap "
            "eval` once more, which writes them again if they are missing."
        ) from problem


def _no_sound(name: str) -> Clip:
    raise AudioError(f"{name} is from the tables of a run, which hold no sound.")


def fill_clips(folder: Path) -> None:
    """Write into the table of questions how long each clip is, and its hash."""
    import pyarrow.parquet as pq

    known: dict[str, tuple[float, str]] = {}
    for batch in batches(folder, "clips", ("question", "seconds", "audio")):
        for row in batch.to_pylist():
            known.setdefault(row["question"], (row["seconds"], row["audio"]))
    path = folder / "questions.parquet"

    def tables() -> Iterator[list[dict[str, Any]]]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                rows = batch.to_pylist()
                for row in rows:
                    if row["question"] in known:
                        row["seconds"], row["audio"] = known[row["question"]]
                yield rows

    _stream(path, tables())


def _stream(path: Path, tables: Iterator[list[dict[str, Any]]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from modgap.evaluation.runs.tables import QUESTIONS

    temporary = path.with_name(f".{path.name}.tmp")
    with pq.ParquetWriter(temporary, QUESTIONS) as writer:
        for rows in tables:
            writer.write_table(pa.Table.from_pylist(rows, schema=QUESTIONS))
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)

"""Runs written from small tables by hand, in the schema of `modgap.evaluation.runs.tables`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modgap.evaluation.runs.tables import QUESTIONS, TABLES


def full(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; what they do not say is null."""
    return pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema=schema)


def write_run(
    folder: Path,
    questions: Sequence[Mapping[str, Any]],
    parts: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]],
    protocol: Mapping[str, Any] | None = None,
) -> Path:
    """A run folder; `parts` holds lists of rows a table, one list a part."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(protocol or {}))
    pq.write_table(full(questions, QUESTIONS), folder / "questions.parquet")
    for name in TABLES:
        (folder / name).mkdir(exist_ok=True)
        for n, rows in enumerate(parts.get(name, ())):
            table = full(rows, TABLES[name])
            pq.write_table(table, folder / name / f"part-{n:05d}.parquet")
    return folder


def question(name: str, dataset: str = "d", **groups: str) -> dict[str, Any]:
    """A question with its groups."""
    return {"question": name, "dataset": dataset, "subset": "s", "transcript": f"say {name}",
            "reference": "x", "scorer": "reference", "choices": [], "seconds": 2.0,
            "groups": list(groups.items())}  # fmt: skip


def answer(model: str, name: str, kind: str, correct: bool | None, **more: Any) -> dict[str, Any]:
    """An answer that was parsed, if it was judged."""
    said = "x" if correct else "y"
    return {"model": model, "question": name, "input": kind, "response": said,
            "correct": correct, "extracted": said, **more}  # fmt: skip

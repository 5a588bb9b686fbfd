"""Manifests, and the tables of runs as they can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modgap.evaluation.runs.shards import read_rows
from modgap.evaluation.runs.tables import TABLES
from tests.tiny import make_clip

WORDS = ("What is two plus three?", "The quick brown fox", "Which number comes after", "A B C")


def make_manifest(folder: Path, count: int, bad: Iterable[int] = ()) -> Path:
    """A manifest of `count` questions; those in `bad` have a file that holds no sound."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "questions.jsonl"
    bad = set(bad)
    with path.open("w") as file:
        for n in range(count):
            name = f"{n}.wav"
            clip = make_clip(0.4 + 0.05 * (n % 9), seed=n)
            blob = b"RIFF nothing" if n in bad else clip.wav_bytes()
            (folder / name).write_bytes(blob)
            row = {"id": f"q{n}", "audio": name, "transcript": WORDS[n % 4], "reference": "five"}
            if n % 4 == 3:
                row |= {"scorer": "choices", "choices": ["one", "two"], "reference": "B"}
            file.write(json.dumps(row) + "\n")
    return path


def tables(run: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of a run by table, in the order of their keys, without what time they took."""
    found = {}
    for table in TABLES:
        names = [n for n in TABLES[table].names if table == "clips" or n != "seconds"]
        rows = list(read_rows(run, table, names))
        found[table] = sorted(rows, key=lambda r: json.dumps(r, sort_keys=True))
    return found


def row_counts(run: Path) -> dict[str, int]:
    """Rows in the files, equal keys counted as often as they are there."""
    import pyarrow.parquet as pq

    return {
        table: sum(pq.read_metadata(p).num_rows for p in (run / table).glob("part-*.parquet"))
        for table in TABLES
    }

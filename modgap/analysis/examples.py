"""The clips that are shipped with the explorer."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parents[1] / "demo" / "examples"


@dataclass(frozen=True)
class Example:
    """A shipped clip with its words; `shows` says what to look for, `source` whose voice it is."""

    id: str
    path: Path
    title: str
    transcript: str
    instruction: str
    reference: str | None
    source: str
    licence: str
    shows: str


def examples() -> tuple[Example, ...]:
    """All shipped clips in their order; empty if they are missing or their list is damaged."""
    return _read(FOLDER)


def example(example_id: str) -> Example | None:
    """The shipped clip of this id."""
    return next((e for e in examples() if e.id == example_id), None)


@lru_cache(maxsize=4)
def _read(folder: Path) -> tuple[Example, ...]:
    try:
        rows = json.loads((folder / "examples.json").read_text("utf-8"))
        found = [_example(folder, row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        log.warning("The list of examples in %s cannot be used: %r", folder, problem)
        return ()
    return tuple(e for e in found if e.path.is_file())


def _example(folder: Path, row: dict[str, str | None]) -> Example:
    return Example(
        id=str(row["id"]),
        path=folder / str(row["file"]),
        title=str(row["title"]),
        transcript=str(row["transcript"]),
        instruction=str(row.get("instruction") or ""),
        reference=None if row.get("reference") is None else str(row["reference"]),
        source=str(row.get("source") or ""),
        licence=str(row.get("licence") or ""),
        shows=str(row.get("shows") or ""),
    )

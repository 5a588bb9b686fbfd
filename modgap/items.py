"""Spoken questions with known answers: from a manifest, or the embedded family's held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from .audio import Clip

__all__ = ["Item", "demo_items", "manifest_items", "read_items", "read_table"]

_NEEDED = ("audio", "transcript", "reference")
_EMPTY = ("", "nan", "None")


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes
    ----------
    id, transcript, instruction, reference, group : str
    load : callable () -> Clip
        Reads or makes the sound.
    """

    id: str
    transcript: str
    reference: str
    load: Callable[[], Clip]
    instruction: str = ""
    group: str = ""


def read_items(data: str, limit: int | None = None) -> list[Item]:
    """Items of ``demo``, ``demo:noisy`` and so on, or of a manifest file.

    Raises
    ------
    SettingsError
        There is no such data, or the manifest cannot be used.
    """
    if data == "demo" or data.startswith("demo:"):
        return demo_items(data.partition(":")[2] or "clean", limit or 400)
    return manifest_items(Path(data), limit)


def demo_items(condition: str = "clean", limit: int = 400) -> list[Item]:
    """Held-out open questions of the embedded family, spoken by held-out voices.

    They are synthesized when they are read (espeak-ng, in a process of its own).

    Raises
    ------
    SettingsError
        The condition is unknown.
    """
    from .audio import load_clip
    from .demo.augment import RATE
    from .demo.clips import ClipSpec, heldout_plan
    from .demo.corpus import questions
    from .demo.features import waveform

    try:
        plan = heldout_plan(condition, limit, 0)
    except ValueError as problem:
        raise SettingsError(str(problem)) from None
    known = {q.id: q for q in questions()}

    def load(spec: ClipSpec) -> Callable[[], Clip]:
        return lambda: load_clip(waveform(spec), rate=RATE, name=spec.id.replace("/", "-"))

    return [
        Item(spec.id, spec.transcript, known[spec.question].answer, load(spec),
             group=known[spec.question].topic)
        for spec in plan
    ]  # fmt: skip


def manifest_items(path: Path, limit: int | None = None) -> list[Item]:
    """Items of a CSV, JSONL or parquet table beside its audio files.

    Columns: ``audio`` (a path, relative to the table), ``transcript``, ``reference``, and if there
    are any ``id``, ``instruction``, ``group``.

    Raises
    ------
    SettingsError
        The file is missing or of another kind, or a column or a value is missing.
    """
    from .audio import load_clip

    table = read_table(path)
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise SettingsError(
            f"The manifest {path.name} has no column {missing[0]!r}; it needs "
            f"{', '.join(_NEEDED)}, and may have id, instruction, group."
        )
    items = []
    for number, row in enumerate(_rows(table, limit)):
        empty = [name for name in _NEEDED if row[name].strip() in _EMPTY]
        if empty:
            raise SettingsError(f"Row {number + 1} of {path.name} has no {empty[0]}.")
        file = path.parent / row["audio"]
        optional = {k: row[k] for k in ("instruction", "group") if row.get(k, "") not in _EMPTY}
        items.append(
            Item(
                row.get("id") or str(number),
                row["transcript"],
                row["reference"],
                lambda file=file: load_clip(file),  # type: ignore[misc]
                **optional,
            )
        )
    if not items:
        raise SettingsError(f"The manifest {path.name} has no rows.")
    return items


def read_table(path: Path) -> pd.DataFrame:
    """A manifest as a table.

    Raises
    ------
    SettingsError
        The file is missing, damaged, or of another kind than .csv, .jsonl and .parquet.
    """
    import pandas as pd

    readers = {
        ".csv": lambda p: pd.read_csv(p, dtype=str, keep_default_na=False),
        ".jsonl": lambda p: pd.read_json(p, lines=True, dtype=False),
        ".parquet": pd.read_parquet,
    }
    read = readers.get(path.suffix.lower())
    if read is None:
        raise SettingsError(f"A manifest is a .csv, .jsonl or .parquet file, not {path.name}.")
    try:
        return read(path)
    except FileNotFoundError:
        raise SettingsError(f"There is no manifest {path}.") from None
    except (OSError, ValueError) as problem:
        raise SettingsError(f"The manifest {path} cannot be read: {problem}.") from problem


def _rows(table: object, limit: int | None) -> Iterator[dict[str, str]]:
    rows: Sequence[dict[str, object]] = table.to_dict("records")  # type: ignore[attr-defined]
    for row in rows[:limit]:
        yield {str(k): "" if v is None else str(v) for k, v in row.items()}

"""The rows of a table: CSV with whatever separator its header shows, JSONL, parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from modgap.core.errors import SettingsError

__all__ = ["KINDS", "nested_audio", "table_rows"]

KINDS = (".csv", ".tsv", ".jsonl", ".parquet")
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a table as mappings, with no value where a cell is null or not a number.

    Sound that is inside a parquet file is left there (`nested_audio`).

    Raises
    ------
    SettingsError
        The file is missing, of another kind, damaged, or has no rows.
    """
    readers: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
        ".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".parquet": _parquet,
    }  # fmt: skip
    read = readers.get(path.suffix.lower())
    if read is None:
        raise SettingsError(
            f"A manifest is a .csv, .tsv, .jsonl or .parquet file, not {path.name}."
        )
    if not path.is_file():
        raise SettingsError(f"There is no manifest {path}.")
    empty = True
    try:
        for row in read(path):
            empty = False
            # Parquet made by pandas has NaN for an empty cell.
            yield {k: v for k, v in row.items() if v is not None and not _nan(v)}
    except (OSError, csv.Error, ValueError, RecursionError) as problem:
        if isinstance(problem, SettingsError):
            raise
        why = " ".join(str(problem).split()).rstrip(" .")
        raise SettingsError(f"The manifest {path} cannot be read: {why}.") from problem
    if empty:
        raise SettingsError(f"The manifest {path.name} has no rows.")


def _nan(value: Any) -> bool:
    return bool(value != value)


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as raw:
        start = raw.read(4)
    encoding = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8-sig")
    with path.open(newline="", encoding=encoding) as file:
        separator, names = _header(path, file)
        rows = csv.reader(file, delimiter=separator, skipinitialspace=True)
        for number, cells in enumerate((r for r in rows if r), 1):
            if len(cells) > len(names) and any(c.strip() for c in cells[len(names) :]):
                raise SettingsError(
                    f"Row {number} of {path.name} has {len(cells)} cells, more cells than there "
                    f"are columns ({len(names)}): put what holds a {_SEPARATORS[separator]} in "
                    "quotes."
                )
            yield dict(zip(names, cells, strict=False))


def _header(path: Path, file: IO[str]) -> tuple[str, list[str]]:
    """The separator by which the header has the columns that a manifest needs, and its names."""
    line = file.readline()
    if line.lower().startswith("sep=") and len(line.strip()) <= 5:  # as Excel writes it
        line = file.readline()
    while line.count('"') % 2 and (more := file.readline()):
        line += more
    best: tuple[int, str, list[str]] = (-1, ",", [])
    for separator in _SEPARATORS:
        names = next(csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True), [])
        names = [name.strip() for name in names]
        known = len({"audio", "transcript", "reference", "scorer"} & set(names))
        if known > best[0]:
            best = known, separator, names
    _, separator, names = best
    while names and not names[-1]:  # columns that a spreadsheet leaves empty
        names.pop()
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(f"The manifest {path.name} has two columns {twice!r}: rename one.")
    return separator, names


def _jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as problem:
                raise ValueError(f"line {number + 1} is no JSON ({problem})") from problem
            if not isinstance(row, dict):
                raise ValueError(f"line {number + 1} is not a JSON object")
            yield row


def nested_audio(path: Path) -> bool:
    """Whether a table is parquet with its sound inside, as Hugging Face's are."""
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        if "audio" not in schema.names:
            return False
        kind = schema.field("audio").type
    except (OSError, ValueError, pa.ArrowException):  # names that are no text, among others
        return False
    return bool(
        pa.types.is_struct(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    )


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    inside = nested_audio(path)
    with pq.ParquetFile(path) as file:
        names = [n for n in file.schema_arrow.names if n != "audio" or not inside]
        for batch in file.iter_batches(batch_size=1024, columns=names if inside else None):
            yield from batch.to_pylist()

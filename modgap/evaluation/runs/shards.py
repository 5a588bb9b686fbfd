"""The files of a run's tables: parts that appear whole, and what of a run is already done.

A part of a run is up to four files of one name, one in each table's folder. The file in
``answers/`` is written last and vouches for the others: what a killed writer left without it is
removed when the run goes on, so that no row is lost once written and none is written twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import StoreError
from modgap.core.files import TEMPORARY, write_atomic
from modgap.core.foreign_files import is_plain

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MARK", "PartWriter", "Rows", "done", "merge", "read_rows", "sweep"]

#: Rows by table.
Rows = dict[str, list[dict[str, Any]]]
#: The table whose file makes the others of its part count.
MARK = "answers"


def merge(into: Rows, more: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Append rows to rows, table by table."""
    for table, rows in more.items():
        into.setdefault(table, []).extend(rows)


class PartWriter:
    """The one writer of a run: takes rows, writes a part every so often.

    Parameters
    ----------
    folder : Path
        Of the run.
    seconds : float
        A part is written with the first rows that come so long after the last part: what a kill
        can cost.
    rows : int
        A part is written when it holds so many, whatever the time.
    """

    def __init__(self, folder: Path, seconds: float = 20.0, rows: int = 200_000) -> None:
        self.folder = folder
        self.seconds = seconds
        self.rows = rows
        self._held: Rows = {}
        self._last = time.monotonic()

    def add(self, rows: Rows) -> None:
        """Take the rows of whole units of work; write a part if it is time."""
        merge(self._held, rows)
        full = sum(map(len, self._held.values())) >= self.rows
        if full or time.monotonic() - self._last >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Write what is held.

        Raises
        ------
        OSError
            The disk is full or away. What is held stays held, and another call writes it.
        """
        held = {name: rows for name, rows in self._held.items() if rows}
        if held:
            write_part(self.folder, held)
        self._held = {}
        self._last = time.monotonic()


def write_part(folder: Path, rows: Rows) -> str:
    """Write one part and return its name; all of its files, or none that counts."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    from modgap.evaluation.runs.tables import TABLES

    # The names start with the time, so that "the first of equal keys" is the oldest.
    name = f"part-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
    # `MARK` last, and written even without rows. Each file is on the disk before the next is begun,
    # so a file that vouches for the others never stands without them, after a power cut neither.
    for table in sorted({*rows, MARK}, key=lambda t: t == MARK):
        buffer = io.BytesIO()
        schema = TABLES[table]
        pq.write_table(pa.Table.from_pylist(rows.get(table, []), schema=schema), buffer)
        (folder / table).mkdir(exist_ok=True)
        write_atomic(folder / table / name, buffer.getvalue())
    return name


def sweep(folder: Path) -> int:
    """Remove what a killed writer left unfinished; return how many files that were.

    Only for who holds the run's lock: a part that is being written looks the same.
    """
    from modgap.evaluation.runs.tables import TABLES

    whole = {path.name for path in (folder / MARK).glob("part-*.parquet")}
    unfinished = [path for path in folder.glob(f"**/.*{TEMPORARY}") if path.is_file()]
    for table in TABLES:
        if table != MARK:
            parts = (folder / table).glob("part-*.parquet")
            unfinished += [path for path in parts if path.name not in whole]
    for path in unfinished:
        path.unlink()
    return len(unfinished)


def batches(folder: Path, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A table's rows as they lie in the parts, oldest part first, a batch at a time.

    Raises
    ------
    StoreError
        A part is damaged; the message names it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in sorted((folder / table).glob("part-*.parquet")):
        if not (folder / MARK / path.name).exists():
            continue  # the rest of this part is being written, or its writer was killed
        try:
            if not is_plain(path):  # a pipe would be waited for without end
                raise OSError("not a plain file")
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(columns=list(columns))
        except (pa.ArrowException, OSError) as problem:
            raise StoreError(
                f"The part {table}/{path.name} of this run cannot be read: delete the files of "
                "that name in all its folders, and the same command computes their rows again."
            ) from problem


def read_rows(
    folder: Path, table: str, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """A table's rows, one by one, each key once (its first row)."""
    from modgap.evaluation.runs.tables import KEYS, TABLES

    wanted = list(columns) if columns is not None else TABLES[table].names
    keys = KEYS[table]
    seen: set[tuple[Any, ...]] = set()
    for batch in batches(folder, table, list(dict.fromkeys([*wanted, *keys]))):
        for row in batch.to_pylist():
            key = tuple(row[name] for name in keys)
            if key not in seen:
                seen.add(key)
                # Parts of an older version lack columns that have come since.
                yield {name: row.get(name) for name in wanted}


def done(
    folder: Path, index: Mapping[str, int], *, failures: bool = True
) -> dict[tuple[str, str], bytearray]:
    """What needs no computing any more, found in one pass over the run.

    Parameters
    ----------
    folder : Path
    index : mapping of str to int
        Number of each question.
    failures : bool
        Whether what could not be run counts, too.

    Returns
    -------
    dict of (model, input) to bytearray
        1 at the number of each question that is done.
    """
    found: dict[tuple[str, str], bytearray] = {}
    for table in (MARK, "failures") if failures else (MARK,):
        for batch in batches(folder, table, ("model", "question", "input")):
            columns = (batch[name].to_pylist() for name in ("model", "question", "input"))
            for model, question, given in zip(*columns, strict=True):
                number = index.get(question)
                if number is not None:
                    # A byte a question, not its id: a run may have millions of rows.
                    mine = found.setdefault((model, given), bytearray(len(index)))
                    mine[number] = 1
    return found

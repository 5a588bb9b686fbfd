"""Sound inside a parquet file: a column ``audio`` of bytes and paths, as Hugging Face writes it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import AudioError

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

__all__ = ["clip_of", "load_row"]

#: Row groups with more sound than this are read in small batches and not kept.
_GROUP_BYTES = 256 << 20


def load_row(file: Path, number: int, name: str = "") -> Clip:
    """The sound of one row; the file is read by row groups, which are kept while they are used.

    Raises
    ------
    AudioError
        There is no such row, it has no sound, or the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            start = 0
            for group in range(table.num_row_groups):
                rows = table.metadata.row_group(group).num_rows
                if number < start + rows:
                    break
                start += rows
            else:
                raise AudioError(f"{file.name} has no row {number}.")
            cell = _cell(table, file, group, number - start)
    except (OSError, ValueError, pa.ArrowException) as problem:
        if isinstance(problem, AudioError):
            raise
        raise AudioError(f"{file} cannot be read: {problem}.") from problem
    return clip_of(cell, name or f"{file.stem}-{number}", file.parent)


def _cell(table: Any, file: Path, group: int, row: int) -> Any:
    meta = table.metadata.row_group(group)
    size = sum(
        meta.column(n).total_uncompressed_size
        for n in range(meta.num_columns)
        if meta.column(n).path_in_schema.startswith("audio")
    )
    if size <= _GROUP_BYTES:
        return _group(file, group, file.stat().st_mtime_ns)[row].as_py()
    for batch in table.iter_batches(batch_size=16, row_groups=[group], columns=["audio"]):
        if row < batch.num_rows:
            return batch.column(0)[row].as_py()
        row -= batch.num_rows
    return None


@lru_cache(maxsize=1)
def _group(file: Path, group: int, changed: int) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        return table.read_row_group(group, columns=["audio"]).column(0)


def clip_of(cell: Any, name: str, folder: Path) -> Clip:
    """The sound of a cell: bytes, or a mapping of bytes and path.

    Raises
    ------
    AudioError
        There is none.
    """
    from modgap.audio.clip import load_clip

    if isinstance(cell, bytes):
        cell = {"bytes": cell}
    if not isinstance(cell, Mapping) or not (cell.get("bytes") or cell.get("path")):
        raise AudioError(f"{name} has no sound in its row.")
    if cell.get("bytes"):
        return load_clip(cell["bytes"], name=name)
    return load_clip(folder / cell["path"], name=name)

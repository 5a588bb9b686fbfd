"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "TEMPORARY",
    "cut_torn_line",
    "sync_folder",
    "table_bytes",
    "write_atomic",
    "write_new",
]

#: How the name of an unfinished file ends; what a killed writer left may be swept by it.
TEMPORARY = ".tmp"


def write_atomic(path: Path, blob: bytes) -> None:
    """Write a file by one rename, when it and its name are on the disk; its folder is made.

    Raises
    ------
    OSError
        It could not be written; nothing is left of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{TEMPORARY}")
    try:
        write_new(temporary, blob)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def write_new(path: Path, blob: bytes) -> None:
    """Write a new file and wait until it is on the disk."""
    with path.open("xb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk (nothing to do where that is unknown)."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def table_bytes(table: pd.DataFrame) -> bytes:
    """A table as parquet."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def cut_torn_line(path: Path) -> None:
    """Cut what a killed writer left behind the last line break of a file of lines."""
    size = path.stat().st_size
    with path.open("rb") as file:
        end = size
        while end:  # back to the last line break, by blocks
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
    if end < size:
        os.truncate(path, end)

"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from .record import sync_folder
from .record import write_file as write_new

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TEMPORARY", "cut_torn_line", "table_bytes", "write_atomic"]

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

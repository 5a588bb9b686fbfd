"""DuckDB over the files of one folder, which may come from anyone: bounded in reach and in time."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["bounded", "connected", "quoted", "text", "type_of"]

MEMORY = "400MB"
SECONDS = 120.0  # for one question to the tables: of a million answers they take less than one


def connected(folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that reads the files of this folder, and nothing else."""
    import duckdb

    # Made by DuckDB when it is needed; each connection has its own.
    spill = Path(tempfile.gettempdir()) / f"modgap-run-{uuid.uuid4().hex}"
    db = duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "threads": min(4, os.cpu_count() or 1),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": str(spill),
        }
    )
    db.execute(f"SET allowed_directories = [{text(str(folder) + os.sep)}]")
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")
    return db


@contextlib.contextmanager
def bounded(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Interrupt what a connection does after `SECONDS`."""
    timer = threading.Timer(SECONDS, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def text(value: str) -> str:
    """A literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def quoted(value: str) -> str:
    """A name in SQL."""
    return '"' + value.replace('"', '""') + '"'


def type_of(kind: pa.DataType) -> str:
    """DuckDB's name of an Arrow type of `modgap.evaluation.runs.tables`."""
    names = {
        "string": "VARCHAR", "double": "DOUBLE", "int32": "INTEGER", "bool": "BOOLEAN",
        "list<element: string>": "VARCHAR[]", "list<element: double>": "DOUBLE[]",
        "list<item: string>": "VARCHAR[]", "list<item: double>": "DOUBLE[]",
        "map<string, string>": "MAP(VARCHAR, VARCHAR)",
    }  # fmt: skip
    return names[str(kind)]

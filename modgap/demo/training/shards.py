"""Tables in numbered files: a part of the work is done when its file is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from modgap.core.files import table_bytes, write_atomic

__all__ = ["fill", "fill_one", "read", "stable_rng"]


def stable_rng(*key: object) -> np.random.Generator:
    """Random generator that depends on `key` only: not on the process, the order or the machine."""
    digest = hashlib.sha256("|".join(str(k) for k in key).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def fill(
    folder: Path,
    count: int,
    make: Callable[[int], pd.DataFrame],
    progress: Callable[[int, int], None] | None = None,
    part: tuple[int, int] = (0, 1),
) -> None:
    """Make the missing ones of `count` tables.

    Parameters
    ----------
    folder : Path
        Holds ``00000.parquet`` and so on.
    count : int
    make : callable
        The table of a number; it has to depend on nothing else.
    progress : callable, optional
        Called with (number of the table, count) after each new one.
    part : tuple of int
        ``(k, n)``: make every n-th table from number k on. So n processes share the work, which
        on busy cores is faster than one process of n threads that wait for each other.
    """
    for n in range(part[0], count, part[1]):
        if fill_one(folder, n, make) and progress is not None:
            progress(n, count)


def fill_one(folder: Path, n: int, make: Callable[[int], pd.DataFrame]) -> bool:
    """Make table `n` where it is missing; whether it was."""
    file = folder / f"{n:05d}.parquet"
    if file.is_file():
        return False
    write_atomic(file, table_bytes(make(n)))
    return True


def read(folder: Path) -> pd.DataFrame:
    """All tables that are there, one below the other; empty where there is none."""
    files = sorted(folder.glob("[0-9]*.parquet"))
    tables = [pd.read_parquet(file) for file in files]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

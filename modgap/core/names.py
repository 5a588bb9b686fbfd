"""Names as results and lists show them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath, PureWindowsPath

__all__ = ["short_name", "unused_name"]


def short_name(name: str, empty: str = "model") -> str:
    """The name of a hub model as it is, of a folder only its last part: results travel.

    Paths of either system are known on both. `empty` stands for a path without a last part.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    is_path = posix.is_absolute() or windows.is_absolute() or name.startswith((".", "~"))
    if is_path or "\\" in name:
        return windows.name or posix.name or empty
    return name


def unused_name(name: str, taken: Collection[str]) -> str:
    """`name`, or the first of "name (2)", "name (3)", ... that is not taken."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free

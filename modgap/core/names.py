"""Names as results and lists show them, and as the operator gives them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection
from functools import lru_cache
from pathlib import PureWindowsPath

__all__ = ["named_in", "short_name", "unused_name"]

log = logging.getLogger("modgap")


def short_name(name: str, empty: str = "model") -> str:
    """The name of a hub model as it is, of a folder only its last part: results travel.

    Paths of either system are known on both. `empty` stands for a path without a last part.
    """
    path = PureWindowsPath(name)  # which knows both separators
    is_path = name.startswith(("/", ".", "~")) or "\\" in name or path.is_absolute()
    return path.name or empty if is_path else name


def unused_name(name: str, taken: Collection[str]) -> str:
    """`name`, or the first of "name (2)", "name (3)", ... that is not taken."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def named_in(variable: str, example: str) -> tuple[str, ...]:
    """The names in a variable of the environment, a JSON list such as `example`; none twice.

    What is no such list counts as empty, and the log says so once.
    """
    return _listed(variable, os.environ.get(variable, ""), example)


@lru_cache(maxsize=8)
def _listed(variable: str, value: str, example: str) -> tuple[str, ...]:
    if not value:
        return ()
    try:
        names = json.loads(value)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        log.error("%s must be a JSON list of names, such as %s.", variable, example)
        return ()
    return tuple(dict.fromkeys(names))

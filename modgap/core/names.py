"""Names as results and lists show them, and as the operator gives them."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import PureWindowsPath

__all__ = ["named_in", "seen", "short_name", "turned_off", "unused_name"]

log = logging.getLogger("modgap")

# What turns the letters behind it around, and what ends that: U+202A to U+202E, U+2066 to U+2069.
# The marks of a direction (U+200E, U+200F, U+061C) turn nothing, and belong to some names.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def seen(name: str) -> str:
    r"""A name as it may be shown: what would turn the letters behind it around is a sign itself.

    A file ``a\u202evaw.exe`` would be shown as ``aexe.wav``. Control characters are signs, too.

    >>> seen("a\u202evaw.exe"), seen("b\tc.wav")
    ('a‹202E›vaw.exe', 'b‹0009›c.wav')
    """
    return _UNSEEN.sub(_sign, turned_off(name))


def turned_off(text: str) -> str:
    """Text in which nothing turns letters around; its line breaks and tabs stay."""
    return _TURNS.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    return f"‹{ord(found[0]):04X}›"


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

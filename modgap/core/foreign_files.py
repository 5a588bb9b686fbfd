"""Files that came from anyone: plain ones of a bounded size, read without waiting.

A pipe under a file's name would be waited for without end, a device never ends, and JSON that is
nested deeply enough takes the interpreter's stack.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

__all__ = ["is_plain", "read_bounded", "read_json"]

MOST_BYTES = 64 << 20
MOST_DEPTH = 64


def is_plain(path: Path, within: Path | None = None) -> bool:
    """Whether there is a plain file, by whatever links; `within` this folder, if one is named."""
    if within is not None and not path.resolve().is_relative_to(within.resolve()):
        return False
    return path.is_file()


def read_bounded(path: Path, limit: int = MOST_BYTES) -> bytes:
    """The bytes of a file.

    Raises
    ------
    OSError
        It is not there, or cannot be read.
    ValueError
        It is no plain file, or larger than `limit`; the message is the end of a sentence.
    """
    # Without O_NONBLOCK the opening of a pipe waits for somebody who writes.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is not a plain file")
        data = b"" if about.st_size > limit else file.read(limit + 1)
    if about.st_size > limit or len(data) > limit:
        raise ValueError(f"it is larger than {limit / 2**20:g} MiB")
    return data


def read_json(path: Path, limit: int = MOST_BYTES, depth: int = MOST_DEPTH) -> Any:
    """What a JSON file holds.

    Raises
    ------
    OSError
        It is not there, or cannot be read.
    ValueError
        As `read_bounded`, or it is no JSON, or nested deeper than `depth` levels.
    """
    too_deep = ValueError(f"it is nested deeper than {depth} levels")
    try:
        found = json.loads(read_bounded(path, limit))
    except RecursionError:
        raise too_deep from None
    level = [found]
    for _ in range(depth + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return found
    raise too_deep

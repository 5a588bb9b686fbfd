"""Bytes from wherever a clip is: a path, an open file, bytes. Bounded, and one exception type."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

from modgap.core.errors import AudioError

MAX_BYTES = 25 << 20


def read_source(source: Any) -> tuple[bytes, str]:
    """At most `MAX_BYTES` + 1 bytes of the source, and its own name."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source[: MAX_BYTES + 1]), "clip"
    if isinstance(source, str | Path):
        return _read_path(source)
    if not callable(getattr(source, "read", None)):
        raise AudioError(
            f"Audio cannot be read from {type(source).__name__}. Pass a path, bytes, an open "
            "binary file, or a numpy array with rate."
        )
    own = getattr(source, "name", "clip")
    out = bytearray()
    while len(out) <= MAX_BYTES:
        try:
            part = source.read(MAX_BYTES + 1 - len(out))
        except Exception as error:
            raise AudioError(f"The file object cannot be read: {error}") from error
        if not isinstance(part, bytes | bytearray | memoryview):
            raise AudioError("The file object gives no bytes. Open it in binary mode ('rb').")
        if not part:
            break
        out += part
    return bytes(out), own if isinstance(own, str) else "clip"


def _read_path(source: str | Path) -> tuple[bytes, str]:
    text = str(source)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", text):
        raise AudioError("Addresses are not fetched. Download the file and give its path.")
    path = Path(source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{text!r} is a folder. Give the path of one audio file.")
        if not stat.S_ISREG(mode):
            raise AudioError(f"{text!r} is not an ordinary file. Give the path of an audio file.")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1), path.name
    except FileNotFoundError as error:
        raise AudioError(f"There is no file {text!r}. Check the path.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, AudioError):
            raise
        reason = getattr(error, "strerror", None) or "the path is not valid"
        raise AudioError(f"The file {text!r} cannot be read: {reason}.") from error


def display_name(name: Any) -> str:
    """Last part of a name, without control characters; for display, never for a path."""
    last = re.split(r"[/\\]", str(name))[-1]
    return "".join(c if c.isprintable() else " " for c in last).strip()[:120] or "clip"

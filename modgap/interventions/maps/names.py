"""What a map is called, and where it lies: known without reading one, and without torch.

A map is named by its folder, or by the bare name of one in ``maps`` of the cache folder. Behind an
``@`` may stand the first 16 digits of its identity: then no other map is meant, whatever the folder
holds by now.
"""

from __future__ import annotations

import re
from pathlib import Path

from modgap.core.errors import SettingsError
from modgap.core.folders import cache_folder
from modgap.store.record import META

__all__ = ["PINNED", "bare_name", "is_map", "map_folder", "map_names", "parted"]

PINNED = 16
_PIN = re.compile(rf"(.+)@([0-9a-f]{{{PINNED}}})", re.DOTALL)


def bare_name(name: str) -> str:
    """The name without an identity."""
    return parted(name)[0]


def map_folder(name: str) -> Path:
    """Where a map lies, whether it is there or not.

    Raises
    ------
    SettingsError
        The name is empty.
    """
    if not name.strip() or "\0" in name:
        raise SettingsError("The map has no name: give a folder, or the name of a fitted map.")
    path = Path(name).expanduser()
    if path.name == name and name not in (".", "..") and not is_map(path):
        return cache_folder() / "maps" / name
    return path


def map_names() -> list[str]:
    """The names in ``maps`` of the cache folder, damaged maps among them."""
    try:
        found = sorted((cache_folder() / "maps").iterdir())
    except OSError:
        return []
    return [path.name for path in found if is_map(path) and not path.name.startswith(".")]


def parted(name: str) -> tuple[str, str]:
    """A name without its identity, and the identity; "" where there is none."""
    pinned = _PIN.fullmatch(name)
    return (pinned[1], pinned[2]) if pinned else (name, "")


def is_map(folder: Path) -> bool:
    """Whether a folder looks like a map."""
    try:
        return (folder / META).is_file()
    except OSError:
        return False

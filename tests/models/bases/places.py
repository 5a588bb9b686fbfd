"""What should be in the cache's folder of models."""

from __future__ import annotations

from pathlib import Path

from modgap.models.bases import local
from modgap.models.bases.planning import WORK


def is_whole(cache: Path, *names: str) -> bool:
    """Whether these models, and nothing else, are there, and nothing is left on the way."""
    left = [p.name for p in (cache / WORK).iterdir()] if (cache / WORK).is_dir() else []
    here = {p.name for p in cache.iterdir() if p.name != WORK}
    return left in ([], [".lock"]) and here == set(names) and all(map(local.find, names))

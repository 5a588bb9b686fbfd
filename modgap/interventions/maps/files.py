"""Maps on the disk: a folder with safetensors and JSON, checked by SHA-256 when it is read."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from functools import lru_cache
from pathlib import Path

import torch

from modgap.core.errors import SettingsError, StoreError
from modgap.core.files import TEMPORARY, sync_folder, write_new
from modgap.core.folders import cache_folder
from modgap.interventions.maps.affine import FittedMap
from modgap.interventions.maps.names import PINNED, is_map, map_folder, map_names, parted
from modgap.store.record import META, BadEntryError, Record, pack, read, unpack

__all__ = ["known_maps", "load_map", "place_of", "save_map"]

KIND = "modgap-map"


def save_map(fitted: FittedMap, name: str | Path) -> Path:
    """Write a map as a whole; one that was there before is replaced.

    Parameters
    ----------
    fitted : FittedMap
    name : str or Path
        A folder, or a bare name for one in ``maps`` of the cache folder.

    Raises
    ------
    SettingsError
        The name is empty, or the folder holds something else.
    StoreError
        It cannot be written.
    """
    folder = place_of(name)
    record = Record(
        {key: tensor.cpu().numpy() for key, tensor in fitted.tensors.items()},
        {},
        {"kind": fitted.kind, "layer": fitted.layer, "identity": fitted.identity,
         "card": fitted.card},
    )  # fmt: skip
    blobs = pack(KIND, record)
    mark = f"{uuid.uuid4().hex[:8]}{TEMPORARY}"
    fresh, old = (folder.with_name(f".{folder.name}.{part}.{mark}") for part in ("new", "old"))
    try:
        fresh.mkdir(parents=True)
        for file, blob in blobs.items():
            write_new(fresh / file, blob)
        sync_folder(fresh)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        sync_folder(folder.parent)
    except OSError as problem:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise StoreError(
            f"The map {folder} cannot be written ({problem.strerror or problem}): name another "
            "folder, or free some disk space."
        ) from problem
    finally:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
    return folder


def place_of(name: str | Path) -> Path:
    """The folder that `save_map` would write.

    Raises
    ------
    SettingsError
        The name is empty, or the folder holds something else.
    """
    folder = map_folder(str(name))
    if folder.exists() and not is_map(folder):
        raise SettingsError(f"{folder} is there and holds no map: name another folder.")
    return folder


def load_map(name: str | Path) -> FittedMap:
    """A map by its folder or its name, with or without its identity behind it.

    Raises
    ------
    SettingsError
        There is none, it is damaged, or it is another than the identity says.
    """
    bare, wanted = parted(str(name))
    folder = map_folder(bare)
    try:
        stamp = (folder / META).stat()
    except (OSError, ValueError):
        raise SettingsError(
            f"There is no map {bare!r}: make one with `modgap fit`, or name its folder."
        ) from None
    found = _read(folder.resolve(), stamp.st_mtime_ns, stamp.st_ino)
    if wanted and not found.identity.startswith(wanted):
        raise SettingsError(
            f"The map {bare!r} is another by now (its identity begins with "
            f"{found.identity[:PINNED]}, not {wanted}): name the one that is meant, or leave out "
            "what stands behind the @ to take this one."
        )
    return found


def known_maps() -> dict[str, FittedMap]:
    """The maps in ``maps`` of the cache folder, by name; damaged ones are left out."""
    found = {}
    for name in map_names():
        with contextlib.suppress(SettingsError):
            found[name] = load_map(cache_folder() / "maps" / name)
    return found


@lru_cache(maxsize=128)
def _read(folder: Path, modified: int, inode: int) -> FittedMap:
    """Read a map once for as long as its files are the same."""
    try:
        record = unpack(*read(folder, KIND))
        meta, arrays = record.meta, record.arrays
        tensors = {key: torch.from_numpy(array.copy()) for key, array in arrays.items()}
        found = FittedMap(str(meta["kind"]), int(meta["layer"]), card=dict(meta["card"]), **tensors)
        if found.identity != meta["identity"]:
            raise BadEntryError("its numbers are not those of its identity")
    except (BadEntryError, OSError, KeyError, TypeError, ValueError) as problem:
        raise SettingsError(
            f"The map {folder.name!r} cannot be used ({problem}): fit it again with `modgap fit`."
        ) from problem
    return found

"""What one cache entry holds, and the files that it becomes.

Every byte is hashed and checked before anything parses it, and what is parsed is the bytes that
were hashed. There is no pickle: arrays are safetensors, tables are parquet, the rest is JSON.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FORMAT, VERSION = "modgap-record", 1
META, ARRAYS = "meta.json", "arrays.safetensors"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_META_LIMIT = 64 << 20


@dataclass(frozen=True)
class Record:
    """What one entry holds.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Numeric or boolean arrays of any shape; they come back with the same dtype and values.
    tables : dict of str to DataFrame
        Tables without an index of their own.
    meta : dict
        Plain JSON values. NaN and infinity are refused.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


class BadEntryError(Exception):
    """A folder that is there but is not what `pack` made for this key."""


def pack(key: str, record: Record) -> dict[str, bytes]:
    """The files of an entry, by name; ``meta.json`` comes last and vouches for the others.

    Raises
    ------
    StoreError
        If a name or a value cannot be represented.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save

    for name in (*record.arrays, *record.tables):
        if not _NAME.fullmatch(name):
            raise StoreError(f"A cache record cannot hold the name {name!r}: use a-z, 0-9 and _.")
    blobs: dict[str, bytes] = {}
    try:
        # safetensors writes the raw buffer: what is not contiguous would come back scrambled
        arrays = {name: np.asarray(array, order="C") for name, array in record.arrays.items()}
        blobs[ARRAYS] = save(
            {n: a.astype(a.dtype.newbyteorder("="), copy=False) for n, a in arrays.items()}
        )
        for name, table in record.tables.items():
            buffer = io.BytesIO()
            table.to_parquet(buffer, index=False)
            blobs[f"{name}.parquet"] = buffer.getvalue()
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "key": key,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": {n: {"sha256": _hash(b), "size": len(b)} for n, b in blobs.items()},
            "meta": record.meta,
        }
        meta["checksum"] = _hash(_canonical(meta))
        blobs[META] = json.dumps(meta, allow_nan=False, indent=1).encode()
    except (SafetensorError, TypeError, ValueError, KeyError, AttributeError) as problem:
        raise StoreError(f"This result cannot be kept in the cache: {problem}") from problem
    return blobs


def read(folder: Path, key: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read an entry's files and check every hash; returns the user's meta and the other files.

    Raises
    ------
    BadEntryError
        If anything is not as `pack` made it for `key`.
    OSError
        If a file cannot be read.
    """
    if _size(folder / META) > _META_LIMIT:
        raise BadEntryError("its meta.json is too large")
    try:
        meta = json.loads((folder / META).read_bytes())
        checksum = meta.pop("checksum")
        if meta["format"] != FORMAT or meta["version"] != VERSION:
            raise BadEntryError("it is of another format")
        if checksum != _hash(_canonical(meta)) or meta["key"] != key:
            raise BadEntryError("its meta.json does not match its checksum or its key")
        files = dict(meta["files"])
        user = dict(meta["meta"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise BadEntryError("its meta.json is damaged") from problem
    blobs = {}
    for name, expected in files.items():
        if name != ARRAYS and not (name.endswith(".parquet") and _NAME.fullmatch(name[:-8])):
            raise BadEntryError("it names a file that no entry has")
        path = folder / name
        if _size(path) != expected["size"]:
            raise BadEntryError(f"{name} has the wrong size")
        blobs[name] = path.read_bytes()
        if _hash(blobs[name]) != expected["sha256"]:
            raise BadEntryError(f"{name} does not match its SHA-256")
    return user, blobs


def unpack(meta: dict[str, Any], blobs: dict[str, bytes]) -> Record:
    """Parse the files that `read` returned.

    Raises
    ------
    BadEntryError
        If one cannot be parsed.
    """
    import pandas as pd
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(blobs[ARRAYS])
        tables = {
            name.removesuffix(".parquet"): pd.read_parquet(io.BytesIO(blob))
            for name, blob in blobs.items()
            if name != ARRAYS
        }
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as problem:
        raise BadEntryError("its files cannot be parsed") from problem
    return Record(arrays, tables, meta)


def _size(path: Path) -> int:
    try:
        status = path.stat()
    except FileNotFoundError as problem:
        raise BadEntryError(f"{path.name} is missing") from problem
    if not stat.S_ISREG(status.st_mode):  # reading a pipe would never end
        raise BadEntryError(f"{path.name} is not a plain file")
    return status.st_size


def _hash(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _canonical(meta: dict[str, Any]) -> bytes:
    return json.dumps(meta, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()

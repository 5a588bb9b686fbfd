"""The cache: derived results under the hash of everything that they depend on.

An entry is one folder, ``root/<key[:2]>/<key>/``, of plain files: ``arrays.safetensors``, one
``<name>.parquet`` per table, and ``meta.json`` with the SHA-256 of each and of itself. It appears
by one rename, so a reader sees all of it or nothing, whoever was killed while writing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from modgap.core.errors import StoreError
from modgap.core.files import sync_folder, write_new
from modgap.core.folders import cache_folder, not_written
from modgap.store.record import META, BadEntryError, Record, pack, read, unpack

__all__ = ["DEFAULT_BYTES", "Record", "Store", "StoreInfo", "check_key", "default_store"]

log = logging.getLogger(__name__)

DEFAULT_BYTES = 2 << 30
STALE_SECONDS = 3600.0  # an unfinished folder older than this was left by a killed writer
_KEY, _SHARD = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{64}(\.corrupt)?")
_TMP, _ASIDE = ".tmp-", ".corrupt"


@dataclass(frozen=True)
class StoreInfo:
    """State of a cache folder; ``oldest`` and ``newest`` are the times of last use (UTC, ISO)."""

    path: str
    entries: int
    bytes: int
    limit: int
    oldest: str | None
    newest: str | None
    corrupt: int


@dataclass(frozen=True)
class _Found:
    path: Path
    bytes: int
    used: int  # ns since the epoch

    @property
    def corrupt(self) -> bool:
        return self.path.name.endswith(_ASIDE)


def check_key(key: str) -> str:
    """Return `key` if it is 64 lower-case hex digits (so it can never name another folder).

    Raises
    ------
    StoreError
        If it is anything else.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise StoreError("A cache key is 64 hexadecimal digits (0-9, a-f); this one is not.")
    return key


class Store:
    """A content-addressed cache folder that several threads and processes may share.

    Parameters
    ----------
    root : path, optional
        The folder, made at the first `put`. Default: `modgap.core.folders.cache_folder`.
    max_bytes : int
        When the entries exceed this, the least recently used go; the newest always stays.
    """

    def __init__(self, root: str | Path | None = None, *, max_bytes: int = DEFAULT_BYTES) -> None:
        if max_bytes <= 0:
            raise StoreError(f"The size limit of the cache must be positive, not {max_bytes}.")
        self.root = Path(root or cache_folder())
        self.max_bytes = int(max_bytes)
        # Only of the counts below. Files need none: they come and go by renames.
        self._lock = threading.Lock()
        self._estimate: int | None = None  # bytes held; None: not counted yet
        self._since_scan = 0  # bytes that this object wrote since it last counted

    def path(self, key: str) -> Path:
        """The folder of an entry, whether it exists or not."""
        return self.root / check_key(key)[:2] / key

    def has(self, key: str) -> bool:
        """Whether there is an entry (its content is checked only by `get`)."""
        return (self.path(key) / META).is_file()

    def keys(self) -> list[str]:
        """The keys of all entries, sorted."""
        return sorted(f.path.name for f in self._scan() if not f.corrupt)

    def get(self, key: str) -> Record | None:
        """Read an entry and mark it as just used; None if there is none.

        A damaged or foreign entry is moved aside as ``<key>.corrupt``, a warning is logged, and
        None is returned, so that the caller computes the result again.
        """
        folder = self.path(key)
        for _ in range(5):  # again if another process exchanged the entry while it was read
            before = _identity(folder)
            if before is None:
                return None
            try:
                meta, blobs = read(folder, key)
                record = unpack(meta, blobs)
            except (BadEntryError, OSError) as problem:
                if _identity(folder) != before:
                    continue
                if isinstance(problem, PermissionError):
                    log.warning("The cache entry %s cannot be read: %s", key[:12], problem)
                    return None
                self.reject(key, str(problem))
                return None
            with contextlib.suppress(OSError):  # a read-only cache can still be read
                os.utime(folder)
            return record
        return None

    def put(self, key: str, record: Record) -> None:
        """Write an entry, then evict what has gone unused longest if the limit is passed.

        The key stands for the content, so an intact entry that is already there is kept.

        Raises
        ------
        StoreError
            If the record cannot be represented, or the folder cannot be written (the message
            says what to do).
        """
        folder = self.path(key)
        blobs = pack(key, record)
        # In the cache itself: a rename is one step only within a file system.
        temp = self.root / f"{_TMP}{uuid.uuid4().hex}"
        try:
            temp.mkdir(parents=True)
            for name, blob in blobs.items():
                write_new(temp / name, blob)
            sync_folder(temp)
            folder.parent.mkdir(exist_ok=True)
            self._install(temp, folder, key)
            sync_folder(folder.parent)
        except OSError as problem:
            raise StoreError(not_written(self.root, problem)) from problem
        finally:
            shutil.rmtree(temp, ignore_errors=True)
        self._evict(folder, sum(map(len, blobs.values())))

    def reject(self, key: str, reason: str) -> None:
        """Move an entry aside as ``<key>.corrupt`` and log why."""
        folder = self.path(key)
        aside = folder.with_name(key + _ASIDE)
        log.warning(
            "The cache entry %s is not usable (%s). It was set aside as %s and will be computed "
            "again.",
            key[:12],
            reason,
            aside.name[:12] + "..." + _ASIDE,
        )
        with contextlib.suppress(OSError):
            self._remove(aside)
            folder.rename(aside)

    def info(self) -> StoreInfo:
        """Count the entries; `bytes` includes what was set aside as corrupt."""
        found = self._scan()
        good = [f for f in found if not f.corrupt]
        times = sorted(f.used for f in good)
        stamp = [datetime.fromtimestamp(t / 1e9, UTC).isoformat(timespec="seconds") for t in times]
        return StoreInfo(
            path=str(self.root),
            entries=len(good),
            bytes=sum(f.bytes for f in found),
            limit=self.max_bytes,
            oldest=stamp[0] if stamp else None,
            newest=stamp[-1] if stamp else None,
            corrupt=len(found) - len(good),
        )

    def clear(self) -> int:
        """Delete every entry, what was set aside and what was left half written.

        Nothing else in the folder is touched. Returns the number of entries deleted.
        """
        found = self._scan()
        for item in found:
            self._remove(item.path)
        self._sweep(0.0)
        with self._lock:
            self._estimate, self._since_scan = None, 0
        left = sum(f.path.exists() for f in found)
        if left:
            raise StoreError(
                f"{left} of {len(found)} entries of the cache {self.root} cannot be deleted: "
                "check who may write there, then run `modgap cache clear` again."
            )
        return sum(not f.corrupt for f in found)

    def _install(self, temp: Path, folder: Path, key: str) -> None:
        for _ in range(10):
            try:
                temp.rename(folder)
                return
            except OSError:  # nearly always: an entry is there, and a rename replaces none
                before = _identity(folder)
                if before is None:
                    if folder.is_symlink() or folder.exists():  # a foreign file or a dead link
                        self.reject(key, "it is not a folder")
                        continue
                    raise
            try:
                read(folder, key)
                os.utime(folder)
                return  # another writer was first, with the same content
            except BadEntryError as problem:
                # Else it was exchanged meanwhile, and what stands there now may be good.
                if _identity(folder) == before:
                    self.reject(key, str(problem))
        raise OSError(f"entry {key[:12]} keeps changing")

    def _evict(self, keep: Path, written: int) -> None:
        with self._lock:
            self._since_scan += written
            if self._estimate is not None:
                self._estimate += written
                # Other processes write too, so the count is renewed now and then.
                if self._estimate <= self.max_bytes and self._since_scan * 16 < self.max_bytes:
                    return
            self._sweep(STALE_SECONDS)
            found = self._scan()
            total = sum(f.bytes for f in found)
            # What was set aside goes first. Several processes may evict at once: what one of them
            # has removed already is no error for the others (`_remove`).
            for item in sorted(found, key=lambda f: (not f.corrupt, f.used)):
                if total <= self.max_bytes:
                    break
                if item.path != keep:
                    self._remove(item.path)
                    total -= item.bytes
            self._estimate, self._since_scan = total, 0

    def _scan(self) -> list[_Found]:
        found = []
        for shard in _folders(self.root, _SHARD):
            for entry in _folders(shard, _ENTRY):
                try:
                    used = entry.stat().st_mtime_ns
                    size = sum(f.stat().st_size for f in entry.iterdir())
                except OSError:
                    continue  # evicted by another process meanwhile
                found.append(_Found(entry, size, used))
        return found

    def _sweep(self, age: float) -> None:
        for temp in _folders(self.root, re.compile(re.escape(_TMP) + r"[0-9a-f]{32}")):
            with contextlib.suppress(OSError):
                if time.time() - temp.stat().st_mtime >= age:
                    shutil.rmtree(temp, ignore_errors=True)

    def _remove(self, folder: Path) -> None:
        """Delete an entry; it vanishes by one rename, so that no reader sees half of it."""
        trash = self.root / f"{_TMP}{uuid.uuid4().hex}"
        with contextlib.suppress(OSError):
            folder.rename(trash)
            if trash.is_symlink() or not trash.is_dir():
                trash.unlink()
            else:
                shutil.rmtree(trash, ignore_errors=True)


def default_store() -> Store:
    """The store that the library, the command line and the app share, in `cache_folder`."""
    return _store_at(cache_folder())


@lru_cache(maxsize=8)
def _store_at(root: Path) -> Store:
    return Store(root)


def _identity(folder: Path) -> tuple[int, int, int] | None:
    """Differs when another folder took the place (inode numbers alone are used again)."""
    try:
        stat = folder.stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino, stat.st_ctime_ns) if folder.is_dir() else None


def _folders(parent: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    try:
        paths = sorted(parent.iterdir())
    except OSError:
        return
    for path in paths:
        if pattern.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path

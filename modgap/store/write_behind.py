"""A cache that nobody waits for: what is put into it is written by a thread of its own."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from pathlib import Path

from modgap.core.errors import StoreError
from modgap.store.cache import DEFAULT_BYTES, Record, Store, check_key

__all__ = ["WriteBehindStore"]

log = logging.getLogger(__name__)


class WriteBehindStore(Store):
    """A `Store` whose `put` returns at once; entries are read before they are on the disk.

    An entry takes tens of milliseconds to be safe on a disk, more than some of the answers that it
    holds take to be made. One that cannot be written is warned of, no more.

    Parameters
    ----------
    root, max_bytes
        As of `Store`.
    most : int
        Entries that may wait; the writer of one more waits for the disk itself.

    Attributes
    ----------
    problem : str
        Why the last entry could not be written; empty once one could.
    """

    def __init__(
        self, root: str | Path | None = None, *, max_bytes: int = DEFAULT_BYTES, most: int = 32
    ) -> None:
        super().__init__(root, max_bytes=max_bytes)
        self._most = most
        self.problem = ""
        self._waiting: dict[str, Record] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        held = weakref.ref(self)  # what is flushed at the exit need not live until then
        atexit.register(lambda: (store := held()) is not None and store.flush(30.0))

    def has(self, key: str) -> bool:
        """Whether there is an entry, written or about to be."""
        return key in self._waiting or super().has(key)

    def get(self, key: str) -> Record | None:
        """Read an entry, written or about to be."""
        # In this order: an entry waits until it is there.
        return self._waiting.get(key) or super().get(key)

    def put(self, key: str, record: Record) -> None:
        """Have an entry written.

        Raises
        ------
        StoreError
            The key is not one; or too many entries wait, and this one cannot be written.
        """
        check_key(key)
        with self._changed:
            if key in self._waiting:
                return
            room = len(self._waiting) < self._most
            if room:
                self._waiting[key] = record
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._write, name="modgap-cache", daemon=True
                    )
                    self._thread.start()
                self._changed.notify_all()
        if not room:
            super().put(key, record)

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until all is written, for so long at most; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def clear(self) -> int:
        """Delete every entry, those that wait too; see `Store.clear`."""
        self.flush()
        return super().clear()

    def _write(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting, 10.0):
                    self._thread = None  # the next entry begins another
                    return
                key, record = next(iter(self._waiting.items()))
            try:
                super().put(key, record)
                self.problem = ""
            except StoreError as problem:
                # A disk stays full for a while: one line of it, not one a result.
                if str(problem) != self.problem:
                    log.warning("The result was not kept. %s", problem)
                self.problem = str(problem)
            except Exception:  # the thread must outlive whatever a disk does
                log.exception("The result was not kept.")
            with self._changed:
                del self._waiting[key]
                self._changed.notify_all()

"""A small cache that all sessions share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedCache(Generic[K, V]):
    """A mapping of bounded size that drops what was used longest ago; safe to share."""

    def __init__(self, limit: int, size: Callable[[V], int] = lambda value: 1) -> None:
        self._limit, self._size = limit, size
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key][0]

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._total -= self._items.pop(key, (value, 0))[1]
            size = self._size(value)
            self._items[key] = (value, size)
            self._total += size
            while self._total > self._limit and len(self._items) > 1:
                self._total -= self._items.popitem(last=False)[1][1]

    def once(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made if it is not here."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found

    def drop(self, unwanted: Callable[[V], bool]) -> None:
        """Take out every value that is not wanted any more."""
        with self._lock:
            for key in [k for k, (value, _) in self._items.items() if unwanted(value)]:
                self._total -= self._items.pop(key)[1]

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)

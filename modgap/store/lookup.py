"""Results that are looked for in a cache first and kept in it afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from modgap.core.errors import StoreError

if TYPE_CHECKING:
    from modgap.store.cache import Record, Store

__all__ = ["keep", "kept", "look_up"]

log = logging.getLogger(__name__)
T = TypeVar("T")


def look_up(store: Store | None, key: str, parse: Callable[[Record], T]) -> T | None:
    """What the cache has under `key`, or None; a record that cannot be parsed is set aside.

    Raises
    ------
    StoreError
        The key is not one.
    """
    record = None if store is None else store.get(key)
    if store is None or record is None:
        return None
    try:
        return parse(record)
    except StoreError as problem:
        store.reject(key, str(problem))
        return None


def keep(store: Store | None, key: str, make: Callable[[], Record]) -> None:
    """Put a record into the cache; if that cannot be written, a warning is logged, no more."""
    if store is None:
        return
    try:
        store.put(key, make())
    except StoreError as problem:
        log.warning("The result was not kept. %s", problem)


def kept(
    store: Store | None,
    key: str,
    make: Callable[[], T],
    to_record: Callable[[T], Record],
    from_record: Callable[[Record], T],
) -> T:
    """The result under `key`: from the cache, or made and kept."""
    found = look_up(store, key, from_record)
    if found is None:
        found = make()
        keep(store, key, lambda: to_record(found))
    return found

"""One process at a time: a lock that goes with the process, however it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["hold"]

log = logging.getLogger(__name__)

EVERY = 0.2  # seconds between two tries


@contextlib.contextmanager
def hold(file: Path, waiting: Callable[[], Any]) -> Iterator[bool]:
    """Be the only holder of a lock file, in this process and others of this machine.

    Parameters
    ----------
    file : Path
        Made if it is not there; it stays.
    waiting : callable
        Called before each wait while somebody else holds it; what it raises ends the waiting.

    Yields
    ------
    bool
        False where there are no such locks (another system, some clusters' file systems): then
        nothing keeps others out.

    Raises
    ------
    OSError
        The file cannot be made.
    """
    try:
        import fcntl
    except ImportError:
        yield False
        return
    # Without O_NONBLOCK a pipe of that name would be waited for without end.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
    with os.fdopen(os.open(file, flags, 0o666), "a") as stream:
        locked = True
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(EVERY)
            except OSError as problem:
                log.warning(
                    "%s cannot be locked (%s): let no other process write there",
                    file.parent, problem,
                )  # fmt: skip
                locked = False
                break
        yield locked

"""The first use of a base model: it is fetched then, where a network may be used, and says so."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from modgap.core.errors import ModelError
from modgap.models.bases import fetching, local
from modgap.models.bases.planning import plan

if TYPE_CHECKING:
    from modgap.core.progress import Progress

__all__ = ["OFFLINE", "bring", "is_allowed", "reporting", "to_fetch"]

#: Set to 1, nothing is fetched but by `modgap fetch`.
OFFLINE = "MODGAP_OFFLINE"
_YES = {"1", "ON", "YES", "TRUE"}
_report: ContextVar[Progress | None] = ContextVar("modgap_first_use", default=None)


def is_allowed() -> bool:
    """Whether anything may be fetched that was not asked for by name.

    Not where ``MODGAP_OFFLINE`` is set, nor where the hub's client is told to stay offline
    (``HF_HUB_OFFLINE``): the models may come from elsewhere, but what is meant is the same.
    """
    from huggingface_hub import constants

    told = (os.environ.get(name, "").upper() in _YES for name in (OFFLINE, "HF_HUB_OFFLINE"))
    return not (any(told) or constants.HF_HUB_OFFLINE)


def to_fetch(name: str, cache_dir: str | Path | None = None) -> str:
    """What the first use of a base model will do, in one sentence; empty where it is here.

    Empty, too, where nothing may be fetched. Nothing is asked over the network.

    Raises
    ------
    ModelError
        Unknown name.
    """
    here = local.find(name, cache_dir) is not None
    return "" if here or not is_allowed() else plan([name], cache_dir=cache_dir).sentence


def bring(name: str, cache_dir: str | Path | None = None) -> Path:
    """The folder of a base model, fetched if it is not here yet.

    What is fetched, from where, and how large it is, is said on stderr first; who called
    `reporting` hears how far it is.

    Parameters
    ----------
    name : str
        See `modgap.models.bases.sources.SOURCES`.
    cache_dir : str or Path, optional
        See `modgap.models.bases.local.models_folder`.

    Raises
    ------
    ModelError
        Unknown name, or it is not here and may not or cannot be fetched; the message says what to
        do, and what works without it.
    Cancelled
        Raised by the progress; what has come is gone on from the next time.
    """
    sentence = to_fetch(name, cache_dir)
    if not sentence:
        return local.require(name, cache_dir)
    print(f"modgap: fetched on first use: {sentence}", file=sys.stderr, flush=True)
    try:
        fetching.fetch([name], cache_dir=cache_dir, progress=_report.get())
    except ModelError as problem:
        raise ModelError(f"{problem} {local.ELSE}") from problem
    return local.require(name, cache_dir)


@contextlib.contextmanager
def reporting(progress: Progress | None) -> Iterator[None]:
    """Have `progress` told of what is fetched inside, by this thread, however deep it happens."""
    before = _report.set(progress)
    try:
        yield
    finally:
        _report.reset(before)

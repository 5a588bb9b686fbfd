"""Functions that hold the model's lock while they run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

__all__ = ["holding_lock"]

P = ParamSpec("P")
T = TypeVar("T")


def holding_lock(
    run: Callable[Concatenate[SpeechLM, P], T],
) -> Callable[Concatenate[SpeechLM, P], T]:
    """Hold the lock of the first argument, a model, for the whole call.

    A pass beside another one would be seen and changed by the other's hooks. The lock is
    re-entrant: who holds it over several passes may call these functions all the same.
    """

    @functools.wraps(run)
    def held(model: SpeechLM, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with model.lock:
            return run(model, *args, **kwargs)

    return held

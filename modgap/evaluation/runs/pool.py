"""Prompts that were read and wait for their answers, which those of like length get together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from modgap.evaluation.runs.answering import Waiting, answer_batch
from modgap.evaluation.runs.failures import out_of_memory

if TYPE_CHECKING:
    from modgap.evaluation.runs.asking import Asking
    from modgap.models.base import Generation

__all__ = ["Pool"]

#: Keys and values that wait for being decoded may take so much memory.
POOL_BYTES = 2 << 30


class Pool:
    """What waits.

    Parameters
    ----------
    asking : Asking
        How the model is asked.
    batch : int
        Prompts that are answered together.
    """

    def __init__(self, asking: Asking, batch: int) -> None:
        self.asking, self.model, self.batch = asking, asking.model, max(1, batch)
        self._padded = self.model.support()["batch"] is None
        self._waiting: list[Waiting] = []

    def add(self, found: Iterable[Waiting]) -> None:
        """Let these wait, too."""
        self._waiting += found

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting = []

    @property
    def full(self) -> bool:
        """Whether what waits holds more memory than it should."""
        return sum(waiting.nbytes for waiting in self._waiting) > POOL_BYTES

    def answers(self) -> Iterator[tuple[Waiting, Generation | Exception, float]]:
        """Answer what waits, like lengths together, and those that the adapter acts on.

        Yields
        ------
        waiting : Waiting
        made : Generation, or what went wrong
        seconds : float
            What reading and answering took.
        """
        pool, self._waiting = sorted(self._waiting, key=lambda w: (w.adapter, w.length)), []
        start = 0
        for end in range(1, len(pool) + 1):
            full = end - start == self.batch or end == len(pool)
            if (
                full
                or pool[end].adapter != pool[start].adapter
                or not (self._padded or pool[end].length == pool[start].length)
            ):
                yield from self._answered(pool[start:end])
                start = end

    def _answered(
        self, batch: Sequence[Waiting]
    ) -> Iterator[tuple[Waiting, Generation | Exception, float]]:
        began = time.perf_counter()
        made: Sequence[Generation | Exception]
        try:
            made = answer_batch(self.model, batch, self.asking.sampling)
        except Exception as problem:
            alone = len(batch) > 1 and out_of_memory(problem)  # each by itself may have room
            made = [] if alone else [problem] * len(batch)
        if not made:
            for waiting in batch:
                yield from self._answered([waiting])
            return
        took = (time.perf_counter() - began) / len(batch)
        for waiting, one in zip(batch, made, strict=True):
            yield waiting, one, waiting.seconds + took

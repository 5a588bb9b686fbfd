"""How long work says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Progress", "Steps"]

#: Called with a fraction from 0 to 1 and a note; it may raise `Cancelled`.
Progress = Callable[[float, str], Any]


class Steps:
    """Fractions of the parts of a computation as one fraction of the whole that never falls.

    Attributes
    ----------
    done : float
        The highest fraction so far.
    """

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.done = 0.0

    def __call__(self, fraction: float, note: str) -> None:
        self.done = min(1.0, max(self.done, float(fraction)))
        if self.progress is not None:
            self.progress(self.done, note)

    def part(self, start: float, end: float, note: str) -> Progress:
        """A callable for one part, whose 0 and 1 are `start` and `end` of the whole."""

        def step(fraction: float, detail: str) -> None:
            self(start + (end - start) * fraction, f"{note}: {detail}")

        return step

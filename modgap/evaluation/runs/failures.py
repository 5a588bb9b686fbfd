"""What goes wrong with a question, and what goes wrong with everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from modgap.core.errors import ModgapError

__all__ = ["DeviceLost", "Faults", "out_of_memory"]

#: Questions in a row that fail for reasons nobody foresaw: then it is not the questions.
UNFORESEEN = 20


class DeviceLost(ModgapError):
    """The device, or something that all questions need, is gone: no question can be run."""


class Faults:
    """Tells a bad question, which is recorded, from what would spoil every question.

    Parameters
    ----------
    model : str
        Name in the rows.
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self._unforeseen: dict[str, int] = {}

    def rows(
        self, question: str, inputs: Sequence[str], problem: Exception
    ) -> list[dict[str, Any]]:
        """Rows for ``failures``, one an input.

        Raises
        ------
        DeviceLost
            It is not the question.
        """
        if isinstance(problem, DeviceLost) or _device_lost(problem):
            raise DeviceLost(
                f"The device is gone ({_reason(problem)}). What was written stays; the same "
                "command goes on from there."
            ) from problem
        if not isinstance(problem, ModgapError | OSError):
            for given in inputs:
                self._unforeseen[given] = self._unforeseen.get(given, 0) + 1
            if any(self._unforeseen[given] >= UNFORESEEN for given in inputs):
                raise DeviceLost(
                    f"{UNFORESEEN} times in a row a question could not be run, the last time for "
                    f"{type(problem).__name__}: {_reason(problem)}. This is no bad clip. What was "
                    "written stays; the same command goes on from there."
                ) from problem
        return [
            {
                "model": self.model,
                "question": question,
                "input": given,
                "kind": type(problem).__name__,
                "reason": _reason(problem),
            }
            for given in inputs
        ]

    def fine(self, inputs: Sequence[str]) -> None:
        """Note that a question could be run with these inputs."""
        for given in inputs:
            self._unforeseen.pop(given, None)


def out_of_memory(problem: BaseException) -> bool:
    """Whether there was too little memory, which a smaller batch may mend."""
    return isinstance(problem, MemoryError | torch.OutOfMemoryError)


def _device_lost(problem: BaseException) -> bool:
    """Whether the accelerator itself failed; every later call to it fails, too."""
    lost = getattr(torch, "AcceleratorError", None)
    if lost is not None and isinstance(problem, lost):
        return True
    said = str(problem).lower()
    return (
        isinstance(problem, RuntimeError)
        and not out_of_memory(problem)
        and ("cuda error" in said or "cuda driver" in said or "device-side assert" in said)
    )


def _reason(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:500] or type(problem).__name__

"""What a scorer says of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Scorer", "Verdict", "more_references", "unparsed"]


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and how that was decided.

    Attributes
    ----------
    correct : bool or None
        None: not decided here (a judge has to).
    extracted : str or None
        What was taken for the answer. None with ``correct=False``: nothing could be, so the answer
        counts as wrong for its form, not for what it says (*unparsed*).
    rule : str
        Which of the scorer's rules decided.
    expected : float or None
        Expected score in [0, 1] under the benchmark's own rule, such as 1 / 4 where it draws a
        letter at random. None where the benchmark's rule cannot be stated so.
    """

    correct: bool | None
    extracted: str | None
    rule: str
    expected: float | None = None

    @property
    def unparsed(self) -> bool:
        """Whether the answer is wrong for its form only."""
        return self.correct is False and self.extracted is None


#: A pure function of the response, the reference, and what else the data set gives.
Scorer = Callable[[str, str, Mapping[str, Any]], Verdict]


def unparsed(rule: str, expected: float | None = None) -> Verdict:
    """The verdict on an answer that nothing could be taken from."""
    return Verdict(False, None, rule, expected)


def more_references(meta: Mapping[str, Any]) -> list[str]:
    """The further right answers of a question; a text is one."""
    more = meta.get("references") or ()
    return [str(r) for r in (more if isinstance(more, list | tuple) else (more,)) if str(r).strip()]

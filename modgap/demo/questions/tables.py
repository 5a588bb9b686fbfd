"""How the tables of answers are written: ``thing: answer | variant; next thing: answer``."""

from __future__ import annotations

__all__ = ["Answers", "table"]

#: Of each thing the answer, and after it what else is right.
Answers = dict[str, tuple[str, ...]]


def table(text: str) -> Answers:
    """Read a table.

    Examples
    --------
    >>> table("Ukraine: Kyiv | Kiev; Peru: Lima")
    {'Ukraine': ('Kyiv', 'Kiev'), 'Peru': ('Lima',)}
    """
    found: Answers = {}
    for entry in text.split(";"):
        thing, _, answers = " ".join(entry.split()).partition(": ")
        if thing in found or not answers:
            raise ValueError(f"{thing!r} is there twice, or has no answer.")
        found[thing] = tuple(a.strip() for a in answers.split("|"))
    return found

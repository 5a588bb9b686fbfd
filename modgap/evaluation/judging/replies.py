"""What a judge's reply means: Yes or No, or a rating; thoughts are told from it as from answers."""

from __future__ import annotations

import re

from modgap.scoring.thoughts import said

__all__ = ["rating", "yes"]

_SCALE = re.compile(
    r"(?i)\b1\s*(?:-|–|to|through)\s*5\b|(?:/|\bout\s+of|\bof)\s*5\b(?!\.\d)|\b5-point"
)
_NUMBER = r"(?<![\w.,/])([1-5])(?![\w/]|[.,]\d)"
_ALONE = re.compile(rf"(?m)^[^\w\n]*{_NUMBER}[^\w\n]*$")
_NAMED = re.compile(
    rf"(?i)\b(?:score|rating|rated?|grade)\b(?:\W|\b(?:is|of|would|be|as|this|it|a)\b){{0,12}}?{_NUMBER}"
    r"(?!\s*(?:-|–|to\b|or\b|and\b)\s*\d)"
)


def yes(reply: str) -> bool | None:
    """Whether a reply is Yes; None if it is neither Yes nor No."""
    match = re.match(r"\W*(yes|no)\b", (said(reply) or "").strip(), re.IGNORECASE)
    return match[1].lower() == "yes" if match else None


def rating(reply: str) -> int | None:
    """The last number from 1 to 5 on a line of its own, else the only one named a rating, else the
    only one there is; None if several could be meant."""
    text = _SCALE.sub(" ", (said(reply) or "").strip())
    alone = _ALONE.findall(text)
    if alone:
        return int(alone[-1])
    for pattern in (_NAMED, re.compile(_NUMBER)):
        found = set(pattern.findall(text))
        if found:
            return int(found.pop()) if len(found) == 1 else None
    return None

"""The options that a question names in its own words."""

from __future__ import annotations

import re

__all__ = ["named_options"]

_OPTION = re.compile(r"(?<![\w'])\(?([A-Z])[.,:)]\s*(.+?)(?=\s*[.;,]?\s*(?:\(?[A-Z][.,:)]\s|$))")


def named_options(question: str) -> dict[str, str]:
    """Letter and words of each option that a question names, empty if it names none.

    >>> named_options("What is up? A, down. B, left. C, true north.")
    {'A': 'down', 'B': 'left', 'C': 'true north'}
    >>> named_options("Is A, the first letter, a vowel?")
    {}
    """
    found = {m[1]: m[2].strip(" .,;") for m in _OPTION.finditer(question)}
    expected = [chr(ord("A") + n) for n in range(len(found))]
    return found if len(found) > 1 and list(found) == expected and all(found.values()) else {}

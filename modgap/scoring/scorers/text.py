"""Answers as scorers read them: without thoughts, markup and courtesies, with plain quotes."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["plain", "without_courtesy"]

# Speech models that answer with several voices or turns leave such marks in their text.
_TURNS = re.compile(r"^\s*<[123]>|<\|[a-z_]+\|>\s*$", re.IGNORECASE)
_LATEX = re.compile(r"\\(?:text|textbf|mathbf|mathrm)\s*\{([^{}]*)\}")
_MARKS = re.compile(
    r"\*\*|_{2,}|`|\\[()\[\]]|\$|</?(?:b|i|em|strong|u|p|span|br)\s*/?>|\u200b|\ufeff"
)
_EMPHASIS = re.compile(r"(?<!\w)_(?=[^\W_])|(?<=[^\W_])_(?!\w)")

_FIRST = re.compile(
    r"(?i)\A\s*(?:(?:sure(?:\s+thing)?|certainly|of\s+course|okay|ok|alright|absolutely|gladly|"
    r"great\s+question|good\s+question|thank\s+you(?:\s+for\s+(?:asking|the\s+question))?|thanks|"
    r"happy\s+to\s+help|i'd\s+be\s+happy\s+to\s+help|hello|hi)(?:\s+there)?[!.,:]+\s+)+(?=\S)"
)
_LAST = re.compile(
    r"(?i)(?<=[.!?\n])\s*(?:i\s+hope\s+(?:this|that|it)\s+helps|let\s+me\s+know\s+if|feel\s+free\s+to|"
    r"is\s+there\s+anything\s+else|thank\s+you|thanks|have\s+a\s+(?:nice|great|good)\s+day|"
    r"you're\s+welcome)\b[^.!?\n]*[.!?]*\s*\Z"
)


def plain(text: str) -> str:
    """The text in normal form C with half-width letters, and without emphasis, LaTeX or turn marks.

    >>> plain("<1>**Ｂ** is right: \\\\( \\\\boxed{\\\\text{B}} \\\\)")
    'B is right:  \\\\boxed{B} '
    """
    text = unicodedata.normalize("NFKC", text)
    text = text.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    text = _TURNS.sub("", text)
    return _EMPHASIS.sub("", _MARKS.sub("", _LATEX.sub(r"\1", text)))


def without_courtesy(text: str) -> str:
    """The text without what is polite before and behind an answer, if anything is left then.

    >>> without_courtesy("Sure! B. I hope this helps.")
    'B.'
    """
    rest = _FIRST.sub("", text)
    while (shorter := _LAST.sub("", rest)) != rest:
        rest = shorter
    return rest if rest.strip() else text

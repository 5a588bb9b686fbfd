"""Answers as scorers read them: without markup, with plain quotes."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["plain"]

# Speech models that answer with several voices or turns leave such marks in their text.
_TURNS = re.compile(r"^\s*<[123]>|<\|[a-z_]+\|>\s*$", re.IGNORECASE)
_LATEX = re.compile(r"\\(?:text|textbf|mathbf|mathrm)\s*\{([^{}]*)\}")
_MARKS = re.compile(r"\*\*|__|`|\\[()\[\]]|\$")


def plain(text: str) -> str:
    """The text in normal form C with half-width letters, and without emphasis, LaTeX or turn marks.

    >>> plain("<1>**Ｂ** is right: \\\\( \\\\boxed{\\\\text{B}} \\\\)")
    'B is right:  \\\\boxed{B} '
    """
    text = unicodedata.normalize("NFKC", text)
    text = text.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"')
    text = _TURNS.sub("", text)
    return _MARKS.sub("", _LATEX.sub(r"\1", text))

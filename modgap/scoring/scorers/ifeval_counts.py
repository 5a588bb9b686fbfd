"""What IFEval's instructions count and find in a text: words, sentences, keywords, its language."""

from __future__ import annotations

import re
import unicodedata

from modgap.scoring.words import letters_only

__all__ = ["count_sentences", "count_words", "find_keyword", "language_of"]

_ABBREVIATIONS = re.compile(
    r"mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|u\.s|u\.k|a\.m|p\.m|inc|ltd|co|fig|al|approx|"
    r"dept|est|gen|col|capt|lt|sgt|rev|hon|pres|gov|sen|rep|mt|ave|blvd|jan|feb|mar|apr|jun|jul|"
    r"aug|sept?|oct|nov|dec|[a-hj-z]"
)
_BREAK = re.compile(r"([.!?]+)[\"'”’)\]]*(?=\s+[\"'“‘(\[]*(\S))")


def count_sentences(text: str) -> int:
    """Number of sentences: they end in ``.``, ``!`` or ``?``, and none begins with a small letter.

    Abbreviations and single initials end none; a line break alone does not either.

    >>> count_sentences('Dr. A. Smith came at 5 p.m. on Monday. "Really?" Yes! 3.5 km')
    4
    """
    text = text.strip()
    if not text:
        return 0
    count = 1
    for match in _BREAK.finditer(text):
        word = re.search(r"[\w.]*$", text[max(0, match.start() - 12) : match.start()])
        last = word[0].strip(".").lower() if word else ""
        short = match[1] == "." and _ABBREVIATIONS.fullmatch(last)
        if match[2].islower() or short:
            continue
        count += 1
    return count


def language_of(text: str) -> str | None:
    """Language code by langdetect with a fixed seed; None where there is nothing to go by."""
    import langdetect

    langdetect.DetectorFactory.seed = 0
    try:
        return langdetect.detect(text)
    except langdetect.LangDetectException:
        return None


def count_words(text: str) -> int:
    """Runs of letters, digits and underscores, as published; no combining mark ends one.

    >>> count_words("नमस्ते दुनिया"), count_words("don't"), count_words("今天 好")
    (2, 2, 2)
    """
    return len(re.findall(r"\w+", letters_only(text)))


def find_keyword(keyword: str, text: str, edge: str = "") -> list[str]:
    """All hits, with the keyword as a pattern (as published), or as it stands if it is none."""
    keyword = unicodedata.normalize("NFC", keyword)
    marks = edge and any(unicodedata.category(c)[0] == "M" for c in text)
    if marks:  # \b would see an edge before a vowel sign
        edge = ""
    try:
        pattern = re.compile(edge + keyword + edge, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError):
        pattern = re.compile(edge + re.escape(keyword) + edge, re.IGNORECASE)
    found = [m for m in pattern.finditer(text) if not marks or _whole(text, m.start(), m.end())]
    return [m[0] for m in found]


def _whole(text: str, start: int, end: int) -> bool:
    """Whether no letter, mark or digit goes on before or behind."""
    around = text[max(0, start - 1) : start] + text[end : end + 1]
    return not any(unicodedata.category(c)[0] in "LMN" or c == "_" for c in around)

"""Which sentences can be said, and how a written one is made sayable.

A training text is what the model shall write down when it hears the clip, so whatever a voice
would read out in words the text does not have ("%", "&"), or leave out (a quotation mark), is spelt
out or dropped before anybody speaks it.
"""

from __future__ import annotations

import re

__all__ = ["first_sentences", "sayable"]

_PLAIN = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201c": "", "\u201d": "", '"': "", "\u2013": "-",
        "\u2014": ", ", "\u2026": ".", "\u00a0": " ", "`": "'", "*": "",
    }
)  # fmt: skip
_SPELT = (
    (re.compile(r"\s*&\s*"), " and "),
    (re.compile(r"(?<=\d)\s*%"), " percent"),
    (re.compile(r"\$\s?(\d[\d,.]*\d|\d)(?!\d)(\s(?:million|billion|thousand))?"), r"\1\2 dollars"),
    (re.compile(r"\s+-{1,2}\s+"), ", "),
    (re.compile(r"-{2,}"), ", "),
    (re.compile(r"\bi\.e\.,?"), "that is,"),
    (re.compile(r"\be\.g\.,?"), "for example"),
    (re.compile(r"\betc\.(?=\s*$)"), "and so on."),
    (re.compile(r"\betc\."), "and so on"),
    (re.compile(r"\s+([,.?!;:])"), r"\1"),
    (re.compile(r"([,.?!;:]){2,}"), r"\1"),
)
_ALLOWED = re.compile(r"[A-Za-z0-9 ,.?!':;-]+")
_WORD = re.compile(r"[A-Za-z0-9']+")
#: What no voice says as it is written: names with underscores or inner capitals, lone letters
#: that are no word, long numbers, web addresses.
_ODD = re.compile(
    r"[a-z][A-Z]|(?<!')\b[b-zB-HJ-NP-Z]\b(?![.'])|\d{5,}|\b(?:www|http|html|json|php|css|sql)\b"
    r"|\.(?:com|org|py|txt)\b|\b[A-Z]{5,}\b|\b[A-Z]\.$"
)
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")


def sayable(text: str, words: tuple[int, int] = (2, 24)) -> str | None:
    """`text` as a voice says it, or None where it can't be said.

    Parameters
    ----------
    text : str
    words : tuple of int
        How many words it may have, at least and at most.

    Examples
    --------
    >>> sayable("Is 5% of $20 \\u201ca lot\\u201d?")
    'Is 5 percent of 20 dollars a lot?'
    >>> sayable("print(x)") is None
    True
    """
    text = " ".join(text.translate(_PLAIN).split())
    for pattern, said in _SPELT:
        text = pattern.sub(said, text)
    text = " ".join(text.split()).strip(" ,;:-")
    if not _ALLOWED.fullmatch(text) or _ODD.search(text):
        return None
    count = len(_WORD.findall(text))
    if not words[0] <= count <= words[1] or len(text) > 8 * words[1]:
        return None
    if not re.search("[A-Za-z]{2}", text):
        return None
    return text


def first_sentences(text: str, most: int = 22) -> str | None:
    """As many whole sentences from the beginning of `text` as have `most` words or fewer."""
    kept = ""
    for part in _SENTENCE.split(text.strip().split("\n")[0].strip()):
        longer = f"{kept} {part}".strip()
        if part[-1:] not in (".", "?", "!") or len(longer.split()) > most:
            break
        kept = longer
    return kept or None

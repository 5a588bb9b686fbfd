"""The options of a multiple choice by their words: which one an answer says, or a reference is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from modgap.scoring.words import places, readings

__all__ = ["labelled", "letter_of", "option_said"]

_LABEL = re.compile(r"\s*[(\[]?([A-Za-z]|\d{1,2})[.):\]]\s+(?=\S)")
_NOT = re.compile(
    r"(?:\b(?:not|never|except)|n't|\brather than|\binstead of)(?: the| an?)?$"
    r"|(?:不 是|并 非|而 非|不 在|不 叫|ไ ม่ ใ ช่)$"
)
_NOT_BEHIND = re.compile(r"^(?:で は な い|で は あ り ま せ ん|じ ゃ な い|नहीं|아니)")
# Where "one" is no number.
_PRONOUN = re.compile(
    r"(?i)\b(?:the|this|that|right|correct|wrong|best|last|only|no|some|any|every|each|which|other)"
    r"[\s-]+ones?\b(?!\s+(?:hundred|thousand|million|half|third|quarter))|\bone\s+(?:of|that|who)\b"
)


def labelled(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Options without the labels that they carry, and the labels if they are digits.

    >>> labelled(["A. apple", "B. banana"])
    (('apple', 'banana'), '')
    >>> labelled(["1) red", "2) blue"])
    (('red', 'blue'), '12')
    """
    found = [_LABEL.match(word) for word in words]
    marks = [m[1].upper() for m in found if m]
    if len(words) < 2 or len(marks) < len(words):
        return tuple(words), ""
    digits = [str(n + 1) for n in range(len(words))]
    if marks != digits and marks != list(ascii_uppercase[: len(words)]):
        return tuple(words), ""
    bare = tuple(w[m.end() :].strip() for w, m in zip(words, found, strict=True) if m)
    return bare, "".join(marks) if marks == digits and len(marks) < 10 else ""


def letter_of(reference: str, words: Sequence[str]) -> str | None:
    """The letter of the option that a reference is, by its letter, its words, or both.

    Parameters
    ----------
    reference : str
    words : sequence of str
        Of all options; empty where they are not known: then there are four.

    Returns
    -------
    str or None
        None where it names no option, or could be several.
    """
    letters = ascii_uppercase[: len(words) or 4]
    given = reference.strip()
    bare = given.strip("().[]:").strip()
    if len(bare) == 1 and bare.upper() in letters:
        return bare.upper()
    plain, digits = labelled(words)
    for options in (tuple(words), plain):
        for fold in (str, str.casefold):
            same = [n for n, w in enumerate(options) if fold(w.strip()) == fold(given)]
            if len(same) == 1:
                return letters[same[0]]
    if digits and bare in digits:
        return letters[digits.index(bare)]
    wanted = set(readings(given)) - {()}
    same = [n for n, w in enumerate(plain) if wanted & set(readings(w))]
    if len(same) == 1:
        return letters[same[0]]
    label = _LABEL.match(given)
    if label and label[1].upper() in letters:
        letter = label[1].upper()
        rest = letter_of(given[label.end() :], plain) if plain else letter
        return letter if rest == letter else None
    return None


def option_said(text: str, words: Sequence[str]) -> int | None:
    """Number of the only option whose words are in the text; those inside longer ones are not.

    They are compared as references are (`words.readings`). An option that the text writes exactly
    goes before those that differ from it by accents or points only.
    """
    for fold in (str, str.casefold):
        same = [
            n for n, w in enumerate(words) if w.strip() and fold(w.strip()) == fold(text.strip())
        ]
        if len(same) == 1:
            return same[0]
    text = _PRONOUN.sub("…", text)
    options = [readings(word) for word in words]
    for exact in (True, False):
        for given in readings(text):
            found = _found(given, options, exact)
            if found:
                return found[0] if len(found) == 1 else None
    return None


def _found(
    given: Sequence[str], options: Sequence[tuple[tuple[str, ...], ...]], exact: bool
) -> list[int]:
    rest, found = list(given), []
    for number in sorted(range(len(options)), key=lambda n: -max(map(len, options[n]))):
        for wanted in options[number]:
            here = places(rest, wanted, exact=exact)
            said = [i for i in here if not _negated(given, i, i + len(wanted))]
            for i in here:
                rest[i : i + len(wanted)] = ["|"] * len(wanted)
            if said:
                found.append(number)
                break
    return found


def _negated(given: Sequence[str], start: int, end: int) -> bool:
    before = " ".join(given[max(0, start - 4) : start])
    return bool(_NOT.search(before) or _NOT_BEHIND.match(" ".join(given[end : end + 7])))

"""Texts as words that can be compared: the one normaliser of all scorers and of word errors."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from modgap.scoring.number_words import ONES, as_digits
from modgap.scoring.numerals import apart_from_signs, one_form, plain_digits, with_units_apart

__all__ = ["comparable_words", "holds", "letters_only", "places", "readings"]

_DIGITS = {word: str(n) for n, word in enumerate(ONES)}
# Scripts that put no spaces between words: kana and Han, Thai, Lao, Burmese, Khmer.
_SPACELESS = re.compile(
    r"[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff\u0e01-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u1000-\u103f\u1050-\u108f"
    r"\u1780-\u17d3\u17d7\u17dc]"
)
_HAN_NUMERALS = frozenset("〇零一二三四五六七八九十百千万亿萬億两兩")
# Joiners, direction marks, soft hyphens, variation selectors, tatweel: they make no other word.
_UNSEEN = re.compile(
    r"[\u00ad\u034f\u0640\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064"
    r"\u2066-\u2069\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
)
_COPULAS = re.compile(
    r"([\uac00-\ud7a3\w])(입니다|이에요|예요|이었습니다|이라고|에서|으로)(?![\uac00-\ud7a3])"
)
_MONEY = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "₩": "won"}
_BEFORE = re.compile(rf"([{''.join(_MONEY)}])\s?(-?\d+(?:[.,]\d+)*)")
_SIGNS = {"%": "percent", "&": "and", "°": "degrees", **_MONEY}
_SIGN = re.compile(rf"[{''.join(_SIGNS)}]")
_SINGULAR = re.compile(r"(?<=\d )(dollar|euro|pound|rupee|degree)\b|\bper cent\b")
_JOINED = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])|(?<=[^\W\d_])\.(?=[^\W\d_](?:\.|\W|$))")
_ACRONYM = re.compile(r"(?<![\w.])(?:[^\W\d_]\.){2,}")


def comparable_words(text: str, *, whole_numbers: bool = False) -> list[str]:
    """Split into comparable words; marks stay with their letters, decimals and signs in numbers.

    Parameters
    ----------
    text : str
    whole_numbers : bool
        Numbers are one word each, in digits, however they are said or written. Else each word from
        zero to twenty is a number by itself, and all others stay as they are: what a recogniser
        wrote is counted word by word.

    Returns
    -------
    list of str
        In scripts without spaces between words, each character is one.
    """
    text = _folded(text)
    text = _spaced(plain_digits(text) if whole_numbers else text, whole_numbers)
    if whole_numbers:
        text = _whole(text)
    return _split(text, whole_numbers)


@lru_cache(maxsize=4096)
def readings(text: str) -> tuple[tuple[str, ...], ...]:
    """The ways in which a text is read as words: signs as words or not at all, parts joined or not.

    "$5" is "5 dollars" and "5", "e-mail" is "e mail" and "email", "U.S." is "u s" and "us".

    Returns
    -------
    tuple of tuple of str
        The first is that of `comparable_words` with whole numbers.
    """
    plain = _spaced(plain_digits(_folded(text)), True)
    forms = [plain, _SIGN.sub(" ", plain)] if _SIGN.search(plain) else [plain]
    found = []
    for form in map(_whole, forms):
        found.append(tuple(_split(form, True)))
        joined = _JOINED.sub("", _ACRONYM.sub(lambda m: m[0].replace(".", ""), form))
        if joined != form:
            found.append(tuple(_split(joined, True)))
    return tuple(dict.fromkeys(found))


def holds(text: str, phrase: str) -> bool:
    """Whether a text has a phrase in it as whole words and whole numbers.

    >>> holds("It costs $5.", "five dollars"), holds("twenty-five", "five")
    (True, False)
    """
    wanted = [words for words in readings(phrase) if words]
    if not wanted:  # signs alone, as an emoji
        signs = "".join(phrase.split())
        return bool(signs) and signs in "".join(text.split())
    return any(places(given, words) for given in readings(text) for words in wanted)


def places(given: Sequence[str], wanted: Sequence[str], *, exact: bool = False) -> list[int]:
    """Where a row of words stands in another.

    Parameters
    ----------
    given, wanted : sequences of str
    exact : bool
        Else a word that is written without its points or accents is the same as one with them:
        "Sao" is "São", "القاهرة" is "الْقَاهِرَة", but "عَلَم" is not "عِلْم".
    """
    n = len(wanted)
    if not n:
        return []
    same = str.__eq__ if exact else _same
    return [
        i
        for i in range(len(given) - n + 1)
        if all(same(a, b) for a, b in zip(given[i : i + n], wanted, strict=True))
    ]


def letters_only(text: str) -> str:
    """The text without combining marks, which Python's ``\\w`` takes for no part of a word."""
    text = _UNSEEN.sub("", unicodedata.normalize("NFC", text))
    return "".join(c for c in text if unicodedata.category(c)[0] != "M")


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", apart_from_signs(text)).casefold()
    text = unicodedata.normalize("NFKC", text).replace("i\u0307", "i")
    return _UNSEEN.sub("", text).replace("’", "'").replace("−", "-")


def _whole(text: str) -> str:
    """With every number in digits and in one form, and signs that stand with numbers as words."""
    text = one_form(as_digits(one_form(text)))
    text = with_units_apart(text)
    text = _BEFORE.sub(lambda m: f" {m[2]} {_MONEY[m[1]]} ", text)
    text = _SIGN.sub(lambda m: f" {_SIGNS[m[0]]} ", text)
    text = re.sub(r"(?<=\d)\s+", " ", text)
    text = _SINGULAR.sub(lambda m: f"{m[1]}s" if m[1] else "percent", text)
    return _COPULAS.sub(r"\1 \2", text)


def _split(text: str, whole_numbers: bool) -> list[str]:
    keep = "'.,-"
    if whole_numbers:  # fractions; C++, C#, A+
        text = re.sub(r"(?<!\d)/|/(?!\d)|(?<=\d)/(?=\d+/)|(?<=/\d)/|(?<=/\d\d)/", " ", text)
        text = re.sub(r"(?<![^\W\d_+#])[+#]+|[+#]+(?=\w)", " ", text)
        keep += "/+#"
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c in keep else " " for c in text)
    kept = re.sub(r"(?<!\d)[.,]|[.,](?!\d)", " ", kept)
    kept = re.sub(r"(?<=\S)-|-(?!\d)", " ", kept)
    kept = re.sub(r"(?<!\S)'+|'+(?!\S)", " ", kept)
    return [_DIGITS.get(word, word) for word in kept.split()]


def _spaced(text: str, whole_numbers: bool) -> str:
    """With a space around each character of a script that has none; marks stay with theirs."""
    if not _SPACELESS.search(text):
        return text
    out, before = [], ""
    for c in text:
        if unicodedata.category(c)[0] != "M":
            one = whole_numbers and c in _HAN_NUMERALS and before in _HAN_NUMERALS
            if not one and (_SPACELESS.match(c) or (before and _SPACELESS.match(before))):
                out.append(" ")
            before = c
        out.append(c)
    return "".join(out)


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    if one.isascii() and other.isascii():
        return False
    return _bare(one) == other or one == _bare(other)


@lru_cache(maxsize=4096)
def _bare(word: str) -> str:
    """Without what is often left out in writing: Arabic and Hebrew points, accents of Latin and
    Greek letters (not of two letters: "là" is not "la"), the stress and the dots of Cyrillic ones.
    """
    if word.isascii():
        return word
    out, base = [], ""
    long = sum(unicodedata.category(c)[0] == "L" for c in word) > 2
    for c in unicodedata.normalize("NFD", word):
        if unicodedata.category(c)[0] != "M":
            base = unicodedata.name(c, "")
        elif (
            "\u064b" <= c <= "\u0670"
            or "\u06d6" <= c <= "\u06ed"
            or "\u0591" <= c <= "\u05c7"
            or (
                "\u0300" <= c <= "\u036f"
                and (
                    (long and base.startswith(("LATIN", "GREEK")))
                    or (base.startswith("CYRILLIC") and (c == "\u0301" or "LETTER IE" in base))
                )
            )
        ):
            continue
        out.append(c)
    return unicodedata.normalize("NFC", "".join(out))

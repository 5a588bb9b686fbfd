"""English numbers as they are said, as digits: "twenty-five" is 25, and there is no five in it."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["ONES", "as_digits"]

#: Words of the numbers from zero to twenty, in order.
ONES = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty",
)
_TENS = re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = re.findall(
    r"\w+",
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
)
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_VALUES = dict(zip([*ONES[:20], *_TENS], [*range(20), *range(20, 100, 10)], strict=True)) | _SCALES
# An ordinal is read as its number with this sign behind it.
_SIGN = "\x00"
_NUMBERS_OF = (
    dict(zip(_ORDINALS, ONES[1:], strict=True))
    | {ten.removesuffix("y") + "ieth": ten for ten in _TENS}
    | {f"{scale}th": scale for scale in ("hundred", *_SCALES)}
)
_ORDINAL = re.compile(rf"(?<![\w'{_SIGN}])(?:{'|'.join(_NUMBERS_OF)})(?![\w'])")


def _any(words: list[str]) -> str:
    return rf"(?:{'|'.join(words)})\b"


_GAP = r"(?:\s*-\s*|\s+)"
_DECADE, _TEEN, _SCALE = _any(_TENS), _any(ONES[10:20]), _any(list(_SCALES))
_TO_99 = rf"(?:{_DECADE}(?:{_GAP}{_any(ONES[1:10])})?|{_TEEN}|{_any(ONES[:10])})"
_DIGITS = r"\d{1,15}(?:\.\d{1,9})?"  # those before a word that multiplies them
_HUNDRED = rf"(?:(?:{_TO_99}|a|{_DIGITS}){_GAP})?hundred\b(?:(?:\s+and)?{_GAP}{_TO_99})?"
_TO_999 = rf"(?:{_HUNDRED}|{_TO_99})"


def _scaled() -> str:
    """Numbers from a thousand on, the larger scale first and none twice: a list stays a list."""
    times, goes_on, found = rf"(?:{_TO_999}|a|{_DIGITS}){_GAP}", rf"(?:,|\s+and)?{_GAP}", []
    rest = rf"(?:{goes_on}{_TO_999})?"
    for scale in _SCALES:
        found.append(rf"(?:{times})?{scale}\b{rest}")
        rest = rf"(?:{goes_on}{times}{scale}\b)?{rest}"
    return "|".join(found)


# No number ends before a word that multiplies it, nor begins or ends inside a word or a decimal.
_NUMBER = re.compile(
    rf"(?<!\w)(?<!\w')(?<!\d[.,])(?:(?P<century>{_DECADE}|{_TEEN}){_GAP}(?P<year>{_DECADE}(?:{_GAP}{_any(ONES[1:10])})?|{_TEEN})"
    rf"|{_scaled()}|{_TO_999})(?!\w|'\w|{_GAP}(?:hundred|{_SCALE})\b)"
)
_GROUPED = re.compile(r"(?<!\w)(?<!\d[.,])\d{1,3}(?:,\d{3})+(?!\d|,\d)")
_ORDINAL_NUMBER = re.compile(rf"(\d+){_SIGN}")
_POINT = re.compile(r"(?<![\w.])(\d+) point ((?:\d )*\d+)(?!\w|\.\d)")
# After a number it is a sum, not a sign.
_MINUS = re.compile(r"(?<!\d )(?<!\w)(?:minus|negative)\s+(?=\d)")


def as_digits(text: str) -> str:
    """The text with every number that is said in English words, or grouped by commas, as digits.

    Parameters
    ----------
    text : str
        In small letters.

    Examples
    --------
    >>> as_digits("a hundred and five, or 1,000")
    '105, or 1000'
    >>> as_digits("three, four and nineteen eighty-four")
    '3, 4 and 1984'
    >>> as_digits("the twenty-first of 5 million")
    'the 21st of 5000000'
    >>> as_digits("third, minus five, ten minus two, three point one four")
    '3rd, -5, 10 minus 2, 3.14'
    """
    text = _GROUPED.sub(lambda m: m[0].replace(",", ""), text.replace(_SIGN, " "))
    text = _ORDINAL.sub(lambda m: _NUMBERS_OF[m[0]] + _SIGN, text)
    text = _NUMBER.sub(_apart, text)
    text = _ORDINAL_NUMBER.sub(lambda m: m[1] + _ending(int(m[1][-2:])), text).replace(_SIGN, "")
    text = _POINT.sub(lambda m: f"{m[1]}.{m[2].replace(' ', '')}", text)
    return _MINUS.sub("-", text)


def _ending(number: int) -> str:
    return "th" if 10 < number < 14 else _ENDINGS.get(number % 10, "th")


def _apart(match: re.Match[str]) -> str:
    """The digits, which no mark beside the words makes a decimal or negative."""
    text, (start, end) = match.string, match.span()
    before = (
        " "
        if text[max(0, start - 1) : start] in (".", ",", "-") and not match[0][0].isdigit()
        else ""
    )
    return before + _digits(match) + (" " if re.match(r"[.,]\w", text[end : end + 2]) else "")


def _digits(match: re.Match[str]) -> str:
    if match["century"]:
        return f"{100 * _value(match['century']) + _value(match['year'])}"
    found = f"{_value(match[0]):f}"
    return found.rstrip("0").rstrip(".") if "." in found else found


def _value(said: str) -> Decimal:
    whole = group = Decimal(0)
    for word in re.findall(r"\d+(?:\.\d+)?|[a-z]+", said):
        if word == "hundred":
            group = (group or 1) * Decimal(100)
        elif word in _SCALES:
            whole, group = whole + (group or 1) * Decimal(_SCALES[word]), Decimal(0)
        elif word not in ("a", "and"):
            group += Decimal(word if word[0].isdigit() else _VALUES[word])
    return whole + group

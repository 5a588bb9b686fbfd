"""Numbers as they are written, in one form: digits of every script, grouping, fractions, signs."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

__all__ = ["apart_from_signs", "one_form", "plain_digits", "with_units_apart"]

_HAN = "〇零一二三四五六七八九"
_DIGIT = {c: n for n, c in enumerate(_HAN[1:])} | {"〇": 0, "两": 2, "兩": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_RUN = re.compile("[" + "".join([*_DIGIT, *_UNITS, *_SCALES]) + "]+")
_SCALED = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([十百千万萬亿億]{1,3})")

_GROUPED = re.compile(
    r"(?<!\w)(?<!\d[.,'])(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:['_]\d{3})+"
    r"|\d{1,3}(?: 000)+|\d{1,2}(?:,\d{2})+,\d{3})(?!\d|[.,']\d{3}(?!\d))"
)
_COMMA = re.compile(r"(?<!\d)(?<!\d[.,])(\d+),(\d{1,2}|\d{4,})(?!\d|[.,]\d)")
_EXPONENT = re.compile(r"(?<![\w.])(\d{1,15}(?:\.\d{1,15})?)e([+-]?\d{1,2})(?!\w|\.\d)")
_ZEROS = re.compile(r"(?<!\d)(?<!\d\.)(\d+)\.(\d*?)0+(?!\d|\.\d)")
_PIECES = re.compile(
    r"\b(a|one|1) (half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth)(?!\w)"
    r"|\b(two|three|four|five|six|seven|eight|nine|[2-9]) "
    r"(halves|thirds|quarters|fourths|fifths|sixths|sevenths|eighths|ninths|tenths)(?!\w)"
)
_PARTS = ("half", "third", "quarter", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_COUNTS = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
_GLUED = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)(km|cm|mm|m|kg|g|mg|lbs?|oz|l|ml|h|hrs?|min|ms|sec|am|pm|mph|kmh|gb|mb"
    r"|kb|tb|hz|khz|mhz|ghz|kw|mw|v|w|ft|in|mi|yd)(?!\w)"
)


def apart_from_signs(text: str) -> str:
    """The text before it is normalised: 2½ is not 21/2, nor 10⁵ the number 105."""
    return re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞⁰¹²³⁴-⁹⅟])", " ", text)


def plain_digits(text: str) -> str:
    """With 0 to 9 for the digits of every script, and Han numerals as digits.

    >>> plain_digits("٤٢ and 二十五 and 3万")
    '42 and 25 and 30000'
    """
    if text.isascii():
        return text
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    text = re.sub(
        r"(?<=\d)٫(?=\d)", ".", re.sub(r"(?<=\d)[٬\u00a0\u2009\u202f](?=\d{3})", "", text)
    )
    text = re.sub(r"负(?=[\d一二三四五六七八九十])", "-", text)
    text = _SCALED.sub(_scaled, text)
    return _RUN.sub(lambda m: _han(m[0]), text)


def _scaled(match: re.Match[str]) -> str:
    value = Decimal(match[1])
    for c in match[2]:
        value *= {**_UNITS, **_SCALES}[c]
    return f"{value:f}".rstrip("0").rstrip(".") if value % 1 else f"{int(value)}"


def _han(run: str) -> str:
    """A number in Han numerals as digits; what is none stays."""
    if all(c in _DIGIT for c in run):
        return "".join(str(_DIGIT[c]) for c in run)
    if run[0] not in _DIGIT and run[0] != "十":
        return run  # 万岁, 千代
    whole = group = one = 0
    for c in run:
        if c in _DIGIT:
            one = 10 * one + _DIGIT[c] if one and c not in "〇零" else _DIGIT[c]
        elif c in _UNITS:
            group, one = group + (one or 1) * _UNITS[c], 0
        else:
            whole, group, one = (whole + group + one) * _SCALES[c], 0, 0
    return str(whole + group + one)


def one_form(text: str) -> str:
    """Groups of thousands joined, decimals with a point and without zeros behind, fractions as 1/2.

    >>> one_form("1,000 and 1.000.000 and 3,14 and 4.0 and 1e3 and one half and .5")
    '1000 and 1000000 and 3.14 and 4 and 1000 and 1/2 and 0.5'
    """
    if re.search(r"\d", text):
        text = re.sub(r"(?<!\S)[‐‑‒–](?=\d)", "-", text)
        text = re.sub(r"(?<=\d)\s*⁄\s*(?=\d)", "/", text)
        text = _GROUPED.sub(lambda m: re.sub(r"\D", "", m[0]), text)
        text = _COMMA.sub(r"\1.\2", text)
        text = re.sub(r"(?<![\w.])\.(?=\d)", "0.", text)
        text = _EXPONENT.sub(lambda m: f"{Decimal(m[1]).scaleb(int(m[2])):f}", text)
        text = _ZEROS.sub(lambda m: m[1] + (f".{m[2]}" if m[2] else ""), text)
    return _PIECES.sub(_piece, text)


def _piece(match: re.Match[str]) -> str:
    count = match[1] or match[3]
    part = (match[2] or match[4]).replace("halves", "half").removesuffix("s")
    if count == "a" and part != "half":
        return match[0]
    top = 1 if match[1] else int(count) if count.isdigit() else 2 + _COUNTS.index(count)
    return f"{top}/{2 + _PARTS.index(part.replace('fourth', 'quarter'))}"


def with_units_apart(text: str) -> str:
    """A unit that is written to its number stands by itself: "100km", "5 p.m."."""
    text = re.sub(r"(?<!\w)([ap])\.\s?m\.?(?!\w)", r"\1m", text)
    return _GLUED.sub(r"\1 \2", text)

"""Numbers in words, spelled here and read there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.scoring.number_words import as_digits

UNITS = ["", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
         "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
         "nineteen"]  # fmt: skip
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spelled(n: int, joint: str, hyphen: str) -> str:
    """As it is said; `joint` is "and" or nothing."""
    for value, word in ((10**9, "billion"), (10**6, "million"), (1000, "thousand")):
        if n >= value:
            rest = spelled(n % value, joint, hyphen) if n % value else ""
            with_and = joint if rest and n % value < 100 else ""
            return f"{spelled(n // value, joint, hyphen)} {word} {with_and} {rest}".strip()
    if n >= 100:
        rest = spelled(n % 100, joint, hyphen) if n % 100 else ""
        return f"{UNITS[n // 100]} hundred {joint if rest else ''} {rest}".strip()
    return UNITS[n] if n < 20 else f"{TENS[n // 10]}{hyphen}{UNITS[n % 10]}".strip(" -")


@given(st.one_of(st.integers(1, 10**12 - 1), st.integers(1, 5000)),
       st.sampled_from(["", "and"]), st.sampled_from([" ", "-"]))  # fmt: skip
def test_every_number_is_read_as_it_is_said(n: int, joint: str, hyphen: str) -> None:
    assert as_digits(f"it is {spelled(n, joint, hyphen)}.") == f"it is {n}."
    assert as_digits(f"{n:,}") == str(n)


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("one, two and three", "1, 2 and 3"),
        ("one two three", "1 2 3"),
        ("twenty, five", "20, 5"),
        ("one thousand, two hundred", "1200"),
        ("one thousand, two thousand", "1000, 2000"),
        ("a hundred", "100"),
        ("hundred", "100"),
        ("a dog", "a dog"),
        ("twenty twenty-four", "2024"),
        ("nineteen fifteen", "1915"),
        ("nineteen hundred", "1900"),
        ("the twenty-third of may", "the 23rd of may"),
        ("2.5 million", "2500000"),
        ("5 of a million", "5 of 1000000"),
        ("hundreds, someone, tone, one's", "hundreds, someone, tone, one's"),
        ("four.five", "4 . 5"),
        ("12,34 and 1,2345 and 0.1,000", "12,34 and 1,2345 and 0.1,000"),
        ("-1,000", "-1000"),
    ],
)
def test_numbers_in_words(said: str, digits: str) -> None:
    assert as_digits(said) == digits

from __future__ import annotations

import io
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.ui.widgets import NO_VALUE, Download, number, p_value, plain, readable, seconds

MARKUP = [
    "<b>", "</s>", "$x$", "![](http://h/x.png)", ":red[x]", ":material/home:", "**x**", "`x`",
    "[a](http://b)", "http://a.b", "www.a.b", "a@b.c", "->", "--", ">=", "# x", "- x", "1. x",
    "a_b_c", "~~x~~", "&lt;", "\\", ":smile:",
]  # fmt: skip


def shown(text: str) -> str:
    """What Markdown leaves of an escaped text: backslash escapes undone, joiners invisible."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text).replace("\u2060", "")


@pytest.mark.parametrize("text", MARKUP)
def test_markup_is_escaped_everywhere(text: str) -> None:
    escaped = plain(text)
    assert shown(escaped) == text
    assert not re.search(r"(?<!\\)[<>*_`$\[\]()#~&:|!-]", escaped)
    assert ":material" not in escaped.replace("\\", "")
    assert "http://" not in escaped.replace("\\", "")
    assert not re.search(r"www\.", escaped.replace("\\", ""))


def test_names_cannot_turn_what_stands_behind_them() -> None:
    assert shown(plain("a\u202evaw.exe: ready")) == "a‹202E›vaw.exe: ready"
    table = pd.DataFrame({"n": [1.5, 2.0], "name": ["a\u202eb", None], "kind": ["x", "y\u2067"]})
    table["kind"] = table["kind"].astype("category")
    made = readable(table)
    assert made["name"][0] == "a‹202E›b"
    assert pd.isna(made["name"][1])
    assert made["kind"].tolist() == ["x", "y‹2067›"]
    assert made["n"].tolist() == [1.5, 2.0]
    assert made.columns.tolist() == table.columns.tolist()
    assert table["name"][0] == "a\u202eb", "the caller's table is as it was"


def test_p_values_are_never_nought() -> None:
    assert [p_value(v) for v in (0.0271, 3.2e-9, 1.0)] == ["0.027", "3.2e-09", "1"]
    assert p_value(None) == p_value(float("nan")) == NO_VALUE


@given(st.text())
def test_words_survive(text: str) -> None:
    assert shown(plain(text)) == " ".join(text.split()).replace("\u2060", "")


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.12345, 3, "0.123"),
        (-0.5, 3, "−0.500"),
        (123.456, 3, "123.5"),
        (12345.6, 3, "12,346"),
        (float("nan"), 3, NO_VALUE),
        (None, 3, NO_VALUE),
        (float("inf"), 3, NO_VALUE),
    ],
)
def test_numbers(value: float | None, digits: int, expected: str) -> None:
    assert number(value, digits) == expected


def test_seconds() -> None:
    assert seconds(1.2345) == "1.23 s"


def test_a_csv_gives_the_data_back() -> None:
    words = ["=1+1", "+1", "-1", "@a", "\tb", "\rc", 'a "b", c', "d\ne", "</s>", "é"]
    frame = pd.DataFrame({"piece": words, "value": [n / 3 for n in range(len(words))]})
    file = Download.table("Tokens", "tokens", lambda: frame)
    assert (file.label, file.file) == ("Tokens (CSV)", "tokens.csv")
    again = pd.read_csv(
        io.BytesIO(file.make()), keep_default_na=False, float_precision="round_trip"
    )
    assert again["piece"].tolist() == words
    assert again["value"].tolist() == frame["value"].tolist()

"""Tokens in figures: nothing vanishes, nothing is invisible."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.figures.text import plain, shorten, visible

NASTY = ["<s>", "</s>", "<b>", "<br>", "$x$", "<a href='http://x'>", "&amp;", "&", '"', "<|audio|>"]


@pytest.mark.parametrize("token", NASTY)
def test_plain_leaves_plotly_no_markup_and_loses_nothing(token):
    safe = plain(token)
    assert not set("<>$") & set(safe)
    assert html.unescape(safe) == token


@given(st.text())
def test_plain_can_be_read_back(text):
    assert html.unescape(plain(text)) == html.unescape(html.escape(text))
    assert not set("<>$") & set(plain(text))


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" hello", "hello"),
        ("hello", "hello"),
        ("\n", "⏎"),
        (" \n", "⏎"),
        ("\t", "⇥"),
        (" ", "␣"),
        ("  ", "␣␣"),
        ("  x", "␣x"),
        ("x ", "x␣"),
        ("a b", "a b"),
        ("", "∅"),
        ("\u200b", "‹200B›"),
        ("\x07", "‹0007›"),
        ("\u202e", "‹202E›"),
        ("<s>", "<s>"),
        ("$", "$"),
    ],
)
def test_visible(token, shown):
    assert visible(token) == shown


@given(st.text())
def test_visible_always_shows_something_printable(text):
    shown = visible(text)
    assert shown
    assert not any(c in "\n\r\t\x00" for c in shown)
    assert shown == shown.strip(" ")


@given(st.text(), st.integers(2, 30))
def test_shorten_keeps_to_the_limit(text, limit):
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short == text or short.endswith("…")

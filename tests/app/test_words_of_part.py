"""Trimming the clip on the Clip page offers to trim its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from modgap.core.errors import ModgapError
from tests.app.conftest import finish, visit_of

SAID = "What is two plus three?"


@pytest.fixture
def trimmed(analysed: AppTest) -> AppTest:
    """The first example (1.2 s, five words of the same length), its first half chosen."""
    at = analysed
    assert not offered(at)
    at.slider(key="trim").set_value((0.0, 0.5)).run()
    assert not at.exception
    return at


def offered(at: AppTest) -> bool:
    return any("The transcript was given for 0.00 to 1.20 s" in c.value for c in at.caption)


def test_the_words_are_cut_by_their_times(trimmed: AppTest) -> None:
    at = trimmed
    assert offered(at)
    assert at.text_area(key="transcript").value == SAID
    finish(at.button(key="cut_words").click().run())
    at.run()
    assert at.text_area(key="transcript").value == "What is"  # 0.24 s a word
    assert not offered(at)
    finish(at.button(key="analyse").click().run())
    assert not at.error
    # Back to the whole: these words are those of a part, and cannot be cut to a wider one.
    at.slider(key="trim").set_value((0.0, 1.2)).run()
    assert any("given for 0.00 to 0.50 s" in c.value for c in at.caption)
    assert "cut_words" not in [b.key for b in at.button]


def test_words_that_were_typed_for_the_part_are_left_alone(trimmed: AppTest) -> None:
    at = trimmed
    at.text_area(key="transcript").set_value("What is").run()
    assert not offered(at)
    at.slider(key="trim").set_value((0.0, 0.6)).run()
    at.button(key="words_fit").click().run()
    assert "words_fit" not in [b.key for b in at.button]


def test_words_that_cannot_be_found_are_typed(
    trimmed: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise ModgapError("The words are not those of the clip.")

    monkeypatch.setattr("modgap.speech.word_times.word_times", lost)
    at = trimmed
    at.button(key="cut_words").click().run()
    finish(at)
    at.run()
    assert "Type those of this part" in visit_of(at).notice
    assert at.text_area(key="transcript").value == SAID
    assert offered(at)


def test_another_clip_has_its_own_words(trimmed: AppTest, open_app: Callable[..., AppTest]) -> None:
    at = trimmed
    at.button(key="use_ex2").click().run()
    finish(at)
    assert "words_fit" not in [b.key for b in at.button]

"""The draft of a transcript: by a click, marked until it is edited or accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from modgap.analysis.heard import recognized
from modgap.audio.clip import load_clip
from modgap.speech.base import EMBEDDED
from modgap.speech.recognizers import load_recognizer
from modgap.ui.server.clip_requests import DraftRequest
from modgap.ui.server.service import service
from tests.app.conftest import finish, visit_of
from tests.app.test_pages import address, press, tone, upload

Open = Callable[..., AppTest]
DATA = tone(1.5)
MARK = "A draft by"


def marks(at: AppTest) -> list[str]:
    """Where the page says that nobody has checked the words."""
    shown = [*at.caption, *at.markdown]
    return [m.value for m in shown if "unchecked" in m.value]


@pytest.fixture
def drafted(ears_here: Path, open_app: Open) -> AppTest:
    """An upload with its draft, and what the recogniser itself writes."""
    at = upload(open_app(), "own.wav", DATA)
    assert not marks(at)
    return finish(press(at, "Draft it"))


def test_nothing_is_drafted_unasked(open_app: Open) -> None:
    at = upload(open_app(), "own.wav", DATA)
    assert at.text_area(key="transcript").value == ""
    assert not visit_of(at).jobs
    assert "Draft it" in [b.label for b in at.button]


def test_a_draft_is_what_the_recogniser_writes_and_is_marked(drafted: AppTest) -> None:
    at = drafted
    words = recognized(load_recognizer(), load_clip(DATA, name="own.wav"))
    assert words
    assert at.text_area(key="transcript").value == words[:4000]
    assert len(marks(at)) == 2, "below the transcript and in the sidebar"
    finish(press(at, "Analyse"))
    assert len(marks(at)) == 3, "and at the result"
    press(at, "Accept the draft")
    assert marks(at) == []
    assert at.text_area(key="transcript").value == words[:4000]


def test_an_edit_ends_the_draft(drafted: AppTest) -> None:
    at = drafted
    at.text_area(key="transcript").set_value("What is two plus three?").run()
    assert marks(at) == []
    assert "Draft it" not in [b.label for b in at.button], "there are words"


def test_another_clip_has_no_draft(drafted: AppTest) -> None:
    at = upload(drafted, "other.wav", tone(1.1))
    assert at.text_area(key="transcript").value == ""
    assert marks(at) == []


def test_a_link_says_that_the_words_are_a_draft(drafted: AppTest, open_app: Open) -> None:
    at = finish(press(drafted, "Analyse"))
    assert address(at)["draft"] == [EMBEDDED]
    again = open_app(**address(at))
    assert len(marks(again)) == 3
    press(again, "Accept the draft")
    assert "draft" not in address(again)


class Slow:
    """A recogniser that waits until it may go on."""

    name, identity = EMBEDDED, "slow"

    def __init__(self, said: str | Exception) -> None:
        import threading

        self.go, self.said = threading.Event(), said

    def transcribe(self, clip: Any, progress: Any = None) -> str:
        while not self.go.wait(0.01):
            progress(0.5, "heard 3 tokens")
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def slow(shared: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Slow]:
    def make(said: Any) -> Slow:
        ears = Slow(said)
        monkeypatch.setattr(service().recognizers, "get", lambda *_: ears)
        return ears

    return make


def test_words_that_are_typed_meanwhile_stay(slow: Any, open_app: Open) -> None:
    at = upload(open_app(), "own.wav", DATA)
    ears = slow("what was heard")
    press(at, "Draft it")
    assert any("is listening" in c.value for c in at.caption)
    assert visit_of(at).jobs
    at.text_area(key="transcript").set_value("what was said").run()
    ears.go.set()
    finish(at)
    assert at.text_area(key="transcript").value == "what was said"
    assert marks(at) == []


def test_a_draft_is_of_the_part_that_is_chosen(slow: Any, open_app: Open) -> None:
    at = upload(open_app(), "own.wav", DATA)
    at.slider(key="trim").set_value((0.2, 1.0)).run()
    slow("a part").go.set()
    finish(press(at, "Draft it"))
    part = load_clip(DATA, name="own.wav").trim(0.2, 1.0)
    assert service().found(DraftRequest(part, EMBEDDED)) == "a part"
    assert visit_of(at).words_of == ("a part", (0.2, 1.0))
    assert not any("was given for" in c.value for c in at.caption)


@pytest.mark.parametrize(
    ("said", "notice"),
    [("  ", "heard no words"), (ValueError("x"), "No draft of the transcript: Something")],
)
def test_no_words_or_a_failure_is_said(slow: Any, open_app: Open, said: Any, notice: str) -> None:
    at = upload(open_app(), "own.wav", DATA)
    slow(said).go.set()
    finish(press(at, "Draft it"))
    assert [notice in i.value.replace("\\", "").replace("\u2060", "") for i in at.info] == [True]
    assert at.text_area(key="transcript").value == ""
    assert marks(at) == []
    assert "Draft it" in [b.label for b in at.button]

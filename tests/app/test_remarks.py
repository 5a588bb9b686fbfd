"""What is said beside a page: that something was cancelled, once; that results are not kept."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from streamlit.testing.v1 import AppTest

from modgap.core.folders import not_written
from modgap.ui.server.service import service
from modgap.ui.session import asking
from modgap.ui.session.state import Visit


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Visit:
    """A session that waits for two jobs, which it cancels."""
    made = Visit()
    made.jobs.main = {"one": True, "two": False}
    keys = {"one": "a", "two": "b"}
    jobs = SimpleNamespace(
        get=lambda id, session: SimpleNamespace(key=keys[id], active=True),
        cancel=lambda id, session: None,
    )
    monkeypatch.setattr(asking, "visit", lambda: made)
    monkeypatch.setattr(asking, "session_id", lambda: "s")
    monkeypatch.setattr(asking, "service", lambda: SimpleNamespace(jobs=jobs))
    asking.cancel()
    return made


def test_the_panel_says_it_where_no_page_does(here: Visit) -> None:
    assert here.notice == asking.CANCELLED
    assert not here.jobs
    assert asking.failed("another") is None
    assert here.notice == asking.CANCELLED


def test_a_page_that_says_it_silences_the_panel(here: Visit) -> None:
    for _ in range(2):
        assert asking.failure(cast(Any, SimpleNamespace(signature="b"))) == asking.CANCELLED
        assert here.notice == ""


def test_other_remarks_stay(here: Visit) -> None:
    here.notice = "The result of this link is not here."
    assert asking.failed("a") == asking.CANCELLED
    assert here.notice


def test_a_full_disk_is_told_in_the_sidebar(open_app: Callable[..., AppTest]) -> None:
    at = open_app()
    assert not at.sidebar.warning
    store = service().store
    store.problem = not_written(store.root, OSError(28, "No space left on device"))
    at.run()
    (said,) = at.sidebar.warning
    assert "Results are not kept" in said.value
    assert "free some space" in said.value.replace("\\", "").replace("\u2060", "")
    assert str(store.root.parent) not in said.value.replace("\\", ""), "no path of the server"
    store.problem = ""
    at.run()
    assert not at.sidebar.warning

"""The recogniser's files are fetched in the job that needs them, or a sentence says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from modgap.models.bases import first_use, local
from modgap.ui.server.jobs import _Job
from tests.app.conftest import finish, go, visit_of
from tests.app.test_hearing_pages import HEARD, real_example, shown  # noqa: F401
from tests.app.test_pages import press
from tests.models.bases.conftest import cache, releases, server  # noqa: F401

Open = Callable[..., AppTest]
WHISPER = "whisper-tiny.en"


def said(at: AppTest) -> list[str]:
    """Everything that the page says, without what `plain` adds."""
    texts = [*shown(at), *(e.value for e in at.error)]
    return [text.replace("\\", "").replace("\u2060", "") for text in texts]


@pytest.fixture
def bare(real_example: None) -> None:  # noqa: F811
    """Real speech, and no file of a base model on this machine."""
    shutil.rmtree(local.models_folder())


@pytest.mark.usefixtures("bare")
def test_the_pipelines_job_fetches_with_progress(
    shared: None,
    server: Any,  # noqa: F811
    open_app: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (first_use.OFFLINE, "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    told: list[tuple[str, float, str]] = []
    report = _Job.progress

    def progress(job: _Job, fraction: float, note: str = "") -> None:
        told.append((job.title, fraction, note))
        report(job, fraction, note)

    monkeypatch.setattr(_Job, "progress", progress)
    at = finish(press(open_app(), "Analyse"))
    assert any("On first use: Whisper tiny.en from the package index" in text for text in said(at))
    assert server.asked == [], "a page alone fetches nothing"
    finish(press(at, "Ask the pipeline"))
    assert any(HEARD in text for text in shown(at))
    assert local.find(WHISPER) is not None
    coming = [(title, f) for title, f, note in told if "fetching Whisper tiny.en" in note]
    assert len(coming) > 1
    assert all(title.startswith("Pipeline") for title, _ in coming)
    press(at, "Without the pipeline")
    assert not any("On first use" in text for text in said(at))


@pytest.mark.usefixtures("bare")
def test_without_files_and_network_a_sentence_says_what_to_do(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    assert not any("On first use" in text for text in said(at))
    finish(press(at, "Ask the pipeline"))
    assert any("run `modgap fetch`" in text for text in said(at))
    assert "Try again" in [b.label for b in at.button]
    assert visit_of(at).shown is not None
    for page in ("layers", "alignment"):
        go(at, page)
        assert not at.error, page


@pytest.fixture
def allowed(bare: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a network may be used."""
    for name in (first_use.OFFLINE, "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("allowed")
def test_word_boundaries_are_fetched_by_a_click(server: Any, open_app: Open) -> None:  # noqa: F811
    at = finish(press(open_app(), "Analyse"))
    finish(go(at, "alignment"))
    assert any("Word boundaries need a recogniser, which is not here yet" in t for t in said(at))
    go(at, "decided")
    finish(at)
    assert any("Aligned spans need a recogniser" in text for text in said(at))
    assert server.asked == [], "nothing is fetched unasked"
    go(at, "alignment")
    finish(press(at, "Fetch it"))
    assert local.find(WHISPER) is not None
    assert not any("need a recogniser" in text for text in said(at))
    finish(go(at, "decided"))
    assert not any("need a recogniser" in text for text in said(at)), "once a session"


@pytest.mark.usefixtures("allowed")
def test_a_link_fetches_nothing(server: Any, open_app: Open) -> None:  # noqa: F811
    at = finish(open_app(example="ex0", pipeline=WHISPER))
    assert "Ask the pipeline" in [b.label for b in at.button]
    assert server.asked == []

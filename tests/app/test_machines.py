"""What the app says of a model before it is loaded, and what it does when that goes wrong."""

from __future__ import annotations

import importlib.util
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from modgap.analysis.fidelity_report import check_model
from modgap.core.errors import ModelError
from modgap.models.loading.hardware import Machine
from modgap.models.loading.load import load_model
from modgap.models.loading.memory import estimate_memory
from modgap.store.cache import default_store
from modgap.ui import model_info
from modgap.ui.model_info import Estimates, estimates
from modgap.ui.server.jobs import Jobs
from modgap.ui.server.models import ModelChoice, ModelPool
from modgap.ui.server.requests import AnalysisRequest
from modgap.ui.server.service import Service, service
from tests.app.conftest import finish, visit_of
from tests.app.test_jobs import Steps, jobs, until, wait_done
from tests.app.test_pages import press
from tests.tiny import make_clip

__all__ = ["jobs"]

Open = Callable[..., AppTest]
HAS_BNB = importlib.util.find_spec("bitsandbytes") is not None


def known(at: AppTest, name: str) -> AppTest:
    """Run again once the estimate of a model has come, as the sidebar's own polling would."""
    until(lambda: estimates().get(ModelChoice(name)) is not None, 120)
    at.run()
    assert not at.exception
    return at


def said(at: AppTest) -> str:
    """Captions and warnings of the sidebar, as text without Markdown's escapes."""
    shown = [*at.sidebar.caption, *at.sidebar.warning]
    return "\n".join(s.value.replace("\\", "").replace("\u2060", "") for s in shown)


# ---- before loading -----------------------------------------------------------------------------


def test_the_sidebar_says_what_a_model_needs(open_app: Open, tiny_folder: Path) -> None:
    at = known(open_app(), str(tiny_folder))
    needed = estimate_memory(tiny_folder).fit(Machine.here()).sentence.partition(";")[0]
    assert needed in said(at)
    assert "are free" in said(at)
    assert not at.sidebar.warning
    assert not service().pool.loaded(), "nothing was loaded for it"


def test_the_sidebar_warns_of_a_model_that_does_not_fit(
    open_app: Open, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(1000)))
    at = known(open_app(), str(tiny_folder))
    (warning,) = at.sidebar.warning
    assert "The weights take" in said(at)
    assert str(tiny_folder) not in warning.value


def test_a_model_that_is_not_there_is_said_before_it_is_used(
    open_app: Open, tmp_path: Path
) -> None:
    at = open_app(model="missing")
    known(at, str(tmp_path / "missing"))
    assert "There is no folder missing" in said(at)
    assert str(tmp_path) not in said(at), "where it would lie is no visitor's business"


def test_what_failed_is_tried_again_after_a_while(
    shared: None, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = ModelChoice(str(tmp_path / "late"))
    found = Estimates()
    until(lambda: found.get(late) is not None, 120)
    assert found.get(late).error
    shutil.copytree(tiny_folder, late.name)
    assert found.get(late).error, "not at once"
    monkeypatch.setattr(model_info, "RETRY_SECONDS", 0.0)
    until(lambda: not found.get(late).error, 60)
    assert found.get(late).estimate.parameters == estimate_memory(tiny_folder).parameters
    found.close()


def test_a_report_in_the_cache_is_shown(open_app: Open, tiny_folder: Path) -> None:
    at = open_app()
    assert "Checked" not in said(at)
    report = check_model(tiny_folder, store=default_store(), device="cpu")
    finish(press(at, "Analyse"))
    assert report.passed
    assert report.sentence in said(at)
    (table,) = at.sidebar.table
    assert list(table.value["dtype"]) == [check.dtype for check in report.checks]
    assert list(table.value["result"]) == ["pass"] * len(report.checks)


def test_quantize_is_part_of_the_address(open_app: Open) -> None:
    at = open_app(quantize="8bit", device="spread")
    assert at.session_state["quantize"] == "8bit"
    assert at.session_state["device"] == "spread"
    assert ModelChoice("m", quantize="8bit", device="spread").options == {
        "dtype": "auto", "device": "auto", "device_map": "auto", "quantize": "8bit",
    }  # fmt: skip
    assert ModelChoice("m").options == {"dtype": "auto", "device": "auto"}


# ---- when it goes wrong -------------------------------------------------------------------------


@pytest.mark.skipif(HAS_BNB, reason="bitsandbytes is installed")
def test_what_cannot_be_held_so_is_held_as_before(open_app: Open) -> None:
    at = finish(press(open_app(), "Analyse"))
    first = visit_of(at).shown.key
    at.selectbox(key="quantize").set_value("8bit").run()
    finish(at)
    assert any("bitsandbytes" in e.value for e in at.error)
    assert at.session_state["quantize"] == "none"
    at.run()
    assert visit_of(at).shown.key == first
    assert not finish(press(at, "Analyse")).error


def loader_that_runs_out(name: str, **options: Any) -> Any:
    """The real loader, but for one model, which asks for more than there is."""
    if name.endswith("other"):
        torch.empty(1 << 60)
    return load_model(name, **options)


def test_no_memory_for_a_model_leaves_the_app_up(open_app: Open, tiny_folder: Path) -> None:
    at = open_app()
    service().pool = ModelPool(loader=loader_that_runs_out)
    finish(press(at, "Analyse"))
    first = visit_of(at).shown.key
    assert first
    at.selectbox(key="model").set_value("other").run()
    finish(at)
    assert at.error
    assert at.session_state["model"] == tiny_folder.name, "back to the one that works"
    assert [c.name for c in service().pool.loaded()] == [str(tiny_folder)]
    at.run()
    assert visit_of(at).shown.key == first
    at.selectbox(key="dtype").set_value("bfloat16").run()
    assert not finish(at).error, "the worker goes on"
    assert visit_of(at).shown.key != first


# ---- several sessions ---------------------------------------------------------------------------


def progress_text(at: AppTest) -> str:
    return "\n".join(bar.proto.text for bar in at.get("progress")).replace("\\", "")


def test_a_session_sees_that_anothers_model_is_loaded_and_used(
    open_app: Open, tiny_folder: Path
) -> None:
    at = open_app()
    began, go_on = threading.Event(), threading.Event()

    def slow(name: str, **options: Any) -> Any:
        began.set()
        assert go_on.wait(60)
        return load_model(name, **options)

    service().pool = ModelPool(loader=slow)
    using = Steps()

    def work(progress: Any) -> Any:
        service().pool.get(ModelChoice(str(tiny_folder)))
        return using(progress)

    other = service().jobs.submit("k", work, "other session", title="secret.wav", subject="big one")
    assert began.wait(60)
    press(at, "Analyse")
    text = progress_text(at)
    assert "another session's model, big one, is being loaded; 1 before this one" in text
    assert "secret" not in text, "another's clip is no visitor's business"
    go_on.set()
    assert using.began.wait(60)
    at.run()
    assert "another session's model, big one, is in use; 1 before this one" in progress_text(at)
    using.release.set()
    assert visit_of(finish(at)).shown.key
    assert service().jobs.get(other.id, "other session").state == "done"


def test_what_a_waiting_job_is_told(jobs: Jobs) -> None:
    work = Steps()
    first = jobs.submit("k", work, "a", title="t", subject="model A")
    assert work.began.wait(5)
    other = jobs.submit("x", lambda progress: 1, "b", subject="model B")
    own = jobs.submit("y", lambda progress: 1, "a", subject="model B")
    assert (other.behind, other.behind_own) == ("model A", False)
    assert (own.behind, own.behind_own) == ("model A", True)
    assert (jobs.get(first.id, "a").behind, jobs.get(other.id, "b").behind) == ("", "model A")
    work.release.set()
    wait_done(jobs, own.id)
    assert jobs.get(own.id, "a").behind == ""


# ---- one model at a time ------------------------------------------------------------------------


class Loader:
    """Models of so many float32 parameters as their name says."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, name: str, **options: Any) -> Any:
        self.calls.append(name)
        weights = [torch.zeros(int(name.split("-")[0]))]
        hf = SimpleNamespace(parameters=lambda: weights)
        return SimpleNamespace(hf=hf, info=lambda: {"name": name})


def test_what_the_config_tells_is_told_while_the_last_model_stays() -> None:
    def estimate(name: str, **options: Any) -> Any:
        raise ModelError(f"{name} is gated")

    loader = Loader()
    pool = ModelPool(1000, loader=loader, estimate=estimate)
    pool.get(ModelChoice("200-a"))  # the room is empty: loading is the check
    with pytest.raises(ModelError, match="gated"):
        pool.get(ModelChoice("200-b"))
    assert [c.name for c in pool.loaded()] == ["200-a"]
    assert loader.calls == ["200-a"]
    assert pool.loading() is None


def test_what_is_far_too_large_is_told_while_the_last_model_stays(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = estimate_memory(tiny_folder)
    pool = ModelPool(1000, loader=Loader(), estimate=lambda name, **options: found)
    pool.get(ModelChoice("200-a"))
    free = found.weights - 900  # with the 800 bytes that the model in memory gives back: too few
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(free)))
    with pytest.raises(ModelError, match=r"200-b does not fit\. The weights take"):
        pool.get(ModelChoice("200-b"))
    assert [c.name for c in pool.loaded()] == ["200-a"]
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(free + 100)))
    pool.get(ModelChoice("200-b"))
    assert [c.name for c in pool.loaded()] == ["200-b"]


def test_a_model_that_goes_is_let_go() -> None:
    gone: list[Any] = []
    pool = ModelPool(1000, loader=Loader())
    pool.on_drop(lambda model: gone.append(weakref.ref(model.hf.parameters()[0])))
    pool.get(ModelChoice("200-a"))
    assert pool.held() == 800
    pool.get(ModelChoice("200-b"))
    assert len(gone) == 1
    assert gone[0]() is None, "nothing holds on to it"
    assert pool.held() == 800


def test_kept_runs_go_with_their_model(
    shared: None, tiny_folder: Path, second_folder: Path
) -> None:
    made = Service(ModelPool(1000))
    models, requests = [], []
    for folder in (tiny_folder, second_folder):
        request = AnalysisRequest(ModelChoice(str(folder)), folder.name, make_clip(), "one two")
        with made.session(request, lambda *_: None) as session:
            session.patching(target="two")
        assert made._sessions.get(request.signature) is session
        requests.append(request)
        models.append(weakref.ref(session.model))
        del session
    assert made._sessions.get(requests[0].signature) is None
    assert made._sessions.get(requests[1].signature) is not None
    until(lambda: models[0]() is None)
    assert models[1]() is not None


def test_loading_is_seen_from_other_threads_and_one_waits_for_it() -> None:
    began, go_on = threading.Event(), threading.Event()
    make = Loader()

    def slow(name: str, **options: Any) -> Any:
        began.set()
        assert go_on.wait(30)
        return make(name, **options)

    pool = ModelPool(1000, loader=slow)
    found: list[Any] = []
    choice = ModelChoice("10-a")
    threads = [threading.Thread(target=lambda: found.append(pool.get(choice))) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert began.wait(30)
    assert pool.loading() == choice
    time.sleep(0.05)
    assert not found
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert found[0] is found[1]
    assert make.calls == ["10-a"]
    assert pool.loading() is None

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from modgap.core.errors import ModelError
from modgap.ui.server.jobs import BusyError, Jobs, Progress


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(max_waiting=4, per_session=3, keep=3, orphan_seconds=0.15, tick=0.02)
    yield made
    made.close()


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.005)


class Steps:
    """Work that runs until released, and counts how often it was started."""

    def __init__(self) -> None:
        self.starts, self.release, self.began = 0, threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> str:
        self.starts += 1
        self.began.set()
        while not self.release.wait(0.005):
            progress(0.5, "half way")
        return "result"


def wait_done(jobs: Jobs, job_id: str, session: str = "a") -> None:
    until(lambda: not jobs.get(job_id, session).active)


def test_job_runs_and_reports_progress(jobs: Jobs) -> None:
    work = Steps()
    job = jobs.submit("k", work, "a", title="clip")
    until(lambda: jobs.get(job.id, "a").note == "half way")
    view = jobs.get(job.id, "a")
    assert (view.state, view.fraction, view.title, view.ahead) == ("running", 0.5, "clip", 0)
    work.release.set()
    wait_done(jobs, job.id)
    view = jobs.get(job.id, "a")
    assert (view.state, view.result, view.fraction, view.error) == ("done", "result", 1.0, "")
    assert view.seconds > 0


def test_equal_jobs_run_once(jobs: Jobs) -> None:
    work, other = Steps(), Steps()
    first, second = jobs.submit("k", work, "a"), jobs.submit("k", other, "b")
    assert first.id == second.id == jobs.find("k").id
    work.release.set()
    wait_done(jobs, first.id)
    assert (work.starts, other.starts) == (1, 0)
    assert jobs.get(second.id, "b").result == "result"
    assert jobs.find("k") is None, "a finished job is not joined: its result is in the store"


def test_cancel_needs_every_session(jobs: Jobs) -> None:
    work = Steps()
    job = jobs.submit("k", work, "a")
    jobs.submit("k", work, "b")
    assert work.began.wait(5)
    jobs.cancel(job.id, "a")
    time.sleep(0.05)
    assert jobs.get(job.id, "b").state == "running"
    jobs.cancel(job.id, "a")  # twice is once
    assert jobs.get(job.id, "b").state == "running"
    jobs.cancel(job.id, "b")
    wait_done(jobs, job.id, "b")
    assert jobs.get(job.id, "b").state == "cancelled"


def test_polling_does_not_adopt_a_cancelled_job(jobs: Jobs) -> None:
    work = Steps()
    job = jobs.submit("k", work, "a")
    jobs.cancel(job.id, "a")
    until(lambda: jobs.get(job.id, "a").state == "cancelled")


def test_equal_job_after_cancel_starts_anew(jobs: Jobs) -> None:
    work, again = Steps(), Steps()
    job = jobs.submit("k", work, "a")
    assert work.began.wait(5)
    jobs.cancel(job.id, "a")
    second = jobs.submit("k", again, "a")
    assert second.id != job.id
    again.release.set()
    wait_done(jobs, second.id)
    assert jobs.get(second.id, "a").state == "done"


def test_queued_job_is_cancelled_without_running(jobs: Jobs) -> None:
    work, waiting = Steps(), Steps()
    jobs.submit("k", work, "a")
    assert work.began.wait(5)
    job = jobs.submit("w", waiting, "a")
    assert (job.state, job.ahead) == ("queued", 1)
    jobs.cancel(job.id, "a")
    assert jobs.get(job.id, "a").state == "cancelled"
    work.release.set()
    time.sleep(0.05)
    assert waiting.starts == 0


def test_closed_tab_stops_its_job(jobs: Jobs) -> None:
    work = Steps()
    job = jobs.submit("k", work, "a")  # never polled again: only "watcher", who owns nothing, looks
    until(lambda: jobs.get(job.id, "watcher").state == "cancelled")


def test_hidden_tab_keeps_its_job() -> None:
    here = {"a"}
    jobs = Jobs(orphan_seconds=0.05, tick=0.01, alive=lambda session: session in here)
    try:
        job = jobs.submit("k", Steps(), "a")
        time.sleep(0.2)
        assert jobs.get(job.id, "watcher").state == "running"
        here.clear()
        until(lambda: jobs.get(job.id, "watcher").state == "cancelled")
    finally:
        jobs.close()


def test_full_queue_and_full_share_are_refused(jobs: Jobs) -> None:
    blocker = Steps()
    jobs.submit("0", blocker, "a")
    assert blocker.began.wait(5)
    jobs.submit("1", Steps(), "a")
    jobs.submit("2", Steps(), "a")
    with pytest.raises(BusyError, match="3 analyses waiting"):
        jobs.submit("3", Steps(), "a")
    jobs.submit("2", Steps(), "b")  # joining takes no room
    jobs.submit("4", Steps(), "b")
    jobs.submit("5", Steps(), "c")
    with pytest.raises(BusyError, match="queue is full"):
        jobs.submit("6", Steps(), "d")


def test_sessions_take_turns(jobs: Jobs) -> None:
    order: list[str] = []
    blocker = Steps()
    ids = [jobs.submit("0", blocker, "a").id]
    assert blocker.began.wait(5)
    for key, session in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        ids.append(jobs.submit(key, lambda p, key=key: order.append(key), session).id)
    blocker.release.set()
    for job_id in ids:
        wait_done(jobs, job_id)
    assert order == ["b1", "a1", "a2"]


def raises(error: BaseException) -> Callable[[Progress], None]:
    def work(progress: Progress) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ModelError("No such model. Choose another."), "No such model. Choose another."),
        (KeyError("/secret/path"), "KeyError"),
        (MemoryError("12 GiB"), "Memory ran out"),
        (SystemExit("bye"), "SystemExit"),
    ],
)
def test_errors_are_shown_and_the_worker_lives_on(
    jobs: Jobs, error: BaseException, shown: str
) -> None:
    job = jobs.submit("bad", raises(error), "a")
    wait_done(jobs, job.id)
    view = jobs.get(job.id, "a")
    assert view.state == "failed"
    assert shown in view.error
    assert "secret" not in view.error
    assert "12 GiB" not in view.error
    good = jobs.submit("good", lambda progress: 42, "a")
    wait_done(jobs, good.id)
    assert jobs.get(good.id, "a").result == 42


def test_finished_jobs_are_forgotten_in_order(jobs: Jobs) -> None:
    ids = []
    for n in range(6):
        ids.append(jobs.submit(str(n), lambda progress: None, "a").id)
        wait_done(jobs, ids[-1])
    assert [jobs.get(i, "a") is not None for i in ids] == [False, False, True, True, True, True]


def test_progress_is_kept_in_range(jobs: Jobs) -> None:
    seen = []

    def work(progress: Progress) -> None:
        for value in (-1.0, 0.25, 7.0):
            progress(value, "x")
            seen.append(jobs.get(job_id[0], "a").fraction)

    job_id: list[str] = []
    gate = threading.Event()

    def gated(progress: Progress) -> None:
        gate.wait(5)
        work(progress)

    job_id.append(jobs.submit("k", gated, "a").id)
    gate.set()
    wait_done(jobs, job_id[0])
    assert seen == [0.0, 0.25, 1.0]


def test_close_stops_what_runs() -> None:
    jobs = Jobs()
    job = jobs.submit("k", Steps(), "a")
    jobs.close()
    assert jobs.get(job.id, "a").state == "cancelled"

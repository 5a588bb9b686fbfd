"""The one worker that owns the models: a queue of cancellable jobs that sessions share.

A model is not safe to call from two threads, and Streamlit starts a new script thread with every
click. So pages never call a model: they submit a job, poll its `JobView` and show the result that
the job left in the shared store. Equal jobs run once for all sessions that want them; a job nobody
waits for any more (cancelled, or its tabs closed) is stopped at its next progress call.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from modgap.core.errors import Cancelled, ModgapError
from modgap.core.progress import Progress

log = logging.getLogger("modgap.ui")

State = Literal["queued", "running", "done", "failed", "cancelled"]
Work = Callable[[Progress], Any]
"""Its `progress(fraction, note)` raises `Cancelled` when the job should stop."""

ACTIVE: tuple[State, ...] = ("queued", "running")
_SHOWN = ("id", "key", "title", "state", "fraction", "note", "result", "error")


class MakeWay(Exception):
    """Raised by a long job where it can be gone on with: what waits goes first, then it again."""


class BusyError(ModgapError):
    """The queue has no room for another job."""


@dataclass(frozen=True)
class JobView:
    """What a page sees of a job at one moment.

    Attributes
    ----------
    fraction : float
        Progress in [0, 1].
    ahead : int
        Jobs that run or wait before this one; 0 once it runs.
    result : object
        What the job returned; None until it is done.
    error : str
        A sentence that is safe to show; empty unless the job failed.
    seconds : float
        Time spent running.
    behind : str
        What the running job works with (`subject`), while this one waits; it may be another
        session's, so it is never that job's title.
    behind_own : bool
        Whether that job is also this session's.
    """

    id: str
    key: str
    title: str
    state: State
    fraction: float
    note: str
    ahead: int
    result: Any
    error: str
    seconds: float
    behind: str = ""
    behind_own: bool = False

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


@dataclass(eq=False)
class _Job:
    key: str
    work: Work
    title: str
    number: int
    subject: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: State = "queued"
    fraction: float = 0.0
    note: str = ""
    result: Any = None
    error: str = ""
    began: float = 0.0
    ended: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)
    seen: dict[str, float] = field(default_factory=dict)  # session -> time of its last poll

    def progress(self, fraction: float, note: str = "") -> None:
        """Called from the worker, inside forward hooks too: the point where a job can stop."""
        if self.stop.is_set():
            raise Cancelled
        self.fraction, self.note = min(1.0, max(0.0, float(fraction))), str(note)


class Jobs:
    """A queue with one worker thread and a reaper for jobs whose sessions are gone.

    Parameters
    ----------
    max_waiting : int
        Jobs that may wait at once; above it `submit` raises `BusyError`.
    per_session : int
        Jobs that one session may have waiting or running.
    keep : int
        Finished jobs whose outcome stays readable.
    orphan_seconds : float
        A session that has not polled for this long, and is not `alive`, has left.
    alive : callable, optional
        `alive(session) -> bool`; a hidden tab polls rarely but is still there.
    tick : float
        Seconds between two looks of the reaper.
    """

    def __init__(
        self,
        *,
        max_waiting: int = 32,
        per_session: int = 16,
        keep: int = 64,
        orphan_seconds: float = 15.0,
        alive: Callable[[str], bool] | None = None,
        tick: float = 1.0,
    ) -> None:
        self._max_waiting, self._per_session, self._keep = max_waiting, per_session, keep
        self._orphan_seconds, self._tick = orphan_seconds, tick
        self._alive = alive or (lambda session: False)
        self._jobs: dict[str, _Job] = {}
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._numbers = itertools.count(1)
        self._served: dict[str, int] = {}  # session -> number of its last started job
        self._threads = [
            threading.Thread(target=target, name=f"modgap-{name}", daemon=True)
            for name, target in (("worker", self._run), ("reaper", self._reap))
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, key: str, work: Work, session: str, *, title: str = "", subject: str = ""
    ) -> JobView:
        """Queue `work`, or join the job of the same `key` that waits or runs already.

        `title` is shown to those who asked for it, `subject` to everyone who waits behind it.

        Raises
        ------
        BusyError
            When the queue or the session's share of it is full.
        """
        with self._changed:
            # Looked up and queued under one lock: of two clicks at once, one joins the other.
            job = self._active(key)
            if job is None:
                waiting = [j for j in self._jobs.values() if j.state == "queued"]
                mine = [j for j in self._jobs.values() if j.state in ACTIVE and session in j.seen]
                if len(waiting) >= self._max_waiting:
                    raise BusyError("The server is busy: its queue is full. Try again in a minute.")
                if len(mine) >= self._per_session:
                    raise BusyError(
                        f"You have {len(mine)} analyses waiting already. "
                        "Let them finish or cancel them first."
                    )
                job = _Job(key, work, title, next(self._numbers), subject)
                self._jobs[job.id] = job
                self._forget()
                self._changed.notify_all()
            job.seen[session] = time.monotonic()
            return self._view(job, session)

    def get(self, job_id: str, session: str) -> JobView | None:
        """The job as it stands; tells the reaper that `session` still waits for it."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job and session in job.seen:  # polling must not adopt a job that it cancelled
                job.seen[session] = time.monotonic()
            return self._view(job, session) if job else None

    def find(self, key: str) -> JobView | None:
        """The job with this key that waits or runs, if there is one."""
        with self._changed:
            job = self._active(key)
            return self._view(job) if job else None

    def crowded(self) -> bool:
        """Whether jobs wait."""
        with self._changed:
            return any(job.state == "queued" for job in self._jobs.values())

    def cancel(self, job_id: str, session: str) -> None:
        """`session` no longer wants the job; it stops when no other session does."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job and job.seen.pop(session, None) is not None and not job.seen:
                self._stop(job)

    def close(self) -> None:
        """Stop the worker and the reaper, and every job with them."""
        with self._changed:
            self._closed.set()
            for job in self._jobs.values():
                self._stop(job)
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=5.0)

    def _active(self, key: str) -> _Job | None:
        # One that was told to stop may run on for a while, but leaves nothing: who wants the same
        # now needs a job of their own.
        found = (j for j in self._jobs.values() if j.key == key and j.state in ACTIVE)
        return next((j for j in found if not j.stop.is_set()), None)

    def _stop(self, job: _Job) -> None:
        # A running job's state is the worker's to set, when it is out of the model.
        job.stop.set()
        job.state = "cancelled" if job.state == "queued" else job.state

    def _view(self, job: _Job, session: str = "") -> JobView:
        others = self._jobs.values() if job.state == "queued" else ()
        running = next((j for j in others if j.state == "running"), None)
        before = [j for j in others if j.state == "queued" and j.number < job.number]
        shown: dict[str, Any] = {name: getattr(job, name) for name in _SHOWN}
        return JobView(
            **shown,
            ahead=len(before) + (running is not None),
            seconds=(job.ended or time.monotonic()) - job.began if job.began else 0.0,
            behind=running.subject if running else "",
            behind_own=running is not None and session in running.seen,
        )

    def _forget(self) -> None:
        finished = [j.id for j in self._jobs.values() if j.state not in ACTIVE]
        for job_id in finished[: max(0, len(finished) - self._keep)]:
            del self._jobs[job_id]
        present = {session for job in self._jobs.values() for session in job.seen}
        self._served = {s: n for s, n in self._served.items() if s in present}

    def _next(self) -> _Job | None:
        """The oldest job of the session that was served longest ago, so that nobody starves."""

        def turn(job: _Job) -> tuple[int, int]:
            return min((self._served.get(s, 0) for s in job.seen), default=0), job.number

        waiting = (j for j in self._jobs.values() if j.state == "queued")
        return min(waiting, key=turn, default=None)

    def _run(self) -> None:
        while not self._closed.is_set():
            with self._changed:
                job = self._next()
                if job is None:
                    self._changed.wait(timeout=1.0)
                    continue
                job.state, job.began = "running", job.began or time.monotonic()
                self._served.update(dict.fromkeys(job.seen, job.number))
            self._execute(job)

    def _execute(self, job: _Job) -> None:
        state: State = "failed"
        try:
            job.progress(0.0, "Starting")
            job.result, state, job.fraction = job.work(job.progress), "done", 1.0
        except Cancelled:
            state = "cancelled"
        except MakeWay:
            with self._changed:
                job.state, job.number = "queued", next(self._numbers)
                if job.stop.is_set():  # nobody was told meanwhile
                    job.state = "cancelled"
            return
        except ModgapError as error:
            log.info("job %s: %s", job.id, error)
            job.error = str(error)
        except BaseException as error:  # the worker must outlive whatever a model throws
            log.exception("job %s failed", job.id)
            job.error = _describe(error)
        # Last: whoever sees that a job is done sees its result.
        with self._changed:
            job.state, job.ended = state, time.monotonic()

    def _reap(self) -> None:
        while not self._closed.wait(self._tick):
            with self._changed:
                self._drop_absent(time.monotonic() - self._orphan_seconds)

    def _drop_absent(self, limit: float) -> None:
        for job in self._jobs.values():
            if job.state not in ACTIVE or job.stop.is_set():
                continue
            silent = [session for session, last in job.seen.items() if last < limit]
            for session in (s for s in silent if not self._alive(s)):
                del job.seen[session]
            if not job.seen:
                log.info("job %s: nobody waits for it any more", job.id)
                self._stop(job)


def _describe(error: BaseException) -> str:
    """A sentence for the user about an error that modgap did not foresee; no paths, no values."""
    name = type(error).__name__
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return "Memory ran out. Choose a shorter clip, a smaller model or a 16-bit dtype."
    return f"Something unexpected went wrong ({name}). The server's log has the details."

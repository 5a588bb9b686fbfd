"""What this browser session asks the worker for: results at hand, or jobs that make them."""

from __future__ import annotations

import time
from typing import Any

from modgap.ui.server.jobs import BusyError, JobView
from modgap.ui.server.requests import Request
from modgap.ui.server.service import service
from modgap.ui.session.state import Visit, session_id, visit

PATIENCE = 0.6  # seconds that a script run waits for a fast model's answer
MAX_FAILED = 64
CANCELLED = "Cancelled."


def ask(request: Request, *, main: bool = False) -> Any | None:
    """The result if it is here, or comes at once; else None while a job makes it.

    Of a live kind, what this session asked for before and no longer wants is cancelled, and a run
    waits a moment. What has failed is not tried again by itself (`failure`).

    Parameters
    ----------
    request : Request
    main : bool
        The result becomes the one on display.

    Raises
    ------
    BusyError
        The queue is full; of a live kind it is a failure like others.
    """
    here, server = visit(), service()
    found = server.found(request)
    if found is not None:
        _leave(here, request)
        return found
    if request.signature in here.failed:
        return None
    running = server.jobs.find(request.signature)
    if running is None or here.jobs.live.get(request.kind) != running.id:
        _leave(here, request)
    try:
        # Streamlit may end a run wherever it touches the session's state: not between these two.
        job = server.submit(request, session_id())
    except BusyError as problem:
        if not request.live:
            raise
        _remember_failure(here, request.signature, str(problem))
        return None
    here.jobs.main[job.id] = main or here.jobs.main.get(job.id, False)
    return _wait(here, request, job.id) if request.live else None


def _wait(here: Visit, request: Request, job_id: str) -> Any | None:
    here.jobs.live[request.kind] = job_id
    jobs, end = service().jobs, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        view = jobs.get(job_id, session_id())
        if view is None or not view.active or service().found(request) is not None:
            break
        visit()  # where a run is ended for a click: nobody waits for what it asks for anew
        time.sleep(0.005)
    view, found = jobs.get(job_id, session_id()), service().found(request)
    if view is not None and view.state == "failed":
        _remember_failure(here, request.signature, view.error)
    if found is not None or request.signature in here.failed:
        here.jobs.main.pop(job_id, None)
    # Otherwise the panel follows it, even if it has ended by now.
    return found


def _leave(here: Visit, request: Request) -> None:
    job_id = here.jobs.live.pop(request.kind, None) if request.live else None
    if job_id is not None:
        service().jobs.cancel(job_id, session_id())
        here.jobs.main.pop(job_id, None)


def failure(request: Request) -> str | None:
    """Why there is no result, if it was tried; for a page that says it in the result's place."""
    return failed(request.signature)


def failed(signature: str) -> str | None:
    """The same by a request's signature."""
    here = visit()
    reason = here.failed.get(signature)
    if reason == CANCELLED == here.notice:
        here.notice = ""  # it is said once: where the result would be
    return reason


def forget_failure(*requests: Request) -> None:
    """Try again."""
    for request in requests:
        visit().failed.pop(request.signature, None)


def _remember_failure(here: Visit, signature: str, reason: str) -> None:
    """So that a page does not ask for it again by itself."""
    here.failed[signature] = reason
    while len(here.failed) > MAX_FAILED:
        del here.failed[next(iter(here.failed))]


def ended() -> list[tuple[JobView, bool]]:
    """What has ended since the last run, and whether its result is to be the one on display."""
    here, found = visit(), []
    for job_id, main in list(here.jobs.main.items()):
        job = service().jobs.get(job_id, session_id())
        if job is not None and job.active:
            continue
        del here.jobs.main[job_id]
        if job is not None:
            if job.state == "failed":
                _remember_failure(here, job.key, job.error)
            found.append((job, main))
    return found


def active() -> list[JobView]:
    """This session's jobs that wait or run; polls them, which keeps them alive."""
    views = [service().jobs.get(job_id, session_id()) for job_id in visit().jobs.main]
    return [view for view in views if view is not None and view.active]


def cancel(*, main_only: bool = False) -> None:
    """This session no longer wants its jobs."""
    here = visit()
    for job_id, main in list(here.jobs.main.items()):
        if main or not main_only:
            job = service().jobs.get(job_id, session_id())
            service().jobs.cancel(job_id, session_id())
            del here.jobs.main[job_id]
            if job is not None:
                _remember_failure(here, job.key, CANCELLED)
    if not main_only:
        here.notice = CANCELLED  # for the panel, unless the page has a place to say it

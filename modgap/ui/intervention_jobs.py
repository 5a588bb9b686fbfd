"""Interventions of a session: asked for as jobs, kept for all, waited for only a moment."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import streamlit as st

from modgap.core.errors import ModgapError
from modgap.core.progress import Progress
from modgap.interventions.intervention import Stack
from modgap.ui import widgets
from modgap.ui.server.preload import import_heavy
from modgap.ui.server.service import Request, service
from modgap.ui.server.shared_cache import Shelf
from modgap.ui.session import state

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis
    from modgap.analysis.session import Session
    from modgap.core.settings import AnalysisSettings
    from modgap.models.base import SpeechLM

S = st.session_state
PATIENCE = 0.6  # seconds that a script run waits for a fast model's answer
PREFILL_BYTES = 1 << 30
LONGEST = 48


@dataclass(frozen=True)
class EditRequest:
    """Something that is asked of the kept runs of a clip.

    kind : "compare", "patching", "sweep" or "lens"
    stack : the interventions, for "compare"
    options : JSON of further settings
    """

    request: Request
    kind: str
    stack: Stack = ()
    options: str = "{}"

    @property
    def signature(self) -> str:
        """Equal for equal requests."""
        stack = [it.to_dict() for it in self.stack]
        parts = [self.kind, self.request.signature, stack, self.options]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Kept:
    """Results, and sessions with their plain runs, that all browser sessions share."""

    def __init__(self) -> None:
        self.results: Shelf[str, Any] = Shelf(512)
        self.sessions: Shelf[str, Session] = Shelf(PREFILL_BYTES, lambda s: s.nbytes)
        service().pool.on_drop(self.forget)

    def session(self, request: Request) -> Session:
        """The session of a request, in the worker; its model is loaded if it is not."""
        from modgap.analysis.session import Session
        from modgap.store.cache import default_store

        model = service().pool.get(request.choice)
        found = self.sessions.get(request.signature)
        if found is None or found.model is not model:
            found = Session(
                model, request.clip, request.transcript, settings_of(request), store=default_store()
            )
        return found

    def forget(self, model: SpeechLM) -> None:
        """Let go of the sessions of a model that leaves the memory."""
        self.sessions.drop(lambda session: session.model is model)


@st.cache_resource(show_spinner=False)
def kept() -> Kept:
    """What this server process keeps."""
    return Kept()


def opened(purpose: str, *, key: str) -> tuple[Analysis, Request] | None:
    """What the page is about, or None after a word on why there is nothing yet."""
    analysis = state.shown()
    if analysis is None:
        if not S.get("jobs"):
            widgets.empty(
                f"**Nothing to {purpose} yet.** Load an example here, or analyse a clip of your "
                "own on the Clip page.",
                key=key,
            )
        return None
    # In this order: a part of the clip that cannot be used has no request, but an exception.
    request = state.current_request() if state.is_current() else None
    if request is None:
        st.caption("The inputs have changed since this result: analyse again on the Clip page.")
        return None
    return analysis, request


class Wanted(Protocol):
    """Something that a job makes: equal requests have equal signatures."""

    @property
    def signature(self) -> str: ...

    @property
    def kind(self) -> str: ...


def ask(
    wanted: Wanted, title: str, make: Callable[[Any, Progress], Any] | None = None
) -> Any | None:
    """The result if it is there or comes at once, else None while a job makes it.

    What this session asked for before and no longer wants is cancelled. `make` is called in the
    worker with `wanted` and makes the result; without it, `wanted` is an `EditRequest`.
    """
    found = kept().results.get(wanted.signature)
    if found is not None:
        _leave(wanted.kind)
        return found
    if wanted.signature in S.get("failed", {}):
        return None
    session, jobs = state.session_id(), service().jobs
    running = jobs.find(wanted.signature)
    if running is None or S.get("edit_jobs", {}).get(wanted.kind) != running.id:
        _leave(wanted.kind)
    # Streamlit may end a run wherever it touches the session's state, so both are at hand before
    # there is a job that they must know of.
    slots, waits = S.setdefault("edit_jobs", {}), S.setdefault("jobs", {})
    try:
        job = jobs.submit(
            wanted.signature,
            lambda progress: _work(wanted, make, progress),
            session,
            title=title,
            subject=getattr(getattr(wanted, "request", None), "label", ""),
        )
    except ModgapError as problem:  # the queue is full
        state.remember_failure(wanted.signature, str(problem))
        return None
    slots[wanted.kind], waits[job.id] = job.id, False
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        view = jobs.get(job.id, session)
        if view is None or not view.active or wanted.signature in kept().results:
            break
        S.get("page")  # where a run is ended for a click: nobody waits for what it asks for anew
        time.sleep(0.005)
    view, found = jobs.get(job.id, session), kept().results.get(wanted.signature)
    if view is not None and view.state == "failed":
        state.remember_failure(wanted.signature, view.error)
    if found is not None or wanted.signature in S.get("failed", {}):
        waits.pop(job.id, None)
    # Otherwise the panel follows it, even if it has ended by now.
    return found


def failure(wanted: Wanted) -> str | None:
    """Why there is no result, if it was tried."""
    return S.get("failed", {}).get(wanted.signature)


def forget_failure(wanted: Wanted) -> None:
    """Try again."""
    S.get("failed", {}).pop(wanted.signature, None)


def _leave(kind: str) -> None:
    job_id = S.get("edit_jobs", {}).pop(kind, None)
    if job_id is not None:
        service().jobs.cancel(job_id, state.session_id())
        S.get("jobs", {}).pop(job_id, None)


def _work(wanted: Any, make: Callable[[Any, Progress], Any] | None, progress: Progress) -> str:
    """In the worker: what is asked for, kept for all sessions."""
    request: Request | None = getattr(wanted, "request", None)
    import_heavy()  # before anything below resolves the same names beside another thread
    try:
        result = _made(wanted, progress) if make is None else make(wanted, progress)
    except ModgapError as problem:
        said = str(problem)
        if request is not None:
            said = said.replace(request.choice.name, request.label)
        raise type(problem)(said) from problem
    kept().results.put(wanted.signature, result)
    return str(wanted.signature)


def settings_of(request: Request) -> AnalysisSettings:
    """How the runs of a request are prompted and answered here."""
    from modgap.core.settings import AnalysisSettings

    markers: Any = request.markers
    return AnalysisSettings(
        instruction=request.instruction, markers=markers, max_new_tokens=LONGEST
    )


def _made(wanted: EditRequest, progress: Progress) -> Any:
    """What is asked of a clip, from its session: of the cache, or computed and kept."""
    from modgap.core.progress import Steps

    request, options = wanted.request, json.loads(wanted.options)
    progress(0.02, f"Loading the model {request.label}")
    session = kept().session(request)
    part = Steps(progress).part(0.05, 1.0, request.label)
    try:
        if wanted.kind == "compare":
            return session.compare(wanted.stack, progress=part)
        return getattr(session, wanted.kind)(progress=part, **options)
    finally:
        kept().sessions.put(request.signature, session)  # its runs count for the memory now

"""What this session waits for: a progress bar with Cancel, errors, and remarks."""

from __future__ import annotations

import streamlit as st

from modgap.ui.server.jobs import JobView
from modgap.ui.server.service import service
from modgap.ui.session import asking
from modgap.ui.session.state import visit
from modgap.ui.widgets import error, notice, plain

POLL_SECONDS = 0.4


def jobs_panel() -> None:
    """Draw the panel; while a job is active it polls, so call this last in the script."""
    here = visit()
    if here.error:
        error(here.error)
    elif here.notice:
        notice(here.notice)
    # Not those that are active by now: one may have ended while the page was drawn without it.
    before = len(here.jobs.main)

    @st.fragment(run_every=POLL_SECONDS if before else None)
    def panel() -> None:
        waiting = asking.active()
        if waiting:
            _progress(waiting)
        if len(waiting) != before:
            st.rerun()  # one has ended: a whole run takes it over and draws what became of it

    panel()


def _progress(waiting: list[JobView]) -> None:
    first = next((job for job in waiting if job.state == "running"), waiting[0])
    text = _why(first) if first.state == "queued" else first.note[:1].upper() + first.note[1:]
    title = plain(first.title) + (f", {len(waiting)} left" if len(waiting) > 1 else "")
    with st.container(horizontal=True, vertical_alignment="center", key="progress"):
        st.progress(first.fraction, text=f"{title}: {plain(text)}")
        st.button("Cancel", key="cancel", on_click=asking.cancel)


def _why(job: JobView) -> str:
    """What a job waits for: another session's model, or one's own other work."""
    ahead = f"{job.ahead} before this one"
    if job.behind_own or not job.behind:
        return f"Waiting: {ahead}"
    doing = "is being loaded" if service().pool.loading() is not None else "is in use"
    return f"Waiting: another session's model, {job.behind}, {doing}; {ahead}"

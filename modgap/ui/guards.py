"""What pages say instead of a view: nothing to show yet, inputs that have changed, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.analysis.examples import examples
from modgap.ui import widgets
from modgap.ui.session import asking, clip_in_use, result_shown
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis
    from modgap.ui.server.requests import AnalysisRequest, Request


def empty(message: str, *, key: str) -> None:
    """What to do next on a page without a result, with a way to do it."""
    with st.container(border=True, key=key):
        st.markdown(message)
        found = examples()
        if found:
            st.button(
                "Load an example", type="primary", on_click=result_shown.load_example,
                args=(found[0],),
            )  # fmt: skip


def analysis(message: str, *, key: str) -> Analysis | None:
    """The result on display, or None after a word on why there is nothing yet."""
    found = result_shown.shown()
    if found is None and not visit().jobs:
        empty(message, key=key)
    if found is not None:
        part_heard(found)
    return found


def part_heard(analysis: Analysis, model: str = "") -> None:
    """Say that the model (named, where there are several) heard the beginning of the clip alone."""
    if analysis.settings.too_long == "cut":
        for note in analysis.notes:
            st.caption(widgets.plain(f"{model}: {note}" if model else note))


def subject(purpose: str, *, key: str) -> tuple[Analysis, AnalysisRequest] | None:
    """What a page of edits is about, or None after a word on why there is nothing yet."""
    found = analysis(
        f"**Nothing to {purpose} yet.** Load an example here, or analyse a clip of your "
        "own on the Clip page.",
        key=key,
    )
    if found is None or stale():
        return None
    request = result_shown.usable_request()
    return None if request is None else (found, request)


def stale() -> bool:
    """Whether the result on display is not that of the inputs any more; says so."""
    if result_shown.is_current():
        return False
    st.caption("The inputs have changed since this result: analyse again on the Clip page.")
    return True


def no_transcript() -> bool:
    """Whether the clip in use has no words yet; says so."""
    if clip_in_use.transcript():
        return False
    st.caption("The clip in use has no transcript yet: type it on the Clip page.")
    return True


def failed(request: Request, *, key: str) -> bool:
    """Whether a request has failed; says why, with a way to try again."""
    problem = asking.failure(request)
    if problem is not None:
        widgets.error(problem)
        try_again(request, key=key)
    return problem is not None


def try_again(*requests: Request, key: str) -> None:
    """The button that forgets why there is no result."""
    st.button("Try again", on_click=asking.forget_failure, args=requests, key=key)

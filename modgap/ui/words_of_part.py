"""Who trims the clip in use is asked to trim its words, too: by their times, or by hand."""

from __future__ import annotations

import streamlit as st

from modgap.core.errors import ModgapError
from modgap.ui import first_fetch
from modgap.ui.server.clip_requests import WordsRequest
from modgap.ui.session import asking, clip_in_use, inputs
from modgap.ui.session.state import visit


def follow() -> None:
    """Cut the words if that was asked for; call it before the transcript is drawn."""
    here, chosen = visit(), inputs.TRIM.value
    text, given_for = here.words_of
    if (inputs.TRANSCRIPT.get("") or "") != text:  # typed since: for the part that is chosen
        here.words_of, here.cutting = (inputs.TRANSCRIPT.get("") or "", chosen), False
    if not here.cutting:
        return
    from modgap.analysis.clip_part import cut_words

    try:
        wanted = WordsRequest(clip_in_use.part(*given_for), text)
        words = asking.ask(wanted)
        problem = asking.failure(wanted)
        if words is None and problem is None:
            st.caption("Finding the words …")
            return
        here.cutting = False
        if words is None:
            asking.forget_failure(wanted)
            here.notice = f"The words cannot be cut: {problem} Type those of this part."
            return
        start, end = (edge - given_for[0] for edge in chosen)
        inputs.TRANSCRIPT.value, _ = cut_words(words, start, end)
        here.words_of = (inputs.TRANSCRIPT.value, chosen)
    except ModgapError as problem:
        here.cutting, here.notice = False, f"The words cannot be cut: {problem}"


def offer() -> None:
    """A warning where the transcript is that of another part, with a way to cut it."""
    here, (start, end) = visit(), inputs.TRIM.value
    text, (begin, stop) = here.words_of
    if not text.strip() or (start, end) == (begin, stop) or here.cutting:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="words_of_part"):
        st.caption(
            f":orange[The transcript was given for {begin:.2f} to {stop:.2f} s of the clip, but "
            f"{start:.2f} to {end:.2f} s are used.]"
        )
        if begin <= start and end <= stop:
            st.button("Cut the words to this part", key="cut_words", on_click=_cut, type="tertiary")
            first_fetch.remark()
        st.button("They fit", key="words_fit", on_click=_fit, type="tertiary")


def _cut() -> None:
    visit().cutting = True
    first_fetch.agree()


def _fit() -> None:
    here = visit()
    here.words_of = (here.words_of[0], inputs.TRIM.value)

"""A draft of the transcript by a recogniser, for a clip that comes without its words.

It is made by a click: who has the words types them, and a draft that comes by itself would be taken
for the words. Until it is edited or accepted it is marked wherever the clip's words are shown.
"""

from __future__ import annotations

import streamlit as st

from modgap.core.errors import ModgapError
from modgap.speech.base import EMBEDDED
from modgap.ui import first_fetch
from modgap.ui.server.clip_requests import DraftRequest
from modgap.ui.server.operator_models import recognizer_options
from modgap.ui.session import asking, clip_in_use, inputs
from modgap.ui.session.state import Draft, visit
from modgap.ui.widgets import plain


def follow() -> None:
    """Take over a draft that has come; call it before the transcript is drawn."""
    here = visit()
    words = inputs.TRANSCRIPT.get("") or ""
    if here.draft is not None and words != here.draft.text:
        here.draft = None  # it was edited
    if not here.drafting:
        return
    by = here.drafting
    if words.strip() or by not in recognizer_options():  # typed meanwhile: these count
        here.drafting = ""
        return
    try:
        clip = clip_in_use.clip()
        if clip is None:
            return
        wanted = DraftRequest(clip, by)
        heard, problem = asking.ask(wanted), asking.failure(wanted)
    except ModgapError as unusable:
        here.drafting, here.notice = "", f"No draft of the transcript: {unusable}"
        return
    if heard is None and problem is None:
        return
    here.drafting = ""
    if heard is None:
        asking.forget_failure(wanted)  # a click tries again
        here.notice = f"No draft of the transcript: {problem}"
    elif not heard:
        here.notice = f"{by} heard no words in this clip: type what is said."
    else:
        text = heard[: clip_in_use.MAX_TRANSCRIPT]
        inputs.TRANSCRIPT.value = text
        here.draft, here.words_of = Draft(text, by), (text, inputs.TRIM.value)
        st.rerun()  # the sidebar says the words, too


def offer() -> None:
    """Below the transcript: the button for a draft, or what is to be done with one."""
    here, options = visit(), recognizer_options()
    by = clip_in_use.drafted_by(inputs.TRANSCRIPT.get("") or "")
    if by is not None:
        with st.container(horizontal=True, vertical_alignment="center", key="draft"):
            st.caption(
                f":orange[A draft by {plain(by)}, unchecked.] Listen, and correct every word that "
                "is wrong: what is measured is measured against these words."
            )
            st.button("Accept the draft", key="draft_accept", on_click=_accept, type="tertiary")
    elif here.drafting:
        st.caption(f"{plain(here.drafting)} is listening …")
    elif not clip_in_use.transcript():
        with st.container(horizontal=True, vertical_alignment="center", key="draft"):
            for id in options:
                label = "Draft it" if len(options) == 1 else f"Draft it with {plain(id)}"
                st.button(
                    label, key=f"draft_{id}", on_click=_begin, args=(id,), type="tertiary",
                    help=f"{plain(id)} writes down what it hears; you check it.",
                )  # fmt: skip
            first_fetch.remark()


def _begin(recognizer: str) -> None:
    here = visit()
    here.forget_remarks()
    here.drafting = recognizer
    if recognizer == EMBEDDED:
        first_fetch.agree()


def _accept() -> None:
    visit().draft = None

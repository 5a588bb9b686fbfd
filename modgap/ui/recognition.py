"""What recognisers say of the clip in use: the pipeline's answer, and when each word is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.audio.clip import load_clip
from modgap.speech.base import EMBEDDED
from modgap.ui import first_fetch, guards, widgets
from modgap.ui.server.clip_requests import WordsRequest
from modgap.ui.server.operator_models import recognizer_options
from modgap.ui.server.requests import PipelineRequest
from modgap.ui.server.service import service
from modgap.ui.session import asking, result_shown
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    from modgap.analysis.pipeline import Cascade
    from modgap.analysis.result import Analysis
    from modgap.speech.words import WordTimes

OFF = ""
ABOUT = (
    "A speech recogniser writes the clip down, and a text model answers what it wrote, in the "
    "prompt of the answer to the text: the model that an embedded one was tuned from, else the "
    "text side of the same model, whose two answers then differ by what was misheard."
)


# ---- the pipeline's answer ----------------------------------------------------------------------


def pipeline_column(known: str | None) -> None:
    """The third answer: what a recogniser heard, where it differs, what the LLM says to it."""
    here, options = visit(), recognizer_options()
    if here.pipeline not in options:
        here.pipeline = OFF
    head = st.container(horizontal=True, horizontal_alignment="distribute")
    head.caption("Answer of a pipeline", help=ABOUT)
    # A link may name the pipeline: it begins no fetch.
    if not here.pipeline or (here.pipeline == EMBEDDED and first_fetch.sentence()):
        for id in options:
            label = "Ask the pipeline" if len(options) == 1 else f"Ask with {widgets.plain(id)}"
            st.button(label, key=f"pipeline_{id}", on_click=_use, args=(id,))
        first_fetch.remark()
        return
    request = result_shown.usable_request() if result_shown.is_current() else None
    if request is None:
        st.caption("The inputs have changed since this result: analyse again.")
        return
    wanted = PipelineRequest(request, here.pipeline)
    made = asking.ask(wanted)
    if made is not None:
        _answered(made, known, head)
    elif not guards.failed(wanted, key="pipeline_again"):
        st.caption("Listening …")
    st.button(
        "Without the pipeline", type="tertiary", key="pipeline_off", on_click=_use, args=(OFF,)
    )


def _use(recognizer: str) -> None:
    visit().pipeline = recognizer
    if recognizer == EMBEDDED:
        first_fetch.agree()


def _answered(made: Cascade, known: str | None, head: Any) -> None:
    from modgap.analysis.pipeline import NOTHING
    from modgap.scoring.answers import verdict

    given = made.answer
    if given is None:
        st.caption(NOTHING)
    else:
        with head:
            widgets.verdict(verdict(given.text, known), known)
        st.text(given.text if given.text.strip() else "(an empty answer)")
        if not given.finished:
            st.caption("Cut at the longest answer allowed.")
    rate = made.errors.rate
    counted = "no word to compare with" if rate is None else f"word error rate {rate:.0%}"
    st.caption(
        f"Heard by {widgets.plain(made.recognizer)}, {counted}:",
        help="Struck out: said, not heard. Bold: heard, not said." if rate else None,
    )
    st.markdown(marked(made) or "(nothing)")


def marked(made: Cascade) -> str:
    """What was heard, in Markdown, with the differences from what was said."""
    parts = []
    for change in made.errors.changes:
        said, heard = (widgets.plain(" ".join(words)) for words in (change.said, change.heard))
        if change.kind == "equal":
            parts.append(heard)
            continue
        if said:
            parts.append(f":gray[~~{said}~~]")
        if heard:
            parts.append(f":red[**{heard}**]")
    return " ".join(parts)


# ---- the times of words -------------------------------------------------------------------------


def words_request(analysis: Analysis) -> WordsRequest:
    """The words of a result, in the sound that the model heard."""
    clip = load_clip(analysis.audio, rate=analysis.audio_rate, name=str(analysis.clip["name"]))
    return WordsRequest(clip, analysis.transcript)


def word_times(analysis: Analysis) -> tuple[WordTimes | None, bool]:
    """When the words are said, and whether that is still to come.

    Neither, after a word on why they cannot be found, or on what has to be fetched for them.
    """
    wanted = words_request(analysis)
    if service().found(wanted) is None and not first_fetch.is_here(
        "Word boundaries need a recogniser", key="words"
    ):
        return None, False
    found: WordTimes | None = asking.ask(wanted)
    problem = asking.failure(wanted)
    if found is None and problem:
        with st.container(horizontal=True, vertical_alignment="center", key="words_failed"):
            st.caption(widgets.plain(f"No word boundaries: {problem}"))
            guards.try_again(wanted, key="words_again")
    return found, found is None and not problem

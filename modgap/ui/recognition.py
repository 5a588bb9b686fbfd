"""What recognisers say of the clip in use: the pipeline's answer, and when each word is said."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import ModgapError
from modgap.core.progress import Progress
from modgap.ui import intervention_jobs, widgets
from modgap.ui.server.offered import recognizer_options
from modgap.ui.server.recognizers import EMBEDDED
from modgap.ui.server.service import Request, service
from modgap.ui.session import state

if TYPE_CHECKING:
    from modgap.analysis.pipeline import Cascade
    from modgap.analysis.result import Analysis
    from modgap.speech.words import WordTimes

S = st.session_state
OFF = ""
_ALIGNER = EMBEDDED
ABOUT = (
    "A speech recogniser writes the clip down; the text side of the same model answers what it "
    "wrote, in the prompt of the answer to the text. So the two differ by what was misheard."
)


@dataclass(frozen=True)
class PipelineRequest:
    """The answer of a recogniser and the chosen model's text side to the clip in use."""

    request: Request
    recognizer: str  # its id in `recognizer_options`
    kind: str = "pipeline"

    @property
    def signature(self) -> str:
        """Equal for equal requests."""
        return _hash(self.kind, self.recognizer, self.request.signature)


@dataclass(frozen=True)
class WordsRequest:
    """When the words of a result's transcript are said."""

    clip: Clip
    transcript: str
    kind: str = "words"

    @property
    def signature(self) -> str:
        """Equal for equal requests."""
        return _hash(self.kind, _ALIGNER, self.clip.sha256, self.transcript)


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


# ---- the pipeline's answer ----------------------------------------------------------------------


def pipeline_column(known: str | None) -> None:
    """The third answer: what a recogniser heard, where it differs, what the LLM says to it."""
    options = recognizer_options()
    if S.get("pipeline", OFF) not in options:
        S["pipeline"] = OFF
    head = st.container(horizontal=True, horizontal_alignment="distribute")
    head.caption("Answer of a pipeline", help=ABOUT)
    if not S["pipeline"]:
        for id in options:
            label = "Ask the pipeline" if len(options) == 1 else f"Ask with {widgets.plain(id)}"
            st.button(label, key=f"pipeline_{id}", on_click=S.__setitem__, args=("pipeline", id))
        return
    request = state.current_request() if state.is_current() else None
    if request is None:
        st.caption("The inputs have changed since this result: analyse again.")
        return
    wanted = PipelineRequest(request, S["pipeline"])
    made = intervention_jobs.ask(wanted, f"Pipeline, {request.clip.name}", _answer)
    problem = intervention_jobs.failure(wanted)
    if made is not None:
        _answered(made, known, head)
    elif problem:
        widgets.error(problem)
        st.button(
            "Try again",
            on_click=intervention_jobs.forget_failure,
            args=(wanted,),
            key="pipeline_again",
        )
    else:
        st.caption("Listening …")
    st.button(
        "Without the pipeline", type="tertiary", key="pipeline_off",
        on_click=S.__setitem__, args=("pipeline", OFF),
    )  # fmt: skip


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


def _answer(wanted: PipelineRequest, progress: Progress) -> Any:
    """In the worker."""
    from modgap.analysis.pipeline import pipeline
    from modgap.core.settings import AnalysisSettings
    from modgap.store.cache import default_store

    request = wanted.request
    option = recognizer_options()[wanted.recognizer]
    progress(0.01, f"Loading the model {request.label}")
    # The model first: for its room a recogniser would go that is about to be used.
    model = service().pool.get(request.choice)
    progress(0.05, f"Loading {option.id}")
    try:
        ears = service().recognizers.get(option.name, request.choice.options["device"])
    except ModgapError as problem:
        raise type(problem)(str(problem).replace(option.name, option.id)) from problem
    markers: Any = request.markers
    return pipeline(
        ears,
        model,
        request.clip,
        request.transcript,
        AnalysisSettings(instruction=request.instruction, markers=markers),
        store=default_store(),
        progress=lambda fraction, note: progress(0.1 + 0.9 * fraction, note),
    )


# ---- the times of words -------------------------------------------------------------------------


def words_request(analysis: Analysis) -> WordsRequest:
    """The words of a result, in the sound that the model heard."""
    clip = load_clip(analysis.audio, rate=analysis.audio_rate, name=str(analysis.clip["name"]))
    return WordsRequest(clip, analysis.transcript)


def word_times(analysis: Analysis) -> WordTimes | None:
    """When the words are said, or None while that is found out, or after a word on why it fails."""
    wanted = words_request(analysis)
    found = intervention_jobs.ask(wanted, "Word boundaries", _align)
    problem = intervention_jobs.failure(wanted)
    if found is None and problem:
        with st.container(horizontal=True, vertical_alignment="center", key="words_failed"):
            st.caption(widgets.plain(f"No word boundaries: {problem}"))
            st.button(
                "Try again",
                on_click=intervention_jobs.forget_failure,
                args=(wanted,),
                key="words_again",
            )
    return found


def _align(wanted: WordsRequest, progress: Progress) -> Any:
    """In the worker."""
    from modgap.speech.word_times import word_times
    from modgap.store.cache import default_store

    progress(0.02, "Loading the aligner")
    return word_times(
        wanted.clip,
        wanted.transcript,
        service().recognizers.get(_ALIGNER, "cpu"),
        store=default_store(),
        progress=lambda fraction, note: progress(0.1 + 0.9 * fraction, note),
    )

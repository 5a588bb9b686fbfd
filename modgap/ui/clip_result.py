"""What the Clip page shows of a result: its origin, the answers, the sound and both sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.ui import as_code, prompt_view, recognition, widgets
from modgap.ui.server.service import service
from modgap.ui.session import clip_in_use, result_shown
from modgap.ui.session.state import visit
from modgap.ui.token_row import token_row

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis


def clip_result(analysis: Analysis) -> None:
    """Sound, both token sequences, both answers."""
    from modgap.figures.tokens import speech_tokens, text_tokens

    origin(analysis)
    answers(analysis)
    picture = service().picture(analysis)
    st.subheader("Waveform, mel spectrogram and speech tokens")
    widgets.chart(
        picture.figure(dark=widgets.dark(), height=330),
        key="sound",
        name=f"{widgets.file_stem(analysis)}-sound",
        alt="Waveform, mel spectrogram and the time that each speech token covers",
    )
    times = analysis.speech_times
    each = 1000 * float((times[:, 1] - times[:, 0]).max())
    st.caption(
        f"{len(times)} speech tokens of {each:.0f} ms (the strip under the spectrogram) "
        f"stand where the {len(analysis.pieces)} text tokens of the transcript stand:"
    )
    token_row(analysis.pieces, label="Text tokens of the transcript", key="pieces")
    for note in analysis.notes:
        st.caption(widgets.plain(note))
    name = widgets.file_stem(analysis)
    prompt_view.prompts(name)
    certainty(analysis)
    widgets.downloads(
        [
            widgets.Download.figure(
                "Sound", f"{name}-sound", picture.figure, of=widgets.subject(analysis)
            ),
            widgets.Download.table(
                "Speech tokens", f"{name}-speech-tokens", lambda: speech_tokens(times)
            ),
            widgets.Download.table(
                "Text tokens",
                f"{name}-text-tokens",
                lambda: text_tokens(analysis.pieces, analysis.spans),
            ),
            widgets.Download.settings(name, lambda: widgets.provenance(analysis)),
        ],
        key="clip",
        code=code(),
    )


def code() -> as_code.Code | None:
    """The picture of the sound, of the clip in use."""
    request = result_shown.usable_request() if result_shown.is_current() else None
    if request is None:
        return None
    return as_code.of_figure(
        request, "from modgap.figures import SoundPicture",
        "SoundPicture.of(modgap.load_clip((run := session.analyze()).audio, "
        "rate=run.audio_rate), run.speech_times)",
        "analyze",
    )  # fmt: skip


def origin(analysis: Analysis) -> None:
    """Where the result came from, and whether it is still that of the inputs."""
    how = visit().shown
    cached = how is not None and how.cached
    if cached:
        text = f"From the cache: computed {analysis.created[:16].replace('T', ' ')} UTC"
    else:
        text = f"Computed in {(how and how.seconds) or 0:.1f} s"
    model = analysis.model
    with st.container(horizontal=True, vertical_alignment="center", key="origin"):
        st.badge(text, color="green" if cached else "blue")
        st.caption(
            widgets.plain(
                f"{model['name']}, {model['n_layers']} layers, {model['dtype']} "
                f"on {model['device']}"
            )
        )
        by = clip_in_use.drafted_by(analysis.transcript)
        if by is not None:
            st.badge(f"The transcript is an unchecked draft by {widgets.plain(by)}", color="orange")
        if not result_shown.is_current():
            st.badge("The inputs have changed since: analyse again", color="orange")


def answers(analysis: Analysis) -> None:
    """The answers to the words, to the sound, and of the pipeline, beside each other."""
    from modgap.scoring.answers import verdict

    if analysis.answers is None:
        return
    known = clip_in_use.reference()
    left, right, third = st.columns(3, gap="small")
    for place, kind, title in (
        (left, "text", "Answer to the text"),
        (right, "speech", "Answer to the speech"),
    ):
        given = analysis.answers[kind]
        with place, st.container(border=True, height="stretch", key=f"answer_{kind}"):
            with st.container(horizontal=True, horizontal_alignment="distribute"):
                st.caption(title)
                widgets.verdict(verdict(given.text, known), known)
            st.text(given.text if given.text.strip() else "(an empty answer)")
            if not given.finished:
                st.caption("Cut at the longest answer allowed.")
    with third, st.container(border=True, height="stretch", key="answer_pipeline"):
        recognition.pipeline_column(known)
    visit().view["pipeline"] = visit().pipeline or None
    if known is not None:
        st.caption(f"Reference answer: {widgets.plain(known)}")


def certainty(analysis: Analysis) -> None:
    """The probability of each token of both answers."""
    from modgap.figures.tokens import AnswerTokens

    if analysis.answers is None:
        return
    with st.expander("Token probabilities of the answers"):
        for n, kind in enumerate(("text", "speech")):
            bars = AnswerTokens.of(analysis.answers[kind], kind)
            if bars.tokens:
                st.caption(f"Answer to the {kind}")
                widgets.chart(
                    bars.figure(dark=widgets.dark(), height=170, colour=n),
                    key=f"sure_{kind}",
                    name=f"answer-{kind}",
                    alt=f"Probability of each token of the answer to the {kind}",
                )

"""The first page: choose a clip, give its words, see what the model makes of both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.audio import MAX_BYTES, MAX_SECONDS, Clip
from modgap.errors import AudioError, ModgapError
from modgap.ui import state, widgets
from modgap.ui.examples import Example, examples
from modgap.ui.service import service
from modgap.ui.tokens import token_row

if TYPE_CHECKING:
    from modgap.analysis import Analysis

S = st.session_state
SUFFIXES = ["wav", "flac", "ogg", "opus", "mp3", "m4a", "mp4", "aac", "webm"]
COLUMNS = 4
MARKERS = {
    "keep": "keep: only the content differs",
    "drop": "drop: a plain typed message",
}


def choose() -> None:
    """The three ways to a clip."""
    has_clip = "clip" in S
    label = "Choose another clip" if has_clip else "Choose a clip"
    with st.expander(label, expanded=not has_clip):
        source = st.segmented_control(
            "Source",
            ["Examples", "Upload", "Microphone"],
            default="Examples",
            required=True,
            key="source",
            label_visibility="collapsed",
            persist_state="session",
        )
        if source == "Upload":
            st.file_uploader(
                f"WAV, FLAC, OGG, Opus, MP3, M4A or WebM, up to {MAX_BYTES >> 20} MB "
                f"and {MAX_SECONDS / 60:g} minutes",
                type=SUFFIXES,
                key="upload",
                on_change=adopt,
                args=("upload",),
            )
        elif source == "Microphone":
            st.audio_input(
                "Record a sentence, then type below what you said",
                key="record",
                on_change=adopt,
                args=("record",),
            )
        else:
            gallery()


def adopt(kind: str) -> None:
    """Take over the bytes at once: the widget forgets its file when the page changes."""
    file = S.get(kind)
    ref: state.ClipRef | None = S.get("clip")
    if file is None:
        if ref is not None and ref.source == kind:
            state.drop_clip()
        return
    name = file.name if kind == "upload" else "recording.wav"
    try:
        state.use_clip(
            state.ClipRef("upload" if kind == "upload" else "record", "", name, file.getvalue())
        )
    except AudioError as problem:
        state.drop_clip()
        S["error"] = f"{name}: {problem}"


def gallery() -> None:
    """The shipped clips, each with what it shows."""
    found = examples()
    if not found:
        st.caption("No examples are installed. Upload a clip or record one.")
        return
    with st.container(key="gallery"):
        for first in range(0, len(found), COLUMNS):
            row = st.columns(COLUMNS)
            for place, item in zip(row, found[first : first + COLUMNS], strict=False):
                with place:
                    card(item)


def card(item: Example) -> None:
    """One example."""
    with st.container(border=True, height="stretch", key=f"card_{item.id}"):
        st.markdown(f"**{widgets.plain(item.title)}**")
        st.caption(widgets.plain(item.shows))
        st.caption(widgets.plain(item.source), help=f"Licence: {widgets.plain(item.licence)}")
        st.space("stretch")
        st.button(
            "Analyse",
            key=f"use_{item.id}",
            on_click=state.load_example,
            args=(item,),
            width="stretch",
        )


def inputs() -> None:
    """Player and trim, the words, and the button."""
    left, right = st.columns([5, 6], gap="medium")
    with left:
        try:
            clip = state.current_clip()
        except AudioError as problem:
            clip = None
            widgets.error(str(problem))
        if clip is not None:
            st.audio(clip.wav_bytes(), format="audio/wav", alt="The clip in use")
        whole = state.clip_seconds()
        st.slider(
            "Part to use (s)",
            0.0,
            whole,
            step=0.01,
            format="%.2f",
            key="trim",
            persist_state="session",
        )
        limit()
    with right:
        st.text_area(
            "Transcript: the words that are said",
            key="transcript",
            height=80,
            max_chars=state.MAX_TRANSCRIPT,
            placeholder="Type exactly what is said in the clip",
            persist_state="session",
        )
        st.text_input(
            "Typed instruction (optional)",
            key="instruction",
            max_chars=state.MAX_INSTRUCTION,
            placeholder="A question or task, the same beside speech and text",
            persist_state="session",
        )
        one, two = st.columns([3, 2], vertical_alignment="bottom")
        if S.get("markers") not in MARKERS:
            S["markers"] = "keep"
        one.selectbox(
            "Audio markers around the transcript",
            list(MARKERS),
            key="markers",
            format_func=MARKERS.__getitem__,
            persist_state="session",
            help=(
                "Models wrap speech in marker tokens. Kept around the transcript too, the two "
                "prompts differ in nothing but the content: the strict control. Dropped, the "
                "transcript stands as a user would type it."
            ),
        )
        two.button(
            "Analyse",
            type="primary",
            width="stretch",
            key="analyse",
            on_click=state.submit,
            disabled=not (S.get("transcript") or "").strip(),
        )


def limit() -> None:
    """What the model can take, once it is known."""
    chosen = state.choice()
    info = service().pool.info(chosen) if chosen else None
    longest = (info or {}).get("max_seconds")
    start, end = S["trim"]
    if longest and end - start > longest + 0.005:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"This model hears {longest:g} s at most.")
            st.button(
                f"Use the first {longest:g} s",
                on_click=S.__setitem__,
                args=("trim", (0.0, float(longest))),
                type="tertiary",
            )
    elif longest and state.clip_seconds() > longest:
        st.caption(f"This model hears {longest:g} s at most, so a part is chosen.")


def result(analysis: Analysis) -> None:
    """Sound, both token sequences, both answers."""
    from modgap.figures.tokens import speech_tokens, text_tokens

    origin(analysis)
    answers(analysis)
    picture = service().picture(analysis)
    st.subheader("What the model hears")
    widgets.chart(
        picture.figure(dark=widgets.dark(), height=330),
        key="sound",
        name="sound",
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
    widgets.downloads(
        [
            widgets.Download.figure("Figure", f"{name}-sound", picture.figure),
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
    )


def origin(analysis: Analysis) -> None:
    """Where the result came from, and whether it is still that of the inputs."""
    how = S.get("origin", {})
    if how.get("cached"):
        text = f"From the cache: computed {analysis.created[:16].replace('T', ' ')} UTC"
    else:
        text = f"Computed in {how.get('seconds') or 0:.1f} s"
    model = analysis.model
    with st.container(horizontal=True, vertical_alignment="center", key="origin"):
        st.badge(text, color="green" if how.get("cached") else "blue")
        st.caption(
            widgets.plain(
                f"{model['name']}, {model['n_layers']} layers, {model['dtype']} "
                f"on {model['device']}"
            )
        )
        if not state.is_current():
            st.badge("The inputs have changed since: analyse again", color="orange")


def answers(analysis: Analysis) -> None:
    """The answer to the words and the answer to the sound, beside each other."""
    from modgap.answers import verdict

    if analysis.answers is None:
        return
    known = state.reference()
    left, right = st.columns(2, gap="small")
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
    if known is not None:
        st.caption(f"Right would be: {widgets.plain(known)}")
    with st.expander("How sure the model was of each token"):
        from modgap.figures.tokens import AnswerTokens

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


def preview(clip: Clip) -> None:
    """The sound alone, before there is a result."""
    picture = service().sound(clip)
    widgets.chart(
        picture.figure(dark=widgets.dark(), height=300),
        key="preview",
        name="sound",
        alt="Waveform and mel spectrogram of the clip",
    )


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Clip",
        "The same chat prompt is run through one model twice: once with the **speech**, once with "
        "its **transcript** in the same place. Everything before and after is equal, token for "
        "token, so what differs between the two runs is the modality.\n\n"
        "The audio encoder turns the sound into *speech tokens*, each a short stretch of time; "
        "the tokenizer turns the transcript into *text tokens*. The other pages compare the "
        "hidden states of the two, layer by layer:",
        r"H_s[l] \in \mathbb{R}^{T_s \times d}, \qquad H_t[l] \in \mathbb{R}^{T_t \times d},"
        r"\qquad l = 0 \ldots L",
        "The two answers show what the gap costs: a model may know the answer to the text and "
        "miss it in the speech.",
    )
    choose()
    if "clip" not in S:
        if not S.get("error"):
            st.caption("Pick an example to see a whole analysis, or bring a clip of your own.")
        return
    inputs()
    analysis = state.shown()
    if analysis is not None:
        result(analysis)
        return
    try:
        clip = state.current_clip()
    except ModgapError:
        return
    if clip is not None:
        preview(clip)
        if not (S.get("transcript") or "").strip():
            st.caption("Next: type the transcript above, then choose Analyse.")


page()

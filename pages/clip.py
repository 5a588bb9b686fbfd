"""The first page: choose a clip, give its words, see what the model makes of both."""

from __future__ import annotations

import streamlit as st

from modgap.audio.clip import MAX_BYTES, MAX_SECONDS, Clip
from modgap.audio.formats import FORMATS, SUFFIXES
from modgap.core.errors import AudioError, ModgapError
from modgap.ui import clip_result, widgets
from modgap.ui.examples import Example, examples
from modgap.ui.server.service import service
from modgap.ui.session import state

S = st.session_state
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
                f"{FORMATS}, up to {MAX_BYTES >> 20} MB and {MAX_SECONDS / 60:g} minutes",
                type=list(SUFFIXES),
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
        about = f"{item.source}. Licence: {item.licence}"
        st.markdown(f"**{widgets.plain(item.title)}**", help=widgets.plain(about))
        st.caption(widgets.plain(item.shows))
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
        sound()
        if S.get("markers") not in MARKERS:
            S["markers"] = "keep"
        st.selectbox(
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
    with right:
        st.text_area(
            "Transcript: the words that are said",
            key="transcript",
            height=92,
            max_chars=state.MAX_TRANSCRIPT,
            placeholder="Type exactly what is said in the clip",
            persist_state="session",
        )
        one, two = st.columns([3, 1], vertical_alignment="bottom")
        one.text_input(
            "Typed instruction (optional)",
            key="instruction",
            max_chars=state.MAX_INSTRUCTION,
            placeholder="A question or task, the same in both prompts",
            persist_state="session",
        )
        two.button("Analyse", type="primary", width="stretch", key="analyse", on_click=state.submit)


def sound() -> None:
    """The player, and which part and channel of the clip are used."""
    channel()
    try:
        clip = state.current_clip()
    except AudioError as problem:
        clip = None
        widgets.error(str(problem))
    if clip is not None:
        st.audio(service().wav(clip), format="audio/wav", alt="The clip in use")
        for note in clip.notes:
            st.warning(widgets.plain(note))
    st.slider(
        "Part to use (s)",
        0.0,
        state.clip_seconds(),
        step=0.01,
        format="%.2f",
        key="trim",
        persist_state="session",
    )
    limit()


def channel() -> None:
    """Which channel is used, where there are several."""
    if S.get("channels", 1) > 1:
        st.segmented_control(
            "Channel",
            list(range(S["channels"] + 1)),
            format_func=lambda n: str(n) if n else "Mean of all",
            required=True,
            key="channel",
            persist_state="session",
            help="Models hear one channel. By default it is the mean of all, in which channels "
            "that are each other's opposite cancel.",
        )


def limit() -> None:
    """What the model can take, once it is known."""
    longest = state.longest_clip()
    start, end = S["trim"]
    if end - start > longest + 0.005:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"This model hears {longest:g} s at most.")
            st.button(
                f"Use the first {longest:g} s",
                on_click=S.__setitem__,
                args=("trim", (0.0, longest)),
                type="tertiary",
            )
    elif state.clip_seconds() > longest:
        st.caption(f"This model hears {longest:g} s at most, so a part is chosen.")


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
        "miss it in the speech. The **pipeline** is what a speech model competes with: a speech "
        "recogniser writes the clip down, and the same model answers what was written. Its *word "
        "error rate* is the share of words that were misheard, left out or made up.",
    )
    choose()
    if "clip" not in S:
        if not S.get("error"):
            st.caption("Pick an example to see a whole analysis, or bring a clip of your own.")
        return
    inputs()
    analysis = state.shown()
    if analysis is not None:
        clip_result.clip_result(analysis)
        return
    try:
        clip = state.current_clip()
    except ModgapError:
        return
    if clip is not None and (not S.get("jobs") or service().has_sound(clip)):
        preview(clip)  # not while a job begins: its progress bar would wait for the picture
        if not (S.get("transcript") or "").strip():
            st.caption("Next: type the transcript above, then press Analyse.")


page()

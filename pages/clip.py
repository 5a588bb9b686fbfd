"""The first page: choose a clip, give its words, see what the model makes of both."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from modgap.analysis.examples import Example, examples
from modgap.audio.clip import MAX_BYTES, MAX_SECONDS, Clip
from modgap.audio.formats import FORMATS, SUFFIXES
from modgap.core.errors import AudioError, ModgapError
from modgap.ui import clip_result, draft, widgets, words_of_part
from modgap.ui.first_steps import first_steps
from modgap.ui.reach import reach
from modgap.ui.server.service import service
from modgap.ui.session import clip_in_use, inputs, result_shown
from modgap.ui.session.model_in_use import longest_clip
from modgap.ui.session.state import ClipRef, visit

COLUMNS = 4
MARKERS = {
    "keep": "keep: only the content differs",
    "drop": "drop: a plain typed message",
}
TOO_LONG = {"fail": "refuse it", "cut": "hear its beginning"}


def choose() -> None:
    """The three ways to a clip."""
    has_clip = visit().clip is not None
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
                key=inputs.UPLOAD.key,
                on_change=adopt,
                args=("upload",),
            )
        elif source == "Microphone":
            st.audio_input(
                "Record a sentence, then type below what you said",
                key=inputs.RECORD.key,
                on_change=adopt,
                args=("record",),
            )
        else:
            gallery()


def adopt(kind: Literal["upload", "record"]) -> None:
    """Take over the bytes at once: the widget forgets its file when the page changes."""
    here = visit()
    file = (inputs.UPLOAD if kind == "upload" else inputs.RECORD).get(None)
    if file is None:
        if here.clip is not None and here.clip.source == kind:
            clip_in_use.drop_clip()
        return
    name = file.name if kind == "upload" else "recording.wav"
    try:
        clip_in_use.use_clip(ClipRef(kind, "", name, file.getvalue()))
    except AudioError as problem:
        here.error = f"{name}: {problem}"


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
            on_click=result_shown.load_example,
            args=(item,),
            width="stretch",
        )


def about_clip() -> None:
    """Player and trim, the words, and the button."""
    draft.follow()
    words_of_part.follow()
    left, right = st.columns([5, 6], gap="medium")
    with left:
        sound()
        if inputs.MARKERS.get("") not in MARKERS:
            inputs.MARKERS.value = "keep"
        st.selectbox(
            "Audio markers around the transcript",
            list(MARKERS),
            key=inputs.MARKERS.key,
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
            key=inputs.TRANSCRIPT.key,
            height=92,
            max_chars=clip_in_use.MAX_TRANSCRIPT,
            placeholder="Type exactly what is said in the clip",
            persist_state="session",
        )
        draft.offer()
        words_of_part.offer()
        one, two = st.columns([3, 1], vertical_alignment="bottom")
        one.text_input(
            "Typed instruction (optional)",
            key=inputs.INSTRUCTION.key,
            max_chars=clip_in_use.MAX_INSTRUCTION,
            placeholder="A question or task, the same in both prompts",
            persist_state="session",
        )
        two.button(
            "Analyse", type="primary", width="stretch", key="analyse", on_click=result_shown.submit
        )


def sound() -> None:
    """The player, and which part and channel of the clip are used."""
    channel()
    try:
        clip = clip_in_use.clip()
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
        clip_in_use.whole_seconds(),
        step=0.01,
        format="%.2f",
        key=inputs.TRIM.key,
        persist_state="session",
    )
    limit()


def channel() -> None:
    """Which channel is used, where there are several."""
    channels = clip_in_use.channels()
    if channels > 1:
        st.segmented_control(
            "Channel",
            list(range(channels + 1)),
            format_func=lambda n: str(n) if n else "Mean of all",
            required=True,
            key=inputs.CHANNEL.key,
            persist_state="session",
            help="Models hear one channel. By default it is the mean of all, in which channels "
            "that are each other's opposite cancel.",
        )


def longer() -> None:
    """What becomes of a clip that is longer than a model takes."""
    if inputs.TOO_LONG.get("") not in TOO_LONG:
        inputs.TOO_LONG.value = "fail"
    st.segmented_control(
        "A clip longer than the model takes",
        list(TOO_LONG),
        key=inputs.TOO_LONG.key,
        format_func=TOO_LONG.__getitem__,
        required=True,
        persist_state="session",
        help="The model hears as much as it takes; the transcript stays whole, and a note says how "
        "much was heard.",
    )


def limit() -> None:
    """What the model can take, once it is known."""
    longest = longest_clip()
    start, end = inputs.TRIM.value
    if end - start > longest + 0.005 or inputs.TOO_LONG.get("") == "cut":
        longer()
    if end - start > longest + 0.005:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"This model hears {longest:g} s at most.")
            st.button(
                f"Use the first {longest:g} s",
                on_click=inputs.TRIM.set,
                args=((0.0, longest),),
                type="tertiary",
            )
    elif clip_in_use.whole_seconds() > longest:
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
    here = visit()
    if here.clip is None:
        first_steps()
    choose()
    if here.clip is None:
        if not here.error:
            st.caption("Pick an example to see a whole analysis, or bring a clip of your own.")
        return
    reach()
    about_clip()
    analysis = result_shown.shown()
    if analysis is not None:
        clip_result.clip_result(analysis)
        return
    try:
        clip = clip_in_use.clip()
    except ModgapError:
        return
    if clip is not None and (not here.jobs or service().has_sound(clip)):
        preview(clip)  # not while a job begins: its progress bar would wait for the picture
        if not clip_in_use.transcript():
            st.caption("Next: type the transcript above or have it drafted, then press Analyse.")


page()

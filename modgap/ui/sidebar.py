"""The sidebar: what every page works with. The model, where it runs, and the clip in use."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from modgap.core.errors import AudioError
from modgap.core.names import seen
from modgap.ui.server.operator_models import model_options
from modgap.ui.server.service import service
from modgap.ui.session import clip_in_use, inputs, link, result_shown
from modgap.ui.session.state import visit
from modgap.ui.widgets import plain, seconds


def sidebar() -> DeltaGenerator:
    """Draw the sidebar; returns the place for what is known of the model, which comes later."""
    with st.sidebar:
        st.html(
            '<div class="brand"><b>modgap</b>'
            "<span>why words are understood worse when said than when typed</span></div>"
        )
        about = _model()
        _clip()
    return about


def permalink(query: str) -> None:
    """The address of this view, ready to copy; called when the page has said what it shows."""
    base = (st.context.url or "").split("?")[0]
    with st.sidebar, st.popover("Link to this view", width="stretch"):
        st.caption(
            "Opens this view again on this server: examples anywhere, other clips while their "
            "result is in the cache."
        )
        st.code(f"{base}?{query}" if query else base, language=None, wrap_lines=True)


def not_kept() -> None:
    """Why results are not kept, if they are not: who comes back would find none of them."""
    store = service().store
    if store.problem:
        said = store.problem.replace(str(store.root), store.root.name)
        with st.sidebar:
            st.warning(plain(f"Results are not kept. {said}"))


def _model() -> DeltaGenerator:
    options = model_options()
    here = visit()
    if here.next_model in options:  # chosen on a page, whose widgets come after this one
        inputs.MODEL.value = here.next_model
    here.next_model = None
    if not options:
        st.warning("No model here. Start with `modgap app --model NAME`.")
        return st.container()
    if inputs.MODEL.get("") not in options:
        inputs.MODEL.value = next(iter(options))
    st.selectbox(
        "Model",
        list(options),
        key=inputs.MODEL.key,
        on_change=_changed,
        persist_state="session",
    )
    st.caption(plain(options[inputs.MODEL.value].description))
    about = st.container(key="about_model", gap="xxsmall")
    with st.expander("Device and dtype"):
        left, right = st.columns(2)
        for place, name, values in (
            (left, "device", link.DEVICES),
            (right, "dtype", link.DTYPES),
            (st, "quantize", link.QUANTIZE),
        ):
            held = inputs.HELD[name]
            if held.get("") not in values:
                held.value = values[0]
            place.selectbox(
                name if name == "dtype" else name.capitalize(),
                values,
                key=held.key,
                on_change=_changed,
                persist_state="session",
            )
        st.caption(
            "auto: the GPU in bfloat16 if there is one, else the CPU in float32 (bfloat16 where it "
            "multiplies it). spread: over all GPUs and the CPU. Quantize: weights in 8 or 4 bits, "
            "with bitsandbytes."
        )
    return about


def _changed() -> None:
    """Another model for the same clip: analyse it again, if there is something to analyse."""
    if visit().shown is not None:
        result_shown.submit()


def _clip() -> None:
    st.html('<div class="section">Clip in use</div>')
    ref = visit().clip
    if ref is None:
        st.caption("None yet. Choose one on the Clip page.")
        return
    try:
        clip = clip_in_use.clip()
    except AudioError:
        clip = None
    with st.container(key="clip_in_use", gap="xxsmall"):
        st.text(seen(ref.name))
        if clip is not None:
            whole = clip_in_use.whole_seconds()
            part = f" of {seconds(whole)}" if clip.seconds < whole - 0.01 else ""
            st.caption(f"{seconds(clip.seconds)}{part}, {clip.rate / 1000:g} kHz {clip.kind}")
        if clip_in_use.transcript():
            st.text(clip_in_use.transcript())
            by = clip_in_use.drafted_by(clip_in_use.transcript())
            if by is not None:
                st.caption(f":orange[A draft by {plain(by)}, unchecked]")
        else:
            st.caption("No transcript yet.")

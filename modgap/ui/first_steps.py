"""The first screen: what to do in three steps, and what the embedded model is and isn't."""

from __future__ import annotations

import streamlit as st

from modgap.ui import PAGES
from modgap.ui.session import model_in_use

EMBEDDED_MODEL = (
    "The embedded model is an instrument to try the method on, on a laptop: Whisper tiny.en, "
    "a trained adapter and SmolLM2-135M with LoRA. It hears English clips of up to 30 s "
    "and knows what 135 million parameters know. It is no assistant, and what is found on it is no "
    "finding about larger models: those are named by `modgap app --model NAME`."
)


def is_embedded(name: str) -> bool:
    """Whether a name of `load_model` is of the embedded family."""
    return name.partition(":")[0] == "demo"


def first_steps() -> None:
    """Three steps in one line; then, for a member of the embedded family, what it is."""
    with st.container(horizontal=True, vertical_alignment="center", key="first_steps"):
        st.markdown("**1** Take an example below, or a clip of your own", width="content")
        st.page_link(PAGES / "alignment.py", label="**2** Look at Alignment")
        st.page_link(PAGES / "interventions.py", label="**3** Repair it in Interventions")
    option = model_in_use.option()
    if option is not None and is_embedded(option.name):
        st.caption(EMBEDDED_MODEL)

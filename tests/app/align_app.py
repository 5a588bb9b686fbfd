"""A page with nothing but the alignment component, for the browser tests."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).parent))
from align_sample import sample_view

from modgap.ui.alignment.component import align_view

st.set_page_config(layout="wide")


@st.cache_resource
def view(size: str, audio: bool):
    return sample_view(*(int(x) for x in size.split("x")), audio=audio)


data = view(st.query_params.get("size", "9x120x24"), st.query_params.get("audio", "1") == "1")
words = {"none": None, "later": [], "known": [(0.2, 0.6, 0, 2), (0.8, 1.4, 5, 5)]}
event = align_view(
    data,
    key="align",
    layer=int(st.query_params.get("layer", 4)),
    words=words[st.query_params.get("words", "none")],
)
st.text(f"python: layer={event.layer} measure={event.measure} paths={','.join(event.paths)}")
st.text(f"cell: {event.cell}")

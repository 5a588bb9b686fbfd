"""The embedded recogniser's files, where they are not here yet: fetched by a click, never unasked.

The click is asked for once a session; its button stands beside what would be fetched, and how large
that is.
"""

from __future__ import annotations

import streamlit as st

from modgap.models.bases.first_use import to_fetch
from modgap.speech.base import EMBEDDED
from modgap.ui.session.state import visit
from modgap.ui.widgets import plain

_AGREED = f"fetch {EMBEDDED}"  # among what this session has begun by a click


def sentence() -> str:
    """What the next use would fetch; empty where nothing would be, or this session has agreed."""
    return "" if _AGREED in visit().started else to_fetch(EMBEDDED)


def agree() -> None:
    """This session was told what is fetched, and clicked."""
    visit().started.add(_AGREED)


def remark() -> None:
    """Beside a button that fetches: what it will fetch, if anything."""
    said = sentence()
    if said:
        st.caption(f"On first use: {plain(said)}")


def is_here(purpose: str, *, key: str) -> bool:
    """Whether the recogniser may be asked; else draws the button that fetches it.

    Parameters
    ----------
    purpose : str
        What it is needed for, as the sentence begins: "Word boundaries need a recogniser".
    key : str
        Of the button.
    """
    said = sentence()
    if not said:
        return True
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}_fetch"):
        st.caption(f"{purpose}, which is not here yet: {plain(said)}")
        st.button("Fetch it", key=f"{key}_fetch_start", on_click=agree)
    return False

"""What a page draws only once the view it is for is on screen.

The libraries that draw charts and tables in the browser are large (Plotly alone has 4.7 MB), and a
browser that reads them paints nothing meanwhile. So a page may send its own component first, keep
the places of the rest, and fill them in the run that the component asks for once it is painted.
"""

from __future__ import annotations

import time

import streamlit as st

from modgap.ui.session.state import visit

PATIENCE = 5.0  # seconds; then the rest is drawn for a browser that says nothing, too


def may_draw(painted: bool) -> bool:
    """Whether the rest of the page is drawn in this run; `painted` is what the browser has said."""
    here = visit()
    if painted or here.says_nothing:
        return True
    here.waits_for_paint = True
    return False


def place(height: int) -> None:
    """Keep the place of what comes later, so that nothing moves then; `height` in pixels."""
    st.container(height=height, border=False)


def watch() -> None:
    """End a wait that takes too long; polls while there is one, so call this last in the script."""
    here = visit()
    if not here.waits_for_paint:
        return
    here.waits_for_paint = False
    began = time.monotonic()

    @st.fragment(run_every=PATIENCE)
    def patience() -> None:
        if time.monotonic() - began > PATIENCE / 2:  # not in the run that begins the wait
            here.says_nothing = True
            st.rerun()

    patience()

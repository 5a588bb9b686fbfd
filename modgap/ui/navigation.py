"""The row of all pages: one look in a wide window, one tap in a narrow one.

Streamlit's own row hides what does not fit behind "more", and in a narrow window all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage


def navigation(pages: Sequence[StreamlitPage]) -> None:
    """Draw the links."""
    with st.container(horizontal=True, key="pages", gap="xxsmall"):
        for page in pages:
            st.page_link(page, label=page.title)

"""The prompts of a result, token by token, as the model gets them; shown where they are asked for.

They are no part of a kept result: to show them the model has to be in memory.
"""

from __future__ import annotations

import streamlit as st

from modgap.ui import guards, widgets
from modgap.ui.server.requests import EditRequest
from modgap.ui.session import asking, result_shown
from modgap.ui.token_row import prompt_row

TITLES = {"text": "Prompt with the text", "speech": "Prompt with the speech"}


def prompts(name: str) -> None:
    """Both prompts below each other; `name` begins the names of files."""
    if not st.toggle("Prompts, token by token", key="prompts", persist_state="session"):
        return
    request = result_shown.usable_request() if result_shown.is_current() else None
    if request is None:
        st.caption("The inputs have changed since this result: analyse again.")
        return
    wanted = EditRequest(request, "prompts")
    made = asking.ask(wanted)
    if made is None:
        if not guards.failed(wanted, key="prompts_again"):
            st.caption("Preparing the prompts …")
        return
    for kind, title in TITLES.items():
        tokens = getattr(made, kind)
        count = sum(token.count for token in tokens)
        st.caption(f"{title}: {count} tokens")
        prompt_row(tokens, label=title, key=f"prompt_{kind}")
    st.caption(
        "Dashed: special tokens. Filled: what is compared, the transcript's tokens and the "
        "positions of sound, which are one box with their count. All others are the same, token "
        "for token, unless the audio markers are dropped."
    )
    widgets.downloads(
        [widgets.Download.table("Prompts", f"{name}-prompts", made.table)], key="prompts"
    )

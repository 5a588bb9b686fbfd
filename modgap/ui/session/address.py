"""The address and the session: taking a link over, and writing what is seen into it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import streamlit as st

from modgap.ui.examples import example, examples
from modgap.ui.server.offered import model_options, recognizer_options
from modgap.ui.session import link, state

_RACE_SECONDS = 2.0


def turn_page(page: str) -> None:
    """Forget the last page's remarks when another one is opened."""
    S = st.session_state
    if S.get("page", page) != page:
        S.pop("error", None)
        S.pop("notice", None)
    S["page"] = page


def restore() -> None:
    """Take over what the address says, when the session begins or the address was changed."""
    S = st.session_state
    query = {name: st.query_params.get_all(name) for name in st.query_params}
    written, before, when = S.get("address", ({}, {}, 0.0))
    if not query or query == written:
        return
    # A click may still be on its way with the address of a moment ago: no wish to go back.
    if query == before and time.monotonic() - when < _RACE_SECONDS:
        return
    found = link.parse(
        query, list(model_options()), [e.id for e in examples()], list(recognizer_options())
    )
    S["link"] = found
    for name in ("model", *state.HELD, "markers", "pipeline"):
        if name in found:
            S[name] = found[name]
    _restore_clip(found)


def _restore_clip(found: Mapping[str, Any]) -> None:
    S = st.session_state
    chosen = example(found.get("example", ""))
    if chosen is not None:
        state.use_example(chosen)
        if "trim" in S:
            start, end = found.get("start", 0.0), min(found.get("end", math.inf), S["trim"][1])
            S["trim"] = (start, end) if start < end else S["trim"]
    if "run" in found:
        if state.open_run(found["run"]):
            return
        if chosen is None:
            S["notice"] = (
                "The result of this link is not in this server's cache. "
                "Load an example, or analyse the clip again."
            )
    if chosen is not None:
        state.submit()


def publish(view: Mapping[str, Any]) -> str:
    """Write what is seen into the address; returns the query string.

    `view` holds the page's own parameters.
    """
    S = st.session_state
    ref: state.ClipRef | None = S.get("clip")
    options = model_options()
    values: dict[str, Any] = {"run": S.get("run")}
    if ref is not None and ref.source == "example":
        start, end = S["trim"]
        values |= {"example": ref.id, "start": start or None}
        values["end"] = None if end == state.clip_seconds() else end
    values |= {name: S.get(name) for name in ("model", *state.HELD, "markers")}
    defaults = {"device": "auto", "dtype": "auto", "quantize": "none", "markers": "keep"}
    if options:
        defaults["model"] = next(iter(options))
    query = link.build({**values, **view}, defaults)
    present = {name: st.query_params.get_all(name) for name in st.query_params}
    if query != present:
        st.query_params.from_dict(query)
    written, _, _ = S.get("address", ({}, {}, 0.0))
    if query != written:
        S["address"] = (query, written, time.monotonic())
    return link.encode(query)

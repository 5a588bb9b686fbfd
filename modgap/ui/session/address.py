"""The address and the session: taking a link over, and writing what is seen into it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import streamlit as st

from modgap.analysis.examples import example, examples
from modgap.interventions.maps.names import map_names
from modgap.ui.server.operator_models import model_options, recognizer_options
from modgap.ui.session import clip_in_use, inputs, link, result_shown
from modgap.ui.session.state import Address, Draft, visit

_RACE_SECONDS = 2.0


#: What a link may name and a server may lack, and what each is called.
_NAMED = {"run": "the result", "example": "the example", "model": "the model"}
#: Widgets that every address says something of, by its names.
_WIDGETS = {
    "model": inputs.MODEL, **inputs.HELD, "markers": inputs.MARKERS, "too_long": inputs.TOO_LONG,
}  # fmt: skip


def turn_page(page: str) -> None:
    """Forget the last page's remarks when another one is opened."""
    here = visit()
    if here.page not in (None, page):
        here.forget_remarks()
    here.page, here.view = page, {}


def restore() -> None:
    """Take over what the address says, when the session begins or the address was changed."""
    here = visit()
    query = {name: st.query_params.get_all(name) for name in st.query_params}
    last = here.address
    if not query or query == last.written:
        return
    # A click may still be on its way with the address of a moment ago: no wish to go back.
    if query == last.before and time.monotonic() - last.when < _RACE_SECONDS:
        return
    found = link.parse(
        query, list(model_options()), [e.id for e in examples()], list(recognizer_options()),
        map_names(),
    )  # fmt: skip
    here.link = found
    for name, widget in _WIDGETS.items():
        if name in found:
            widget.value = found[name]
    here.pipeline = found.get("pipeline", here.pipeline)
    _restore_clip(found)
    missing = [f"{what} {query[name][-1][:80]}" for name, what in _NAMED.items()
               if query.get(name) and name not in found]  # fmt: skip
    if missing:
        here.notice = (
            f"This link names what is not on this server: {', '.join(missing)}. The rest of it is "
            "shown."
        )


def _restore_clip(found: Mapping[str, Any]) -> None:
    chosen = example(found.get("example", ""))
    if chosen is not None:
        clip_in_use.use_example(chosen)
        if inputs.TRIM.is_set:
            whole = inputs.TRIM.value
            start, end = found.get("start", 0.0), min(found.get("end", math.inf), whole[1])
            inputs.TRIM.value = (start, end) if start < end else whole
    if "run" in found:
        if result_shown.open_run(found["run"]):
            if "draft" in found:  # nobody has checked the words of this link
                visit().draft = Draft(inputs.TRANSCRIPT.value, found["draft"])
            return
        if chosen is None:
            visit().notice = (
                "The result of this link is not in this server's cache. "
                "Load an example, or analyse the clip again."
            )
    if chosen is not None:
        result_shown.submit()


def publish() -> str:
    """Write what is seen into the address (`Visit.view`); returns the query string."""
    here = visit()
    options = model_options()
    values: dict[str, Any] = {"run": here.shown.key if here.shown else None}
    if here.clip is not None and here.clip.source == "example":
        start, end = inputs.TRIM.value
        values |= {"example": here.clip.id, "start": start or None}
        values["end"] = None if end == clip_in_use.whole_seconds() else end
    if here.shown is not None:
        values["draft"] = clip_in_use.drafted_by(clip_in_use.transcript())
    values |= {name: widget.get("") or None for name, widget in _WIDGETS.items()}
    defaults = {
        "device": "auto", "dtype": "auto", "quantize": "none", "markers": "keep",
        "too_long": "fail",
    }  # fmt: skip
    if options:
        defaults["model"] = next(iter(options))
    query = link.build({**values, **here.view}, defaults)
    present = {name: st.query_params.get_all(name) for name in st.query_params}
    if query != present:
        st.query_params.from_dict(query)
    if query != here.address.written:
        here.address = Address(query, here.address.written, time.monotonic())
    return link.encode(query)

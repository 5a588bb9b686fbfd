"""What the views of the page Localize share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from modgap.interventions.intervention import RULES
from modgap.interventions.maps.pins import pin
from modgap.ui import estimated, intervention_inputs, widgets
from modgap.ui.server.requests import AnalysisRequest, EditRequest
from modgap.ui.session import link
from modgap.ui.session.inputs import DECIDED
from modgap.ui.session.state import AlignmentPlace, visit

if TYPE_CHECKING:
    from modgap.analysis.patching import Patching
    from modgap.analysis.result import Analysis

VIEWS = {
    "patching": "Patching: layer × word",
    "sweep": "Sweep: layer × intervention",
    "answer": "Answer by layer",
    "lens": "Logit lens",
}
PLACES = {
    "word": "aligned span",
    "segment": "DTW segment",
    "pair": "best-matching token",
    "after": "after the audio",
}
KEEP: Any = {"persist_state": "session"}  # a setting outlives the other views and pages
START = {
    "show": "patching", "where": "word", "target": "",
    "rules": ["angle", "length"], "tokens": ["bottom-3", "all"], "fitted": None,
}  # fmt: skip
SHARED = {
    "patching": ("show", "where", "target"),
    "sweep": ("show", "rules", "tokens", "fitted", "target"),
    "lens": ("show",), "answer": ("show", "target"),
}  # fmt: skip


def restore() -> None:
    """The settings as the session has them, else the address."""
    opened = visit().link
    for name, value in START.items():
        given = opened.get(name) or value
        if not DECIDED[name].is_set:
            DECIDED[name].value = list(given) if isinstance(given, tuple) else given


def publish() -> None:
    """What decides the numbers of this view, for the address."""
    values = {name: DECIDED[name].value for name in SHARED[DECIDED["show"].value]}
    visit().view = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if value != START[name]
    }


def where() -> str:
    """What is replaced, one of `PLACES`."""
    st.segmented_control(
        "Patched positions", link.WHERE, key=DECIDED["where"].key, required=True,
        format_func=PLACES.__getitem__,
        help="**Aligned span**: where the word is said, by forced alignment. **DTW segment**: what "
        "the patched layer's own DTW path gives the token; it may cover most of the clip. "
        "**Best-matching token**: its argmax. **After the audio**: the tokens behind it, which "
        "both prompts share, each replaced by its state in the text run.",
        **KEEP,
    )  # fmt: skip
    return str(DECIDED["where"].value)


def shown_map() -> str:
    """Which map of a patching is drawn, one of `figures.interventions.PATCHED`."""
    from modgap.figures.interventions import PATCHED

    return str(
        st.segmented_control(
            "Map", list(PATCHED), key="wd_map", default="patch", required=True,
            format_func=PATCHED.__getitem__, **KEEP,
        )
    )  # fmt: skip


def grid(analysis: Analysis) -> dict[str, Any]:
    """Rules, sets of tokens and, where one is swept, the fitted map."""
    rules, tokens, fitted = DECIDED["rules"], DECIDED["tokens"], DECIDED["fitted"]
    maps = intervention_inputs.offered_maps(analysis)
    offered = [rule for rule in RULES if rule != "map" or maps]
    rules.value = [rule for rule in rules.value if rule in offered]
    st.pills("Rules", offered, selection_mode="multi", key=rules.key, **KEEP)
    st.pills("Critical tokens", link.SWEPT, selection_mode="multi", key=tokens.key, **KEEP)
    found: dict[str, Any] = {"rules": list(rules.value), "tokens": list(tokens.value)}
    if fitted.get(None) not in maps:
        fitted.value = next(iter(maps), None)
    if "map" in found["rules"]:
        st.selectbox("Fitted map", list(maps), key=fitted.key, width=190, **KEEP)
        found["map"] = pin(str(fitted.value))
    return found


def target() -> str | None:
    """The target answer."""
    text = st.text_input(
        "Target answer", key=DECIDED["target"].key, width=260, max_chars=link.MAX_NAME,
        placeholder="the answer to the text",
        help="Whose log-probability the maps show. Empty: what the model answers to the text.",
        **KEEP,
    )  # fmt: skip
    return text.strip() or None


def ask(
    request: AnalysisRequest, kind: str, options: dict[str, Any], way_on: str = ""
) -> Any | None:
    """A result of the kept runs, or why there is none; one that takes long is begun by a click.

    Where it fails, `way_on` says what can be done instead.
    """
    wanted = EditRequest(request, kind, options=json.dumps(options, sort_keys=True))
    return estimated.ask(wanted, key="wd", what="the map", way_on=way_on)


def way_on(where: str) -> str:
    """What can be patched where words can't be found."""
    told = "The aligned span needs word times; the other choices do without."
    return told if where == "word" else ""


def strongest(made: Patching) -> tuple[int, int]:
    """The layer and the text token whose patch changes the target's log-probability most."""
    size = np.abs(np.nan_to_num(made.change, nan=0.0))
    k, j = np.unravel_index(int(size.argmax()), size.shape)
    return made.layers[int(k)], int(j)


def said(**options: Any) -> str:
    """What is asked, as the arguments of a call; what is not said (None) is left out."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)


def show_on_alignment(analysis: Analysis, layer: int, j: int) -> None:
    """Have the Alignment page open at a layer and a word."""
    page = visit().alignment
    page.place = AlignmentPlace(layer, "cosine", link.PATHS)
    page.cell = (analysis.key, analysis.position(layer, j), j)


def settings_file(
    request: AnalysisRequest, analysis: Analysis, kind: str, options: dict[str, Any]
) -> widgets.Download:
    """The download that says what was asked, of what, with which versions."""
    return widgets.Download.settings(
        f"{widgets.file_stem(analysis)}-{kind}",
        lambda: {
            "kind": kind,
            "options": options,
            **widgets.provenance(analysis),
            "settings": request.settings.to_dict(),
        },
    )

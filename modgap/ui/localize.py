"""What the views of the page Where is the gap decided? share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.interventions.intervention import RULES
from modgap.ui import intervention_jobs, widgets
from modgap.ui.session import link

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis
    from modgap.ui.server.service import Request

S = st.session_state
VIEWS = {
    "patching": "Patching: layer × word",
    "sweep": "Sweep: layer × intervention",
    "lens": "Logit lens",
}
KEEP: Any = {"persist_state": "session"}  # a setting outlives the other views and pages
START = {
    "show": "patching", "where": "segment", "target": "",
    "rules": ["angle", "length"], "tokens": ["bottom-3", "all"],
}  # fmt: skip
SHARED = {
    "patching": ("show", "where", "target"), "sweep": ("show", "rules", "tokens", "target"),
    "lens": ("show",),
}  # fmt: skip


def restore() -> None:
    """The settings as the session has them, else the address."""
    opened = S.get("link", {})
    for name, value in START.items():
        given = opened.get(name) or value
        S.setdefault(f"wd_{name}", list(given) if isinstance(given, tuple) else given)


def publish() -> None:
    """What decides the numbers of this view, for the address."""
    values = {name: S[f"wd_{name}"] for name in SHARED[S["wd_show"]]}
    S["view"] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if value != START[name]
    }


def where() -> str:
    """What is replaced: "segment" or "pair"."""
    st.segmented_control(
        "What is replaced", link.WHERE, key="wd_where", required=True,
        format_func={"segment": "the word's stretch", "pair": "its best position"}.__getitem__,
        **KEEP,
    )  # fmt: skip
    return str(S["wd_where"])


def grid() -> tuple[list[str], list[str]]:
    """Rules and sets of tokens of a sweep."""
    st.pills("Rules", RULES, selection_mode="multi", key="wd_rules", **KEEP)
    st.pills("Critical tokens", link.SWEPT, selection_mode="multi", key="wd_tokens", **KEEP)
    return list(S["wd_rules"]), list(S["wd_tokens"])


def target() -> str | None:
    """The wanted answer."""
    text = st.text_input(
        "Wanted answer", key="wd_target", width=260, max_chars=link.MAX_NAME,
        placeholder="the answer to the text",
        help="Whose log-probability the maps show. Empty: what the model answers to the text.",
        **KEEP,
    )  # fmt: skip
    return text.strip() or None


def ask(request: Request, kind: str, options: dict[str, Any]) -> Any | None:
    """A result of the kept runs, or why there is none."""
    wanted = intervention_jobs.EditRequest(request, kind, (), json.dumps(options, sort_keys=True))
    found = intervention_jobs.ask(wanted, f"{request.title}: {VIEWS[kind].lower()}")
    problem = intervention_jobs.failure(wanted)
    if found is None and problem is not None:
        widgets.error(problem)
        st.button(
            "Try again", on_click=intervention_jobs.forget_failure, args=(wanted,), key="wd_again"
        )
    elif found is None:
        st.caption("Being computed: the progress is above.")
    return found


def show_on_alignment(analysis: Analysis, layer: int, j: int) -> None:
    """Have the Alignment page open at a layer and a word."""
    k = [int(n) for n in analysis.layer_ids].index(layer)
    i = int(analysis.alignment.argmax_cos[k][j])
    S["alignment"] = {"layer": layer, "measure": "cosine", "paths": ("argmax", "dtw")}
    S["cell"] = (analysis.key, i, j)


def settings_file(
    request: Request, analysis: Analysis, kind: str, options: dict[str, Any]
) -> widgets.Download:
    """The download that says what was asked, of what, with which versions."""
    return widgets.Download.settings(
        f"modgap-{kind}",
        lambda: {
            "kind": kind,
            "options": options,
            **widgets.provenance(analysis),
            "settings": intervention_jobs.settings_of(request).to_dict(),
        },
    )

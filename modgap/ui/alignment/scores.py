"""A layer's scores on the Alignment page, and what they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.ui import estimated, widgets
from modgap.ui.server.requests import EditRequest
from modgap.ui.session import result_shown
from modgap.ui.session.inputs import FILTERED
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd

    from modgap.analysis.mismatched import Mismatched
    from modgap.analysis.result import Analysis
    from modgap.ui.alignment.component import AlignEvent


#: Size of a score, in pixels. A score's script comes when the browser first needs it, some scores
#: come later, and nothing below them is to move then.
WIDTH, HEIGHT = 190, 83


def others(analysis: Analysis, drawn: bool) -> Mismatched | None:
    """The clip against other texts, asked for once the map is painted."""
    if not drawn or not result_shown.is_current():
        return None
    request = result_shown.usable_request()
    if request is None:
        return None
    wanted = EditRequest(request, "mismatched")
    return estimated.ask(wanted, key="align_others", what="the mismatched pairs")


def filtered_toggle() -> bool:
    """Whether sinks and silence are left out."""
    if not FILTERED.is_set:
        FILTERED.value = bool(visit().link.get("filtered", False))
    return st.toggle(
        "Leave out sinks and silence", key=FILTERED.key, persist_state="session",
        help="Silent: the sound of a speech token is 40 dB below the loudest one's. Sink: a speech "
        "token that is the nearest of at least 3 text tokens, of a quarter of them, and of three "
        "times as many as each would have, were all alike. The score of the others is a variant "
        "of modgap's, not the paper's APS; the map's dots stay those of the paper's path.",
    )  # fmt: skip


def metrics(
    analysis: Analysis,
    event: AlignEvent,
    support: pd.DataFrame,
    filtered: bool,
    *,
    words_to_come: bool,
) -> None:
    """The layer's scores, and what they rest on; what is to come has its place."""
    row = analysis.layers[analysis.layers["layer"] == event.layer].iloc[0]
    at = support[support["layer"] == event.layer].iloc[0]
    cosine = event.measure == "cosine"
    kind, prefix = "cos" if cosine else "euc", "filtered_" if filtered else ""
    rho = row["monotonicity" if cosine else "monotonicity_euc"]
    reason = row["monotonicity_reason" if cosine else "monotonicity_euc_reason"]
    box: Any = {"border": True, "height": HEIGHT, "width": WIDTH}
    positions = len(analysis.speech_times)
    with st.container(horizontal=True, key="scores"):
        st.metric("Layer", str(event.layer), **box | {"width": 90})
        st.metric(
            "APS without sinks and silence" if filtered else f"APS, {event.measure}",
            widgets.number(at[f"{prefix}aps_{kind}"]),
            help="Mean over text tokens of the best value in each one's row"
            + (f", {at[f'left_out_{kind}']:.0f} of {positions} speech tokens left out; the paper's "
               f"APS is {widgets.number(at[f'aps_{kind}'])}." if filtered else "."),
            **box | {"width": 250 if filtered else WIDTH},
        )  # fmt: skip
        st.metric(
            "Distinct speech tokens",
            f"{at[f'{prefix}distinct_{kind}']:.0f} of {positions}",
            help=f"Different speech tokens on the path of {len(analysis.pieces)} text tokens. Few: "
            "the score is carried by tokens that are near everything.",
            **box,
        )
        if f"word_{kind}" in support:
            chance = at["filtered_chance_" + kind if filtered else "chance"]
            st.metric(
                f"Within its word (chance {widgets.share(chance, len(analysis.pieces))})",
                widgets.share(at[f"{prefix}word_{kind}"], len(analysis.pieces)),
                help=f"Share of text tokens whose {event.measure} path lies in their word; chance: "
                "a random speech token.",
                **box,
            )
        elif words_to_come:
            _place("Within its word", box)
        if f"others_low_{kind}" in support:
            low, high = (at[f"{prefix}others_{end}_{kind}"] for end in ("low", "high"))
            st.metric(
                "Mismatched pairs",
                f"{widgets.number(low)} – {widgets.number(high)}",
                help="The middle 90 % of the score of this speech against other texts. A score "
                "inside that range is no evidence for this clip's own words.",
                **box,
            )
        elif result_shown.is_current():
            _place("Mismatched pairs", box)
        st.metric("Score on the DTW path", widgets.number(row[f"aps_dtw_{kind}"]), **box)
        defined = rho == rho
        st.metric(
            "Monotonicity ρ" if defined else "Monotonicity: undefined",
            widgets.number(rho),
            help=None if defined else widgets.plain(str(reason)),
            **box,
        )
        st.metric(
            "Pooled cosine" if cosine else "Pooled distance",
            widgets.number(row[event.measure]),
            **box,
        )


def _place(label: str, box: dict[str, Any]) -> None:
    """Where a score will stand."""
    with st.container(**box):
        st.caption(label)

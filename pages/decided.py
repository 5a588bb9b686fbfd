"""Where the gap is decided: patching, sweeps, and what each layer would say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.interventions.intervention import Intervention
from modgap.ui import PAGES, guards, intervention_inputs, localize, widgets
from modgap.ui.lens_view import lens
from modgap.ui.session.inputs import DECIDED, DECIDED_LAYER, DECIDED_WORD
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd

    from modgap.analysis.result import Analysis
    from modgap.figures.interventions import ChangeMap
    from modgap.ui.server.requests import AnalysisRequest


def said(made: Any) -> None:
    """The two ends that every change lies between."""
    with st.container(horizontal=True, key="wd_ends"):
        st.caption(
            f"Log-probability of “{widgets.plain(made.target)}”: "
            f"**{widgets.number(made.plain, 2)}** from the speech, "
            f"**{widgets.number(made.text, 2)}** from the text (nats). Warm colours: an edit makes "
            "it likelier, cold ones: less likely."
        )


def where_next(analysis: Analysis, layers: tuple[int, ...], where: str) -> tuple[int, int]:
    """The layer and the word that were clicked or are chosen here, and ways to go there."""
    from modgap.figures.text import visible

    here = visit().decided
    if here.next_cell is not None:
        (DECIDED_LAYER.value, DECIDED_WORD.value), here.next_cell = here.next_cell, None
    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_next"):
        layer = st.selectbox("Layer", layers, key=DECIDED_LAYER.key, width=110)
        j = st.selectbox(
            "Text token", range(len(analysis.pieces)), key=DECIDED_WORD.key, width=220,
            format_func=lambda n: f"{n}: {widgets.plain(visible(analysis.pieces[n]))}",
        )  # fmt: skip
        if st.button("Show on the Alignment page", key="wd_align"):
            localize.show_on_alignment(analysis, layer, j)
            st.switch_page(PAGES / "alignment.py")
        if st.button("Patch it on the Interventions page", key="wd_edit"):
            localize.show_on_alignment(analysis, layer, j)
            intervention_inputs.show_next(
                analysis, intervention_inputs.patch_of(analysis, layer, j, where)
            )
            st.switch_page(PAGES / "interventions.py")
    return j, layer


def choose(analysis: Analysis, layer: int, j: int) -> None:
    """Take a clicked cell up: here, and on the other pages."""
    visit().decided.next_cell = (layer, j)
    localize.show_on_alignment(analysis, layer, j)
    st.rerun()


def files(name: str, map_: ChangeMap, table: pd.DataFrame, settings: widgets.Download) -> None:
    """Downloads of a map."""
    file = widgets.Download
    widgets.downloads(
        [
            file.figure("Map", f"modgap-{name}", lambda: map_.figure()),
            file.table("Map", f"modgap-{name}-map", map_.table),
            file.table("All numbers", f"modgap-{name}", lambda: table),
            settings,
        ],
        key=f"wd_{name}",
    )


def patching(request: AnalysisRequest, analysis: Analysis) -> None:
    """Text into speech, one layer and word at a time."""
    from modgap.figures.interventions import ChangeMap

    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_controls"):
        where, target = localize.where(), localize.target()
    localize.publish()
    options = {"where": where, "target": target}
    made = localize.ask(request, "patching", options)
    if made is None:
        return
    said(made)
    map_ = ChangeMap.of_patching(made)
    place = st.container()
    current = where_next(analysis, made.layers, where)
    with place:
        clicked = widgets.clickable(
            map_.figure(dark=widgets.dark(), current=current), key="patching", name="patching",
            alt="Change of the answer's log-probability by patched layer and word",
        )  # fmt: skip
        st.caption("A click on a cell chooses its layer and word, here and on the other pages.")
    if clicked is not None and (clicked[0], clicked[1]) != current:
        choose(analysis, clicked[1], clicked[0])
    settings = localize.settings_file(
        request, analysis, "patching", {**options, "target": made.target}
    )
    files("patching", map_, made.table(), settings)


def sweep(request: AnalysisRequest, analysis: Analysis) -> None:
    """Interventions over layers."""
    from modgap.figures.interventions import ChangeMap

    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_controls"):
        (rules, tokens), target = localize.grid(), localize.target()
    localize.publish()
    if not rules or not tokens:
        st.caption("Choose at least one rule and one set of tokens.")
        return
    options = {"rules": rules, "tokens": tokens, "target": target}
    made = localize.ask(request, "sweep", options)
    if made is None:
        return
    said(made)
    map_ = ChangeMap.of_sweep(made)
    clicked = widgets.clickable(
        map_.figure(dark=widgets.dark()), key="sweep", name="sweep",
        alt="Change of the answer's log-probability by layer and intervention",
    )  # fmt: skip
    st.caption("A click on a cell opens its intervention on the Interventions page.")
    if clicked is not None:
        row, layer = clicked
        rule, which, strength = map_.variants[row]
        it = Intervention(rule=rule, layers=(layer,), tokens=which, strength=strength)
        intervention_inputs.show_next(analysis, it)
        st.switch_page(PAGES / "interventions.py")
    settings = localize.settings_file(
        request, analysis, "sweep", {**options, "target": made.target}
    )
    files("sweep", map_, made.table, settings)


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Where is the gap decided?",
        "**Patching** puts the text's state of one word into the stretch of speech that says it, "
        "in one layer, and asks how much likelier the wanted answer becomes. A **sweep** does the "
        "same with whole interventions. The **logit lens** reads every layer's state as if the "
        "model ended there.",
        r"\Delta = \log p(\text{answer} \mid \text{speech, edited}) - "
        r"\log p(\text{answer} \mid \text{speech})",
        "Patch: $h_s[l]_i \\leftarrow h_t[l]_j$ for the positions i of word j. Lens: "
        "softmax(W · norm($h[l]$)).",
    )
    subject = guards.subject("look into", key="empty_decided")
    if subject is None:
        return
    analysis, request = subject
    localize.restore()
    view = st.segmented_control(
        "View", list(localize.VIEWS), key=DECIDED["show"].key, required=True,
        format_func=localize.VIEWS.__getitem__, label_visibility="collapsed", **localize.KEEP,
    )  # fmt: skip
    if view == "patching":
        patching(request, analysis)
    elif view == "sweep":
        sweep(request, analysis)
    else:
        localize.publish()
        lens(request, analysis)


page()

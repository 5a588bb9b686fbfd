"""Localize: where the answer changes: patching, sweeps, and what each layer would say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.interventions.intervention import Intervention
from modgap.ui import PAGES, as_code, guards, intervention_inputs, localize, widgets
from modgap.ui.lens_view import lens
from modgap.ui.session.inputs import DECIDED, DECIDED_LAYER, DECIDED_WORD
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd

    from modgap.analysis.answer_lens import AnswerLens
    from modgap.analysis.patching import Patching
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


def where_next(analysis: Analysis, made: Patching) -> tuple[int, int]:
    """The layer and the word that were clicked or are chosen here, and ways to go there."""
    from modgap.figures.text import visible

    here, layers = visit().decided, made.layers
    if DECIDED_LAYER.get(layers[0]) not in layers or DECIDED_WORD.get(0) >= len(made.pieces):
        DECIDED_LAYER.drop()
        DECIDED_WORD.drop()
    if not DECIDED_LAYER.is_set or here.cells_of != analysis.key:
        DECIDED_LAYER.value, DECIDED_WORD.value = localize.strongest(made)
        here.cells_of = analysis.key
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
        empty = not made.positions[made.layers.index(layer)][j]
        if st.button("Patch it on the Interventions page", key="wd_edit", disabled=empty):
            localize.show_on_alignment(analysis, layer, j)
            intervention_inputs.show_next(analysis, intervention_inputs.patch_of(made, layer, j))
            st.switch_page(PAGES / "interventions.py")
    return j, layer


def choose(analysis: Analysis, layer: int, j: int) -> None:
    """Take a clicked cell up: here, and on the other pages."""
    visit().decided.next_cell = (layer, j)
    localize.show_on_alignment(analysis, layer, j)
    st.rerun()


def files(
    analysis: Analysis, name: str, map_: ChangeMap, table: pd.DataFrame,
    settings: widgets.Download, code: as_code.Code,
) -> None:  # fmt: skip
    """Downloads of a map."""
    file, kind = widgets.Download, name.partition("-")[0]
    stem = f"{widgets.file_stem(analysis)}-{name}"
    widgets.downloads(
        [
            file.figure("Map", stem, lambda: map_.figure(), of=widgets.subject(analysis, name)),
            file.table("Map", f"{stem}-map", map_.table),
            file.table("All numbers", stem, lambda: table),
            settings,
        ],
        key=f"wd_{kind}",
        code=code,
    )


def about(made: Patching) -> str:
    """What was patched, and how much of the map its amount may explain."""
    if made.where == "after":
        return (
            "Each token behind the audio, replaced by its state in the text run: from the layer on "
            "in which it carries the answer, it has what the speech had to give."
        )
    counts = made.counts[made.counts > 0]
    told = (
        f"{counts.min()} to {counts.max()} of {len(made.times)} positions a cell"
        if (counts.size)
        else "No token has positions"
    )
    times = f"; words timed by {widgets.plain(made.source)}" if made.source else ""
    size = made.size_effect
    amount = (
        f" Spearman's ρ of |change| and the number of positions: {widgets.number(size, 2)}."
        if size == size
        else ""
    )
    return (
        f"{told}{times}.{amount} **Random positions**: the same state in as many others. A click "
        "on a cell chooses its layer and word, here and on the other pages."
    )


def answer(request: AnalysisRequest, analysis: Analysis) -> None:
    """The probability of the answer by layer, where it is said."""
    from modgap.figures.answer_lens import AnswerCurves

    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_controls"):
        target = localize.target()
    localize.publish()
    made: AnswerLens | None = localize.ask(request, "answer_lens", {"target": target})
    if made is None:
        return
    curves = AnswerCurves.of(made)
    widgets.chart(
        curves.figure(dark=widgets.dark()), key="wd_answer",
        name=f"{widgets.file_stem(analysis)}-answer-by-layer",
        alt="Probability of the answer's first token by layer, from speech and from text",
    )  # fmt: skip
    st.caption(
        f"The logit lens at the last token of the prompt: the first token of "
        f"“{widgets.plain(made.target)}” in every layer's state, through the final norm and the "
        "head. The last layer is what the model says."
    )
    file, stem = widgets.Download, f"{widgets.file_stem(analysis)}-answer-by-layer"
    widgets.downloads(
        [
            file.figure("Curves", stem, lambda: curves.figure(), of=widgets.subject(analysis)),
            file.table("All numbers", stem, made.table),
            localize.settings_file(request, analysis, "answer_lens", {"target": made.target}),
        ],
        key="wd_answer_files",
        code=as_code.of_figure(
            request,
            "from modgap.figures.answer_lens import AnswerCurves",
            f"AnswerCurves.of(session.answer_lens({localize.said(target=target)}))",
        ),
    )


def patching(request: AnalysisRequest, analysis: Analysis) -> None:
    """Text into speech, one layer and word at a time."""
    from modgap.figures.interventions import ChangeMap

    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_controls"):
        where, target = localize.where(), localize.target()
    localize.publish()
    options = {"where": where, "target": target}
    made: Patching | None = localize.ask(request, "patching", options, localize.way_on(where))
    if made is None:
        return
    said(made)
    after = made.where == "after"
    shown = "patch" if after else localize.shown_map()
    map_ = ChangeMap.of_patching(made, shown)
    place = st.container()
    current = None if after else where_next(analysis, made)
    with place:
        clicked = widgets.clickable(
            map_.figure(dark=widgets.dark(), current=current), key="patching",
            name=f"{widgets.file_stem(analysis)}-patching-{where}-{shown}",
            alt="Change of the answer's log-probability by patched layer and word",
        )  # fmt: skip
        st.caption(about(made))
    if clicked is not None and not after and (clicked[0], clicked[1]) != current:
        choose(analysis, clicked[1], clicked[0])
    settings = localize.settings_file(
        request, analysis, "patching", {**options, "target": made.target}
    )
    flags = ("--target", target) if target else ()
    code = as_code.of_figure(
        request, "from modgap.figures.interventions import ChangeMap",
        f"ChangeMap.of_patching(session.patching({localize.said(where=where, target=target)}), "
        f"{shown!r})",
        "sweep", "--patch", "--where", where, *flags,
    )  # fmt: skip
    files(analysis, f"patching-{where}-{shown}", map_, made.table(), settings, code)


def sweep(request: AnalysisRequest, analysis: Analysis) -> None:
    """Interventions over layers."""
    from modgap.figures.interventions import ChangeMap

    with st.container(horizontal=True, vertical_alignment="bottom", key="wd_controls"):
        grid, target = localize.grid(analysis), localize.target()
    localize.publish()
    if not grid["rules"] or not grid["tokens"]:
        st.caption("Choose at least one rule and one set of tokens.")
        return
    options = {**grid, "target": target}
    made = localize.ask(request, "sweep", options)
    if made is None:
        return
    said(made)
    map_ = ChangeMap.of_sweep(made)
    clicked = widgets.clickable(
        map_.figure(dark=widgets.dark()), key="sweep", name=f"{widgets.file_stem(analysis)}-sweep",
        alt="Change of the answer's log-probability by layer and intervention",
    )  # fmt: skip
    st.caption("A click on a cell opens its intervention on the Interventions page.")
    if clicked is not None:
        row, layer = clicked
        rule, which, strength = map_.variants[row]
        of_map = grid.get("map", "") if rule == "map" else ""
        it = Intervention(rule=rule, layers=(layer,), tokens=which, strength=strength, map=of_map)
        intervention_inputs.show_next(analysis, it)
        st.switch_page(PAGES / "interventions.py")
    settings = localize.settings_file(
        request, analysis, "sweep", {**options, "target": made.target}
    )
    flags = [part for rule in grid["rules"] for part in ("--rule", rule)]
    flags += [part for name in grid["tokens"] for part in ("--tokens", name)]
    flags += ["--map", grid["map"]] if "map" in grid else []
    flags += ["--target", target] if target else []
    code = as_code.of_figure(
        request, "from modgap.figures.interventions import ChangeMap",
        f"ChangeMap.of_sweep(session.sweep({localize.said(**options)}))", "sweep", *flags,
    )  # fmt: skip
    files(analysis, "sweep", map_, made.table, settings, code)


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Localize: where does the answer change?",
        "**Patching** puts the text's state of one token into the aligned span of its word, in one "
        "layer, and asks how much likelier the target answer becomes; as many random positions "
        "are the control. A **sweep** does the same with whole interventions. **Answer by layer** "
        "is the logit lens where the answer is said, speech against text; the **logit lens** "
        "reads every position as if the model ended at a layer. In the maps a column is a layer, "
        "a row a token or an intervention; warm: the edit makes the target likelier, cold: less "
        "likely. A cell that is as warm for random positions says nothing of its word.",
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
    elif view == "answer":
        answer(request, analysis)
    else:
        localize.publish()
        lens(request, analysis)


page()

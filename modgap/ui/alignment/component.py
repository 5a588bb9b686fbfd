"""The alignment component in a page: every speech against every text position, with sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from modgap.figures.alignment import source
from modgap.figures.alignment.events import AlignEvent, Cell, checked_cell, checked_event
from modgap.figures.alignment.payload import OPEN, PATHS, WordRow, pack
from modgap.figures.alignment.view import AlignmentView
from modgap.ui.session import state

__all__ = ["AlignEvent", "AlignmentView", "Cell", "align_view", "paths_now"]

MOUNT = Path(__file__).parents[1] / "static" / "align_mount.js"

_component = st.components.v2.component(
    "modgap_align", html=source.markup(), css=source.style(), js=source.script(MOUNT)
)


def align_view(
    view: AlignmentView | Any,
    *,
    key: str,
    layer: int | None = None,
    measure: str = "cosine",
    paths: tuple[str, ...] = OPEN,
    cell: tuple[int, int] | None = None,
    marks: Sequence[tuple[int, int]] = (),
    words: Sequence[WordRow] | None = None,
    scores: bool = True,
    on_layer_change: Callable[[], None] | None = None,
    on_cell: Callable[[Cell], None] | None = None,
) -> AlignEvent:
    """Mount the component and return what it shows.

    Parameters
    ----------
    view : AlignmentView or Analysis
    key : str
        The widget's key; its state is `state.component`.
    layer, measure, paths, cell
        Where the view opens: from a permalink, say. They count when the component appears;
        afterwards the user moves it, and the returned event says where it is. Other data under
        the same key open where the view stands (only `cell` counts anew).
    marks : sequence of (i, j)
        Cells that stand out in every layer; others can be given in every run.
    words : sequence of (start s, end s, first text position, last), optional
        When each word is said, drawn where ``"words"`` is among the paths. Without it there is no
        switch for them; an empty one offers the switch while the times are not known yet.
    scores : bool
        Whether it prints the layer's scores; a page that prints them itself says no.
    on_layer_change : callable, optional
        Called before the run that a layer change causes.
    on_cell : callable, optional
        Called with the cell before the run that a click or Enter causes.

    Returns
    -------
    AlignEvent
        ``layer`` is a layer number of the model. ``cell`` is set in the one run that a click or
        Enter causes. What the browser sends is checked; anything out of range is ignored.
    """
    if not isinstance(view, AlignmentView):
        view = AlignmentView.from_analysis(view)
    # The payload must not change while the component is shown, or all of it would travel again:
    # so the opening view is remembered, and renewed when the data or the mount are new.
    start, mounted = (layer, measure, tuple(paths), cell), state.component(key)
    openings = state.visit().openings
    held = openings.get(key)
    if held is None or held[0] != view.id or mounted is None:
        if held is not None and held[0] != view.id and mounted is not None:
            shown = checked_event(view, mounted, held[1])
            start = (shown.layer, shown.measure, shown.paths, cell)
        held = openings[key] = (view.id, start)
    start = held[1]
    data = pack(view, layer=start[0], measure=start[1], paths=start[2], cell=start[3], marks=marks,
                words=words, scores=scores)  # fmt: skip

    def clicked() -> None:
        cell = checked_cell(view, (state.component(key) or {}).get("cell"))
        if on_cell is not None and cell is not None:
            on_cell(cell)

    result = _component(
        key=key,
        data=data,
        on_cell_change=clicked,
        on_layer_change=on_layer_change or (lambda: None),
        on_measure_change=lambda: None,
        on_painted_change=lambda: None,
        on_paths_change=lambda: None,
    )
    return checked_event(view, result, start)


def paths_now(key: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """What the component under `key` shows at the begin of a run, before it is mounted again."""
    chosen = (state.component(key) or {}).get("paths")
    return tuple(p for p in PATHS if p in (chosen if isinstance(chosen, list) else otherwise))

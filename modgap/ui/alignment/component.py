"""The alignment component: every speech against every text position, in every layer, with sound.

Everything a view needs travels once, as one block of bytes: both matrices of all layers in eight
bits, the paths, the exact values of the path's pairs, the envelope and the sound. A change of
layer, measure, zoom or path is then drawn by the browser alone.

The payload: a little-endian uint32 (length of the head), the head (JSON, what ``head["sections"]``
lists with offset and length counted from the end of the head), and the sections, in 4-byte steps.
"""

from __future__ import annotations

import json
import math
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from modgap.ui.alignment.data import AlignmentView, body
from modgap.ui.session import state

__all__ = ["AlignEvent", "AlignmentView", "Cell", "align_view", "pack"]

STATIC = Path(__file__).parents[1] / "static"
PARTS = ("decode", "format", "geometry", "paint", "player", "thumbs", "pointer", "align")
MEASURES = ("cosine", "euclidean")
PATHS = ("argmax", "dtw", "words")
OPEN = ("argmax", "dtw")  # what a view shows unless it is told otherwise
WordRow = tuple[float, float, int, int]  # start and end (s), first and last text position
_KEEP = 6  # packed views held for all sessions, about 12 MB each at 33 x 750 x 200

_packed: OrderedDict[str, tuple[dict[str, Any], bytes]] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Cell:
    """A pair the user chose: layer number, speech position i, text position j."""

    layer: int
    i: int
    j: int


@dataclass(frozen=True)
class AlignEvent:
    """What the component shows now, and the cell of the click that caused this run, if one did.

    `painted` once the browser has said that the first map is on screen.
    """

    layer: int
    measure: str
    paths: tuple[str, ...]
    cell: Cell | None
    painted: bool = False


def pack(
    view: AlignmentView,
    *,
    layer: int | None = None,
    measure: str = "cosine",
    paths: tuple[str, ...] = OPEN,
    cell: tuple[int, int] | None = None,
    marks: Sequence[tuple[int, int]] = (),
    words: Sequence[WordRow] | None = None,
    scores: bool = True,
) -> bytes:
    """The payload of a view that opens at layer number `layer`, `measure`, `paths` and `cell`.

    `marks` are cells (i, j) that stand out in every layer; for `words` and `scores` see
    `align_view`.
    """
    with _lock:
        hit = _packed.get(view.id)
        if hit:
            _packed.move_to_end(view.id)
    if hit is None:
        hit = body(view)
        with _lock:
            _packed[view.id] = hit
            while len(_packed) > _KEEP:
                _packed.popitem(last=False)
    head, sections = hit
    start = {
        "layer": view.index(layer),
        "measure": measure if measure in MEASURES else MEASURES[0],
        "paths": [p for p in PATHS if p in paths],
        "cell": list(cell) if cell and view.holds(*cell) else None,
        "marks": [[int(i), int(j)] for i, j in marks if view.holds(i, j)],
        "scores": scores,
        "words": None
        if words is None
        else [
            [float(start), float(end), int(j), int(last)]
            for start, end, j, last in words
            if 0 <= j <= last < view.shape[2] and 0 <= start <= end < math.inf
        ],
    }
    text = json.dumps({**head, "start": start}, allow_nan=False, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + sections


def _script() -> str:
    return "\n".join((STATIC / f"{part}.js").read_text("utf-8") for part in PARTS)


def _static(suffix: str) -> str:
    return (STATIC / f"align.{suffix}").read_text("utf-8")


_component = st.components.v2.component(
    "modgap_align", html=_static("html"), css=_static("css"), js=_script()
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
            shown = _event(view, mounted, held[1])
            start = (shown.layer, shown.measure, shown.paths, cell)
        held = openings[key] = (view.id, start)
    start = held[1]
    data = pack(view, layer=start[0], measure=start[1], paths=start[2], cell=start[3], marks=marks,
                words=words, scores=scores)  # fmt: skip

    def clicked() -> None:
        cell = _cell(view, (state.component(key) or {}).get("cell"))
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
    return _event(view, result, start)


def paths_now(key: str, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """What the component under `key` shows at the begin of a run, before it is mounted again."""
    chosen = (state.component(key) or {}).get("paths")
    return tuple(p for p in PATHS if p in (chosen if isinstance(chosen, list) else otherwise))


def _event(view: AlignmentView, told: Any, start: tuple[Any, ...]) -> AlignEvent:
    """The component's state, checked: it comes from a browser."""
    opening = view.layers[view.index(start[0])]
    layer, measure, paths = told.get("layer"), told.get("measure"), told.get("paths")
    if type(layer) is not int or layer not in view.layers:  # True is an int, too
        layer = opening
    if measure not in MEASURES:
        measure = start[1] if start[1] in MEASURES else MEASURES[0]
    chosen = paths if isinstance(paths, list) else start[2]
    return AlignEvent(
        layer=layer,
        measure=measure,
        paths=tuple(p for p in PATHS if p in chosen),
        cell=_cell(view, told.get("cell")),
        painted=told.get("painted") is True,
    )


def _cell(view: AlignmentView, raw: Any) -> Cell | None:
    try:
        cell = Cell(int(raw["layer"]), int(raw["i"]), int(raw["j"]))
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    return cell if cell.layer in view.layers and view.holds(cell.i, cell.j) else None

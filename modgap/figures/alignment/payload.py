"""The alignment map as one block of bytes, which travels to the browser once.

Everything a view needs is in it: both matrices of all layers in eight bits, the paths, the exact
values of the path's pairs, the envelope and the sound. A change of layer, measure, zoom or path is
then drawn by the browser alone.

The payload: a little-endian uint32 (length of the head), the head (JSON, what ``head["sections"]``
lists with offset and length counted from the end of the head), and the sections, in 4-byte steps.
"""

from __future__ import annotations

import json
import math
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from modgap.figures.alignment.view import AlignmentView, body

__all__ = ["MEASURES", "OPEN", "PATHS", "WordRow", "mark_list", "pack",
           "word_list"]  # fmt: skip

MEASURES = ("cosine", "euclidean")
PATHS = ("argmax", "dtw", "words")
OPEN = ("argmax", "dtw")  # what a view shows unless it is told otherwise
WordRow = tuple[float, float, int, int]  # start and end (s), first and last text position
_KEEP = 6  # packed views held for all sessions, about 12 MB each at 33 x 750 x 200

_packed: OrderedDict[str, tuple[dict[str, Any], bytes]] = OrderedDict()
_lock = threading.Lock()


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

    `marks` are cells (i, j) that stand out in every layer; `words` are the words' times;
    None: no switch for them, empty: the times are not known yet. `scores`: whether the view prints
    the layer's scores.
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
        "marks": mark_list(view, marks),
        "scores": scores,
        "words": None if words is None else word_list(view, words),
    }
    text = json.dumps({**head, "start": start}, allow_nan=False, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + sections


def mark_list(view: AlignmentView, marks: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Cells (i, j) as the script reads them, without those that the view does not hold."""
    return [[int(i), int(j)] for i, j in marks if view.holds(i, j)]


def word_list(view: AlignmentView, words: Sequence[WordRow]) -> list[list[float]]:
    """Words as the script reads them, without those that the view does not hold."""
    return [
        [float(start), float(end), int(j), int(last)]
        for start, end, j, last in words
        if 0 <= j <= last < view.shape[2] and 0 <= start <= end < math.inf
    ]

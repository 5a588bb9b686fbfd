"""What the browser says of an alignment map, checked: it comes from a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modgap.figures.alignment.payload import MEASURES, PATHS
from modgap.figures.alignment.view import AlignmentView

__all__ = ["AlignEvent", "Cell", "checked_cell", "checked_event"]


@dataclass(frozen=True)
class Cell:
    """A pair the user chose: layer number, speech position i, text position j."""

    layer: int
    i: int
    j: int


@dataclass(frozen=True)
class AlignEvent:
    """What the map shows now, and the cell of the click that caused this run, if one did.

    `painted` once the browser has said that the first map is on screen.
    """

    layer: int
    measure: str
    paths: tuple[str, ...]
    cell: Cell | None
    painted: bool = False


def checked_event(view: AlignmentView, told: Any, start: tuple[Any, ...]) -> AlignEvent:
    """The state that a browser tells, what is out of range replaced by the opening `start`.

    Parameters
    ----------
    view : AlignmentView
    told : mapping
        ``layer``, ``measure``, ``paths``, ``cell``, ``painted``, as the script has them.
    start : tuple of (layer, measure, paths, ...)
    """
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
        cell=checked_cell(view, told.get("cell")),
        painted=told.get("painted") is True,
    )


def checked_cell(view: AlignmentView, raw: Any) -> Cell | None:
    """The cell of a mapping with ``layer``, ``i`` and ``j``; None unless the view holds it."""
    try:
        cell = Cell(int(raw["layer"]), int(raw["i"]), int(raw["j"]))
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    return cell if cell.layer in view.layers and view.holds(cell.i, cell.j) else None

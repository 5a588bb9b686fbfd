"""The widget itself; needs the package anywidget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets
from ipywidgets import CallbackDispatcher

from modgap.figures.alignment.events import Cell, checked_cell
from modgap.figures.alignment.payload import MEASURES, PATHS, WordRow, mark_list, pack, word_list
from modgap.figures.alignment.view import AlignmentView
from modgap.notebook.script import module

__all__ = ["AlignmentWidget"]


class AlignmentWidget(anywidget.AnyWidget):
    """The alignment map of one clip; `modgap.widget` makes it.

    Attributes
    ----------
    layer : int
        The layer that is shown, a number of the model's.
    measure : "cosine" or "euclidean"
    paths : list of str
        Those drawn, of ``"argmax"``, ``"dtw"``, ``"words"``.
    cell : Cell or None
        The pair that was clicked last: ``cell.layer``, ``cell.i`` (speech), ``cell.j`` (text).
        A pair (i, j) can be assigned, too.

    All can be assigned and observed (``widget.observe(f, "layer")``). What does not fit, from
    either side, is refused with a ``TraitError``.
    """

    _esm = module()
    _payload = traitlets.Bytes().tag(sync=True)
    _marks: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _words: traitlets.List[Any] = traitlets.List(allow_none=True).tag(sync=True)

    layer = traitlets.Int().tag(sync=True)
    measure = traitlets.Enum(MEASURES, MEASURES[0]).tag(sync=True)
    paths = traitlets.List(traitlets.Enum(PATHS)).tag(sync=True)
    cell = traitlets.Any(None, allow_none=True).tag(
        sync=True, to_json=lambda cell, _: None if cell is None else [cell.layer, cell.i, cell.j]
    )

    def __init__(
        self,
        view: AlignmentView,
        *,
        layer: int | None = None,
        measure: str = MEASURES[0],
        paths: Sequence[str] = (),
        cell: tuple[int, int] | None = None,
        words: Sequence[WordRow] | None = None,
        marks: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._view = view
        self._clicked = CallbackDispatcher()
        super().__init__(
            _payload=pack(view),
            _marks=mark_list(view, marks),
            _words=None if words is None else word_list(view, words),
            layer=view.layers[view.index(None)] if layer is None else layer,
            measure=measure,
            paths=list(paths),
        )
        self.cell = cell
        self.on_msg(self._told)

    def on_cell(self, callback: Callable[[Cell], None], remove: bool = False) -> None:
        """Call `callback` with the `Cell` of every click (and Enter) on the map.

        It runs in the kernel between cells, so what it prints goes to the notebook's log: let it
        write into an ``ipywidgets.Output``, or change another widget.
        """
        self._clicked.register_callback(callback, remove=remove)

    @traitlets.validate("layer")
    def _known_layer(self, proposal: Any) -> int:
        layers = self._view.layers
        if proposal["value"] not in layers:
            raise traitlets.TraitError(
                f"Layer {proposal['value']} was not analysed; there are {layers[0]} to "
                f"{layers[-1]}."
            )
        return proposal["value"]

    @traitlets.validate("cell")
    def _known_cell(self, proposal: Any) -> Cell | None:
        value = proposal["value"]
        if value is None:
            return None
        if isinstance(value, Cell):
            value = (value.layer, value.i, value.j)
        try:
            layer, i, j = value if len(value) == 3 else (self.layer, *value)
        except (TypeError, ValueError):
            layer = i = j = None
        found = checked_cell(self._view, {"layer": layer, "i": i, "j": j})
        if found is None:
            _, n, m = self._view.shape
            raise traitlets.TraitError(
                f"A cell is a pair (i, j) with i below {n} and j below {m}, not {value!r}."
            )
        return found

    def _told(self, _: Any, content: Any, buffers: Any) -> None:
        """A message of the browser's: a click."""
        if not isinstance(content, dict) or content.get("event") != "cell":
            return
        cell = checked_cell(self._view, content)
        if cell is not None:
            self.cell = cell
            self._clicked(cell)

"""What the views of all results share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modgap.figures.palette import palette

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Plots", "on_page"]


def on_page(figure: go.Figure, dark: bool) -> go.Figure:
    """The figure on the page of its own theme: a notebook's may be of the other."""
    p = palette(dark)
    figure.update_layout(paper_bgcolor=p.page, plot_bgcolor=p.page)
    return figure


class Plots:
    """The view of one result: HTML, a line of text, and a method a figure.

    Every figure takes ``dark=True`` for dark pages; it is a ``plotly.graph_objects.Figure``.
    """

    def __init__(self, result: Any) -> None:
        self._of = result

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The figures that there are."""
        own = {n for c in cls.__mro__ if c not in (Plots, object) for n in vars(c)}
        return tuple(sorted(n for n in own - {"html", "line"} if not n.startswith("_")))

    def html(self) -> str:
        """The result as a piece of HTML: a table and a curve."""
        raise NotImplementedError

    def line(self) -> str:
        """The result in one line of text."""
        raise NotImplementedError

    def __repr__(self) -> str:
        figures = ", ".join(f".{name}()" for name in self.names())
        return f"Figures of {self.line()}: {figures}"

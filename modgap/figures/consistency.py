"""The consistency of patterns: one point with its interval per model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from modgap.analysis.consistency import STATISTICS
from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.measures import Measure, measure
from modgap.figures.palette import MARKERS, palette
from modgap.figures.text import plain, shorten

if TYPE_CHECKING:
    from modgap.analysis.consistency import Consistency

UNITS = {
    "level": "mean",
    "over_layers": "std over layers",
    "over_clips": "mean std over clips",
    "agreement": "mean correlation",
}
NAME = 26  # characters of a model's name that an axis holds


@dataclass(frozen=True)
class ConsistencyPoints:
    """One statistic of one measure in several models.

    Attributes
    ----------
    key : str
        The measure.
    statistic : str
        Of `UNITS`.
    names : tuple of str
    values : tuple of float
        NaN where undefined.
    lows, highs : tuple of float or None
        Ends of the 95 % intervals, None where there is none.
    """

    key: str
    statistic: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]

    def __post_init__(self) -> None:
        measure(self.key)
        if self.statistic not in UNITS:
            raise ModgapError(
                f"Unknown statistic {self.statistic!r}. Choose from {', '.join(UNITS)}."
            )
        if not self.names or len(set(self.names)) < len(self.names):
            raise ModgapError("Points need at least one model, and models named apart.")
        if {len(self.values), len(self.lows), len(self.highs)} != {len(self.names)}:
            raise ModgapError("Names, values and intervals must be equally many.")
        for low, high in zip(self.lows, self.highs, strict=True):
            if (low is None) != (high is None) or (low is not None and low > (high or low)):
                raise ModgapError("An interval needs both ends, the lower one first.")

    @property
    def measure(self) -> Measure:
        """What is measured."""
        return measure(self.key)

    @property
    def title(self) -> str:
        """The statistic in words."""
        return STATISTICS[self.statistic]

    @classmethod
    def of(cls, found: Sequence[Consistency], statistic: str) -> ConsistencyPoints:
        """From what `modgap.consistency` gives for one measure."""
        if not found or len({c.measure for c in found}) != 1:
            raise ModgapError("Points in one figure are of one measure.")
        if statistic not in UNITS:
            raise ModgapError(f"Unknown statistic {statistic!r}. Choose from {', '.join(UNITS)}.")
        made = [getattr(c, statistic) for c in found]
        return cls(
            found[0].measure,
            statistic,
            tuple(c.model for c in found),
            tuple(e.value for e in made),
            tuple(e.low for e in made),
            tuple(e.high for e in made),
        )

    def figure(self, *, dark: bool = False, height: int | None = None) -> go.Figure:
        """Models from top to bottom, in the colours and markers of the curves."""
        fig = base.figure(self.traces(dark), dark=dark, height=height or 100 + 32 * len(self.names))
        fig.update_layout(showlegend=False, margin={"t": 8})
        fig.update_yaxes(self.y_axis())
        fig.update_xaxes(title_text=UNITS[self.statistic], range=self.x_range(), nticks=6)
        return fig

    def traces(self, dark: bool = False) -> list[go.Scatter]:
        """Each model's interval, if there is one, and its point on it."""
        p, made = palette(dark), []
        for k, name in enumerate(self.names):
            value, low, high = self.values[k], self.lows[k], self.highs[k]
            colour, tail = p.series[k % len(p.series)], ""
            if low is not None and high is not None:
                # A line of its own: a percentile interval need not hold the value.
                interval = go.Scatter(
                    x=[low, high], y=[k, k], mode="lines+markers", hoverinfo="skip",
                    line={"color": colour, "width": 1.8}, showlegend=False,
                    marker={"symbol": "line-ns", "size": 9,
                            "line": {"width": 1.8, "color": colour}},
                )  # fmt: skip
                made.append(interval)
                tail = f" [{low:.4f} … {high:.4f}]"
            point = go.Scatter(
                x=[value], y=[k], mode="markers", name=plain(name), showlegend=False,
                marker={"size": 10, "symbol": MARKERS[k % len(MARKERS)], "color": colour},
                hovertemplate=f"%{{x:.4f}}{tail}",
            )  # fmt: skip
            made.append(point)
        return made

    def y_axis(self) -> dict[str, Any]:
        """The models' names, the first one on top."""
        n = len(self.names)
        return {
            "range": [n - 0.5, -0.5],
            "tickvals": list(range(n)),
            "ticktext": [plain(shorten(name, NAME)) for name in self.names],
            "showgrid": False,
        }

    def x_range(self) -> list[float]:
        """From 0 for a spread, up to 1 for an agreement, around what is drawn for a level."""
        drawn = [v for v in (*self.values, *self.lows, *self.highs) if v is not None]
        drawn = [v for v in drawn if np.isfinite(v)]
        if not drawn:
            return [0.0, 1.0]
        low, high = min(drawn), max(drawn)
        if self.statistic == "agreement":
            return [min(0.0, low - 0.05), 1.03]
        if self.statistic in ("over_layers", "over_clips"):
            return [0.0, (high or 1.0) * 1.08]
        room = 0.08 * (high - low) or 0.1 * abs(high) or 0.1
        return [low - room, high + room]

    def table(self) -> pd.DataFrame:
        """model, measure, statistic, value, low, high."""
        return pd.DataFrame(
            {
                "model": self.names,
                "measure": self.key,
                "statistic": self.statistic,
                "value": np.asarray(self.values, float),
                "low": np.asarray(self.lows, dtype=float),
                "high": np.asarray(self.highs, dtype=float),
            }
        )


def consistency_panels(points: Sequence[ConsistencyPoints], *, dark: bool = False) -> go.Figure:
    """Several statistics in one figure to keep, three panels in a row.

    Raises
    ------
    ModgapError
        There are none, or they are of different models.
    """
    if not points or len({p.names for p in points}) != 1:
        raise ModgapError("Panels show the same models, in at least one statistic.")
    columns = min(3, len(points))
    rows = -(-len(points) // columns)
    fig = make_subplots(
        rows=rows, cols=columns, vertical_spacing=0.28 / rows, horizontal_spacing=0.05,
        subplot_titles=[plain(f"{p.measure.short}, {p.title}") for p in points],
        shared_yaxes=True,
    )  # fmt: skip
    for n, each in enumerate(points):
        at = {"row": n // columns + 1, "col": n % columns + 1}
        for trace in each.traces(dark):
            fig.add_trace(trace, **at)
        fig.update_yaxes(each.y_axis(), **at)
        fig.update_xaxes(title_text=UNITS[each.statistic], range=each.x_range(), nticks=6, **at)
    fig.update_layout(
        template=base.template_name(dark), height=70 + rows * (110 + 32 * len(points[0].names)),
        margin={"t": 56},
    )  # fmt: skip
    return fig

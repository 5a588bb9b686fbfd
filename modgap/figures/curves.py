"""One measure over layers, for one or many runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.measures import Measure, measure
from modgap.figures.palette import DASHES, MARKERS, palette, rgba
from modgap.figures.text import plain


@dataclass(frozen=True, eq=False)
class LayerCurve:
    """One run's values: layers int (K,), values float (K,), NaN where undefined; low, high and
    median are the quartiles over tokens, float (K,) or None. Where there is a median, it is the
    curve, and the values (of the mean vectors) are a second one beside it."""

    name: str
    layers: np.ndarray
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    median: np.ndarray | None = None

    def __post_init__(self) -> None:
        arrays = [self.layers, self.values, self.low, self.high, self.median]
        shapes = {np.shape(a) for a in arrays if a is not None}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1 or not len(self.layers):
            raise ModgapError(f"Curve {self.name!r}: layers, values and band must be equally long.")
        if (np.diff(self.layers) <= 0).any():
            raise ModgapError(f"Curve {self.name!r}: layer numbers must rise.")
        if (self.low is None) != (self.high is None):
            raise ModgapError(f"Curve {self.name!r}: a band needs both ends.")

    @classmethod
    def of(cls, layers: Any, key: str, name: str, *, band: bool = True) -> LayerCurve:
        """The curve of column `key` in ``analysis.layers`` (or of an `Analysis`).

        With `band`, the median over tokens and their quartiles, where the table has them all.
        """
        table = layers if isinstance(layers, pd.DataFrame) else layers.layers
        m = measure(key)
        ends = m.band if band and m.band and set(m.band) <= set(table.columns) else None

        def column(c: str) -> np.ndarray:
            return table[c].to_numpy(dtype=float, na_value=np.nan)

        return cls(
            name=name,
            layers=table["layer"].to_numpy(dtype=int),
            values=column(key),
            low=column(ends[0]) if ends else None,
            median=column(ends[1]) if ends else None,
            high=column(ends[2]) if ends else None,
        )


@dataclass(frozen=True, eq=False)
class LayerCurves:
    """Curves of one measure, drawn over each other."""

    key: str
    curves: tuple[LayerCurve, ...]

    def __post_init__(self) -> None:
        measure(self.key)
        if not self.curves:
            raise ModgapError("No curve to draw: choose at least one run.")
        names = [c.name for c in self.curves]
        if len(set(names)) < len(names):
            raise ModgapError("Two curves bear the same name; name them apart.")

    @property
    def measure(self) -> Measure:
        return measure(self.key)

    def y_range(self, *, upper: bool = False) -> list[float]:
        """A range that does not hang on the run: -1..1 where the measure is bounded (with `upper`
        the upper half, if nothing lies below), else from 0 to the next round number."""
        ends = [
            a for c in self.curves for a in (c.values, c.low, c.high, c.median) if a is not None
        ]
        every = np.concatenate(ends)
        every = every[np.isfinite(every)]
        m = self.measure
        if m.bounds:
            whole = not upper or (every.size > 0 and every.min() < 0)
            return [-1.04, 1.04] if whole else [0.0, 1.02]
        top = max(float(every.max()) if every.size else 1.0, (m.reference or 0) * 1.1)
        return [0.0, _round_above(1.02 * (top or 1.0))]

    def figure(
        self,
        *,
        current: int | None = None,
        dark: bool = False,
        height: int = 360,
        upper: bool = False,
    ) -> go.Figure:
        """Curves told apart by colour, dash and marker; the band is the quartiles over tokens.

        `current` marks a layer; `upper` as in `y_range`. Undefined values are gaps.
        """
        fig = base.figure(dark=dark, height=height)
        add_curves(fig, self, dark=dark)
        layers = np.concatenate([c.layers for c in self.curves])
        fig.update_xaxes(base.layer_axis(layers.tolist()))
        fig.update_yaxes(title_text=self.measure.label, range=self.y_range(upper=upper))
        two = any(c.median is not None for c in self.curves)
        fig.update_layout(hovermode="x unified", showlegend=two or len(self.curves) > 1)
        base.mark_layer(fig, current, dark)
        return fig

    def table(self) -> pd.DataFrame:
        """The numbers drawn: name, layer, the measure, and median, low, high where there are."""
        rows = []
        for c in self.curves:
            part = pd.DataFrame({"name": c.name, "layer": c.layers, self.key: c.values})
            for name in ("median", "low", "high"):
                if getattr(c, name) is not None:
                    part[name] = getattr(c, name)
            rows.append(part)
        return pd.concat(rows, ignore_index=True)


def _round_above(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
    return next(step * power for step in steps if step * power >= value * (1 - 1e-12))


def add_curves(
    fig: go.Figure,
    curves: LayerCurves,
    *,
    dark: bool,
    first: int = 0,
    names: bool = True,
    at: dict[str, int] | None = None,
) -> None:
    """Draw into `fig`, or its panel ``{"row": r, "col": c}``; styles are counted from `first`."""
    p, m = palette(dark), curves.measure
    where: dict[str, Any] = dict(at or {})
    for n, c in enumerate(curves.curves, start=first):
        colour, group = p.series[n % len(p.series)], f"{m.key}-{n}"
        x = c.layers.astype(np.int32)
        if c.low is not None and c.high is not None:
            for y, fill in ((c.low, None), (c.high, "tonexty")):
                band = go.Scatter(
                    x=x, y=y, mode="lines", line={"width": 0}, fill=fill, hoverinfo="skip",
                    fillcolor=rgba(colour, 0.16), legendgroup=group, showlegend=False,
                    name="quartiles",
                )  # fmt: skip
                fig.add_trace(band, **where)
        spread = None
        tail = ""
        if c.low is not None and c.high is not None:
            spread = np.stack([c.low, c.high], axis=1)
            tail = f" [%{{customdata[0]:.{m.digits}f}} … %{{customdata[1]:.{m.digits}f}}]"
        name = plain(c.name) if names else m.short
        first_line = c.values if c.median is None else c.median
        if c.median is not None:
            alone = len(curves.curves) == 1 and names
            pooled = go.Scatter(
                x=x, y=c.values, mode="lines", legendgroup=f"{group}-pooled",
                name="pooled (mean vectors)" if alone else f"{name}, pooled",
                line={"color": colour, "width": 1.6, "dash": "dot"}, connectgaps=False,
                hovertemplate=f"%{{y:.{m.digits}f}}",
            )  # fmt: skip
            fig.add_trace(pooled, **where)
            name = "token median, quartiles" if alone else f"{name}, token median"
        line_trace = go.Scatter(
            x=x,
            y=first_line,
            mode="lines+markers",
            name=name,
            legendgroup=group,
            line={"color": colour, "width": 2, "dash": DASHES[n % len(DASHES)]},
            marker={"symbol": MARKERS[n % len(MARKERS)], "size": 6},
            connectgaps=False,
            customdata=spread,
            hovertemplate=f"%{{y:.{m.digits}f}}{tail}",
        )
        fig.add_trace(line_trace, **where)
    if m.reference is not None:
        line = {"color": p.axis, "width": 1}
        fig.add_hline(y=m.reference, line=line, layer="below", **where)

"""One measure over layers, for one or many runs."""

from __future__ import annotations

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
    """One run's values: layers int (K,), values float (K,), NaN where undefined; low and high are
    the quartiles over tokens, float (K,) or None."""

    name: str
    layers: np.ndarray
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def __post_init__(self) -> None:
        arrays = [self.layers, self.values, self.low, self.high]
        shapes = {np.shape(a) for a in arrays if a is not None}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1 or not len(self.layers):
            raise ModgapError(f"Curve {self.name!r}: layers, values and band must be equally long.")
        if (np.diff(self.layers) <= 0).any():
            raise ModgapError(f"Curve {self.name!r}: layer numbers must rise.")
        if (self.low is None) != (self.high is None):
            raise ModgapError(f"Curve {self.name!r}: a band needs both ends.")

    @classmethod
    def of(cls, layers: Any, key: str, name: str, *, band: bool = True) -> LayerCurve:
        """The curve of column `key` in ``analysis.layers`` (or of an `Analysis`)."""
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
            high=column(ends[1]) if ends else None,
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

    def y_range(self) -> list[float]:
        """A range that does not hang on the run: 0..1 or -1..1 where the measure is bounded,
        else from 0 to a little above the highest value."""
        ends = [a for c in self.curves for a in (c.values, c.low, c.high) if a is not None]
        every = np.concatenate(ends)
        every = every[np.isfinite(every)]
        m = self.measure
        if m.bounds:
            signed = m.key.startswith("monotonicity") or (every.size > 0 and every.min() < 0)
            return [-1.04, 1.04] if signed else [0.0, 1.02]
        top = max(float(every.max()) if every.size else 1.0, (m.reference or 0) * 1.1)
        return [0.0, (top or 1.0) * 1.06]

    def figure(
        self, *, current: int | None = None, dark: bool = False, height: int = 360
    ) -> go.Figure:
        """Curves told apart by colour, dash and marker; the band is the quartiles over tokens.

        `current` marks a layer. Undefined values are gaps.
        """
        fig = base.figure(dark=dark, height=height)
        add_curves(fig, self, dark=dark)
        layers = np.concatenate([c.layers for c in self.curves])
        fig.update_xaxes(base.layer_axis(layers.tolist()))
        fig.update_yaxes(title_text=self.measure.label, range=self.y_range())
        fig.update_layout(hovermode="x unified", showlegend=len(self.curves) > 1)
        base.mark_layer(fig, current, dark)
        return fig

    def table(self) -> pd.DataFrame:
        """The numbers drawn: name, layer, the measure, and low and high where there is a band."""
        rows = []
        for c in self.curves:
            part = pd.DataFrame({"name": c.name, "layer": c.layers, self.key: c.values})
            if c.low is not None:
                part["low"], part["high"] = c.low, c.high
            rows.append(part)
        return pd.concat(rows, ignore_index=True)


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
        line_trace = go.Scatter(
            x=x,
            y=c.values,
            mode="lines+markers",
            name=plain(c.name) if names else m.short,
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

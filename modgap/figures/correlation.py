"""Similarity against the gap: points, lines with their bands, R^2 over layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.measures import measure
from modgap.figures.palette import DASHES, MARKERS, palette, rgba
from modgap.figures.text import plain
from modgap.gap.correlation import Fit

#: R^2 over checkpoints tuned with LoRA, as published (arXiv 2510.12116): measure -> (whose, R^2).
PUBLISHED = {
    "cosine": (("LoRA", 0.75),),
    "aps_cos": (("LoRA", 0.81),),
    "aps_euc": (("LoRA, Qwen", 0.72), ("LoRA, Llama", 0.95)),
}
GAP_TITLES = {
    "relative_gap": "relative gap (A_t − A_s) / A_b (%)",
    "gap": "gap A_t − A_s (percentage points)",
}


@dataclass(frozen=True, eq=False)
class GapScatter:
    """One point a checkpoint, from `modgap.gap.correlation.points`, and the lines through them.

    points : DataFrame
        ``model``, ``part``, ``group``, ``quantity``, ``gap``, ``gap_low``, ``gap_high``, ``x``.
    fits : sequence of Fit
    measure : str
        A key of `modgap.figures.measures.MEASURES`.
    layer : int or None
        None: the mean over layers.
    """

    points: pd.DataFrame
    fits: Sequence[Fit]
    measure: str
    layer: int | None = None

    def __post_init__(self) -> None:
        measure(self.measure)
        if self.points.empty:
            raise ModgapError("There is no point to draw: no checkpoint has answers and layers.")

    def figure(
        self, *, dark: bool = False, height: int = 460, chosen: int | None = None
    ) -> go.Figure:
        """Points with the interval of their gap; ``customdata`` is the row in `points`.

        `chosen` rings a row.
        """
        p, m = palette(dark), measure(self.measure)
        lines = {f.group: f for f in self.fits if f.reason is None}
        groups = list(dict.fromkeys(self.points["group"]))
        fig = base.figure(dark=dark, height=height)
        if len(groups) > 1 and "all" in lines:
            self._line(fig, lines["all"], self.points, p.muted, "longdashdot", None)
        for n, group in enumerate(groups):
            mine = self.points[self.points["group"] == group]
            colour = p.series[n % len(p.series)]
            if group in lines:
                self._line(fig, lines[group], mine, colour, DASHES[n % len(DASHES)], group)
            made = next((f for f in self.fits if f.group == group), None)
            name = plain(group) + (f": {r2_text(made)}" if made is not None else "")
            fig.add_trace(self._marks(mine, name, group, colour, MARKERS[n % len(MARKERS)]))
        if chosen is not None and chosen in self.points.index:
            at = self.points.loc[chosen]
            ring = go.Scatter(
                x=[at["x"]], y=[100 * at["gap"]], mode="markers", hoverinfo="skip",
                showlegend=False,
                marker={"symbol": "circle-open", "size": 20, "color": p.primary,
                        "line": {"width": 2.5}},
            )  # fmt: skip
            fig.add_trace(ring)
        where = "mean over layers" if self.layer is None else f"layer {self.layer}"
        fig.update_xaxes(title_text=f"{m.label}, {where}")
        # Bands of few points reach far: the points and their intervals choose what is seen.
        low, high = 100 * self.points["gap_low"].min(), 100 * self.points["gap_high"].max()
        margin = 0.08 * max(high - low, 1.0)
        fig.update_yaxes(
            title_text=GAP_TITLES[str(self.points["quantity"].iloc[0])],
            range=[low - margin, high + margin],
        )
        fig.update_layout(hovermode="closest", hoverdistance=30)
        return fig

    def _marks(
        self, mine: pd.DataFrame, name: str, group: str, colour: str, symbol: str
    ) -> go.Scatter:
        digits = measure(self.measure).digits
        value, low, high = (100 * mine[c].to_numpy(dtype=float)
                            for c in ("gap", "gap_low", "gap_high"))  # fmt: skip
        hover = [
            f"<b>{plain(model)}</b>{', ' + plain(part) if part else ''}<br>"
            f"{plain(measure(self.measure).short)} {x:.{digits}f}<br>"
            f"gap {v:.1f} [{a:.1f} … {b:.1f}], n = {n:,}"
            for model, part, x, v, a, b, n in zip(
                mine["model"], mine["part"], mine["x"], value, low, high, mine["n"], strict=True
            )
        ]
        return go.Scatter(
            x=mine["x"].to_numpy(dtype=float),
            y=value,
            mode="markers",
            name=name,
            legendgroup=group,
            marker={"color": colour, "symbol": symbol, "size": 11},
            error_y=base.error_bars(value, low, high),
            customdata=[[int(i)] for i in mine.index],
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
        )  # fmt: skip

    @staticmethod
    def _line(
        fig: go.Figure, made: Fit, mine: pd.DataFrame, colour: str, dash: str, group: str | None
    ) -> None:
        lo, hi = float(mine["x"].min()), float(mine["x"].max())
        margin = 0.04 * (hi - lo)
        x = np.linspace(lo - margin, hi + margin, 41)
        mean, low, high = made.band(x)
        name = f"all points: {r2_text(made)}"
        shared: dict[str, Any] = {"hoverinfo": "skip", "legendgroup": group or "all"}
        if group is not None:
            band = go.Scatter(
                x=np.concatenate([x, x[::-1]]), y=100 * np.concatenate([high, low[::-1]]),
                mode="lines", line={"width": 0}, fill="toself", fillcolor=rgba(colour, 0.13),
                showlegend=False, **shared,
            )  # fmt: skip
            fig.add_trace(band)
        line = go.Scatter(
            x=x, y=100 * mean, mode="lines", name=name, showlegend=group is None,
            line={"color": colour, "width": 2 if group else 1.3, "dash": dash}, **shared,
        )  # fmt: skip
        fig.add_trace(line)

    def table(self) -> pd.DataFrame:
        """The points drawn."""
        return self.points.rename(columns={"x": self.measure}).assign(
            layer="mean" if self.layer is None else self.layer
        )


@dataclass(frozen=True, eq=False)
class LayerR2:
    """R^2 of similarity against the gap in every layer, from `correlation.layer_curve`."""

    curve: pd.DataFrame
    measure: str

    def figure(
        self, *, current: int | None = None, dark: bool = False, height: int = 460
    ) -> go.Figure:
        """A curve a group; dotted lines are the published values for the measure."""
        p = palette(dark)
        fig = base.figure(dark=dark, height=height)
        for n, (group, mine) in enumerate(self.curve.groupby("group", sort=False)):
            every = group == "all" and self.curve["group"].nunique() > 1
            colour = p.muted if every else p.series[n % len(p.series)]
            line = go.Scatter(
                x=mine["layer"], y=mine["r2"], mode="lines+markers",
                name=f"{plain(str(group))}, {_counted(mine['n'])}",
                line={"color": colour, "width": 2, "dash": DASHES[n % len(DASHES)]},
                marker={"symbol": MARKERS[n % len(MARKERS)], "size": 7},
                # A list: of a typed array Streamlit passes on the wrong entries of a click.
                customdata=[[int(k)] for k in mine["layer"]],
                text=[f"slope {s:+.3g}, n = {k}"
                      for s, k in zip(mine["slope"], mine["n"], strict=True)],
                hovertemplate="layer %{x}: R² %{y:.3f}, %{text}",
            )  # fmt: skip
            fig.add_trace(line)
        layers = sorted(set(self.curve["layer"]))
        for whose, value in PUBLISHED.get(self.measure, ()):
            fig.add_hline(
                y=value, line={"color": p.axis, "width": 1.4, "dash": "dot"}, layer="below",
                annotation={"text": f"published, {whose}: {value:.2f}", "font": {"size": 11},
                            "xanchor": "center", "yanchor": "bottom", "x": 0.5, "showarrow": False},
            )  # fmt: skip
        if layers:
            fig.update_xaxes(base.layer_axis(layers))
        title = f"R² ({_counted(self.curve['n'])} points)" if len(self.curve) else "R²"
        fig.update_yaxes(title_text=title, range=[0, 1.06])
        fig.update_layout(hovermode="closest", hoverdistance=-1)
        base.mark_layer(fig, current, dark)
        return fig

    def table(self) -> pd.DataFrame:
        """The numbers drawn."""
        return self.curve.assign(measure=self.measure)


def _counted(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"n = {low}" if low == high else f"n = {low} to {high}"


def r2_text(made: Fit) -> str:
    """The fit in a legend."""
    if made.reason is not None:
        return f"no line ({made.reason})"
    return f"R² = {made.r2:.2f}, n = {made.n}"

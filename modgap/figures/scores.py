"""Several measures of one run over layers, one panel each or side by side in one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from modgap.figures import base
from modgap.figures.curves import LayerCurve, LayerCurves, add_curves
from modgap.figures.measures import measure
from modgap.figures.palette import palette, rgba


@dataclass(frozen=True, eq=False)
class LayerBand:
    """The baseline of the first panel's curves: layers int (K,), low and high float (K,)."""

    name: str
    layers: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def traces(self, dark: bool) -> list[go.Scatter]:
        """A grey band."""
        colour = rgba(palette(dark).muted, 0.25)
        x = self.layers.astype(np.int32)
        shared: dict[str, Any] = {
            "x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip",
            "name": self.name, "legendgroup": "band",
        }  # fmt: skip
        low = go.Scatter(y=self.low, showlegend=False, **shared)
        return [low, go.Scatter(y=self.high, fill="tonexty", fillcolor=colour, **shared)]


@dataclass(frozen=True, eq=False)
class Panels:
    """Panels one under the other on one layer axis; each holds one or more measures of one run.

    Attributes
    ----------
    titles : tuple of str
        The y axis title of each panel.
    panels : tuple of tuples of (measure key, LayerCurve)
    band : LayerBand or None
        Behind the first panel's curves.
    """

    titles: tuple[str, ...]
    panels: tuple[tuple[tuple[str, LayerCurve], ...], ...]
    band: LayerBand | None = None

    @classmethod
    def of(cls, layers: Any, panels: dict[str, tuple[str, ...]], *, band: bool = True) -> Panels:
        """From ``analysis.layers`` (or an `Analysis`): axis title -> measure keys."""
        return cls(
            titles=tuple(panels),
            panels=tuple(
                tuple((k, LayerCurve.of(layers, k, measure(k).short, band=band)) for k in keys)
                for keys in panels.values()
            ),
        )

    def figure(
        self, *, current: int | None = None, dark: bool = False, height: int = 400
    ) -> go.Figure:
        """The panels with a marker line at layer `current` and, on it, the values' dots."""
        n = len(self.panels)
        fig = make_subplots(rows=n, cols=1, shared_xaxes=True, vertical_spacing=0.16 / n)
        fig.update_layout(template=base.template_name(dark), height=height)
        used, every = 0, []
        for trace in self.band.traces(dark) if self.band else ():
            fig.add_trace(trace, row=1, col=1)
        for row, (title, panel) in enumerate(zip(self.titles, self.panels, strict=True), start=1):
            ranges = []
            for key, curve in panel:
                one = LayerCurves(key, (curve,))
                add_curves(fig, one, dark=dark, first=used, names=False, at={"row": row, "col": 1})
                _dot(fig, curve, current, row, palette(dark).series[used % 6], dark)
                ranges.append(one.y_range())
                every.append(curve.layers)
                used += 1
            span = [min(r[0] for r in ranges), max(r[1] for r in ranges)]
            if row == 1 and self.band is not None and not measure(panel[0][0]).bounds:
                span[1] = max(span[1], 1.06 * float(np.nanmax(self.band.high)))
            fig.update_yaxes(title_text=title, range=span, row=row, col=1)
        axis = base.layer_axis(np.concatenate(every).tolist())
        fig.update_xaxes({**axis, "title": None})
        fig.update_xaxes(title_text="layer", row=n, col=1)
        fig.update_layout(hovermode="x unified", showlegend=used > 1)
        base.mark_layer(fig, current, dark)
        return fig

    def table(self) -> pd.DataFrame:
        """One row per layer, one column per measure."""
        series = {k: pd.Series(c.values, c.layers) for panel in self.panels for k, c in panel}
        if self.band is not None:
            series["mismatched_low"] = pd.Series(self.band.low, self.band.layers)
            series["mismatched_high"] = pd.Series(self.band.high, self.band.layers)
        return pd.DataFrame(series).rename_axis("layer").reset_index()


def _dot(
    fig: go.Figure, curve: LayerCurve, current: int | None, row: int, colour: str, dark: bool
) -> None:
    here = curve.layers == current
    if current is None or not here.any() or not np.isfinite(curve.values[here]).all():
        return
    ring = go.Scatter(
        x=curve.layers[here].astype(np.int32),
        y=curve.values[here],
        mode="markers",
        marker={
            "size": 13,
            "color": palette(dark).page,
            "line": {"color": colour, "width": 3},
        },
        hoverinfo="skip",
        showlegend=False,
        name="current layer",
    )
    fig.add_trace(ring, row=row, col=1)


def norms(layers: Any) -> Panels:
    """Lengths of both mean vectors over layers, and their ratio (method, section 2)."""
    return Panels.of(
        layers, {"norm": ("speech_norm", "text_norm"), "speech / text": ("norm_ratio",)}
    )


def path_scores(
    layers: Any, measure_name: str = "cosine", support: pd.DataFrame | None = None,
    *, filtered: bool = False,
) -> Panels:  # fmt: skip
    """Alignment Path Score, its DTW twin, and monotonicity over layers (method, section 3).

    Parameters
    ----------
    layers : DataFrame or Analysis
    measure_name : "cosine" or "euclidean"
    support : DataFrame, optional
        From `modgap.score_support`: with its mismatched pairs, their band is drawn.
    filtered : bool
        The score without sinks and silence in the place of the DTW path's; needs `support`.
    """
    table = layers if isinstance(layers, pd.DataFrame) else layers.layers
    m, rho = ("euc", "monotonicity_euc") if measure_name == "euclidean" else ("cos", "monotonicity")
    keys: tuple[str, ...] = (f"aps_{m}", f"aps_dtw_{m}")
    band = None
    if support is not None:
        prefix = "filtered_" if filtered else ""
        if filtered:
            keys = (f"aps_{m}", f"filtered_aps_{m}")
            table = table.assign(**{keys[1]: support[keys[1]].to_numpy()})
        ends = [f"{prefix}others_{end}_{m}" for end in ("low", "high")]
        if set(ends) <= set(support.columns):
            band = LayerBand(
                "mismatched pairs, 5–95 %", support["layer"].to_numpy(dtype=int),
                *(support[end].to_numpy(dtype=float) for end in ends),
            )  # fmt: skip
    made = Panels.of(table, {"path score": keys, "monotonicity ρ": (rho,)})
    return replace(made, band=band)

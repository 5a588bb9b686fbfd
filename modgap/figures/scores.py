"""Several measures of one run over layers, one panel each or side by side in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from modgap.figures import base
from modgap.figures.curves import LayerCurve, LayerCurves, add_curves
from modgap.figures.measures import measure
from modgap.figures.palette import palette


@dataclass(frozen=True, eq=False)
class Panels:
    """Panels one under the other on one layer axis; each holds one or more measures of one run.

    Attributes
    ----------
    titles : tuple of str
        The y axis title of each panel.
    panels : tuple of tuples of (measure key, LayerCurve)
    """

    titles: tuple[str, ...]
    panels: tuple[tuple[tuple[str, LayerCurve], ...], ...]

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


def path_scores(layers: Any, measure_name: str = "cosine") -> Panels:
    """Alignment Path Score, its DTW twin, and monotonicity over layers (method, section 3)."""
    if measure_name == "euclidean":
        keys, rho = ("aps_euc", "aps_dtw_euc"), "monotonicity_euc"
    else:
        keys, rho = ("aps_cos", "aps_dtw_cos"), "monotonicity"
    return Panels.of(layers, {"path score": keys, "monotonicity ρ": (rho,)})

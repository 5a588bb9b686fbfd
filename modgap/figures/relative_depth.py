"""Several models over relative depth: curves, and their alignment maps side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.curves import LayerCurve, LayerCurves, add_curves
from modgap.figures.heatmap import AlignmentMap
from modgap.figures.measures import Measure
from modgap.figures.text import plain


@dataclass(frozen=True, eq=False)
class DepthCurves:
    """One measure in several models, drawn at layer / L as measured.

    Attributes
    ----------
    key : str
        The measure.
    curves : tuple of LayerCurve
        One per model, named apart.
    n_layers : tuple of int
        L of each.
    """

    key: str
    curves: tuple[LayerCurve, ...]
    n_layers: tuple[int, ...]

    def __post_init__(self) -> None:
        LayerCurves(self.key, self.curves)  # checks the measure and the names
        if len(self.n_layers) != len(self.curves):
            raise ModgapError("Give the number of layers of each curve's model.")
        for curve, n in zip(self.curves, self.n_layers, strict=True):
            if n < 1 or curve.layers.min() < 0 or curve.layers.max() > n:
                raise ModgapError(f"Curve {curve.name!r} has layers beyond its model's {n}.")

    @classmethod
    def of(cls, curves: pd.DataFrame, key: str) -> DepthCurves:
        """From a curve table (`modgap.curve_table`); several clips give their mean."""
        made, n_layers = [], []
        for name, part in curves.groupby("model", sort=False):
            mean = part.groupby("layer")[key].mean()
            made.append(LayerCurve(str(name), mean.index.to_numpy(int), mean.to_numpy(float)))
            n_layers.append(int(part["n_layers"].iloc[0]))
        return cls(key, tuple(made), tuple(n_layers))

    @property
    def measure(self) -> Measure:
        return LayerCurves(self.key, self.curves).measure

    def depths(self) -> tuple[np.ndarray, ...]:
        """layer / L of each curve's points, float (K,) in [0, 1]."""
        return tuple(c.layers / n for c, n in zip(self.curves, self.n_layers, strict=True))

    def figure(
        self, *, depth: float | None = None, dark: bool = False, height: int | None = None
    ) -> go.Figure:
        """Curves told apart by colour, dash and marker; `depth` marks a place."""
        layered = LayerCurves(self.key, self.curves)
        # Where the place is narrow, every name of the legend takes a line.
        fig = base.figure(dark=dark, height=height or 270 + 22 * len(self.curves))
        add_curves(fig, layered, dark=dark)
        digits = self.measure.digits
        for trace, curve, n, at in zip(
            fig.data, self.curves, self.n_layers, self.depths(), strict=True
        ):
            trace.x, trace.customdata = at, curve.layers.astype(np.int32)
            trace.hovertemplate = f"%{{y:.{digits}f}} (layer %{{customdata}} of {n})"
        fig.update_xaxes(
            range=[-0.03, 1.03], tickformat=".0%", dtick=0.25, tick0=0, hoverformat=".1%",
            title_text="relative depth (layer / L)",
        )  # fmt: skip
        fig.update_yaxes(title_text=self.measure.label, range=layered.y_range())
        fig.update_layout(hovermode="x unified", showlegend=len(self.curves) > 1)
        base.mark_layer(fig, depth, dark)
        return fig

    def table(self) -> pd.DataFrame:
        """The numbers drawn: model, layer, n_layers, depth, and the measure."""
        rows = [
            pd.DataFrame(
                {"model": c.name, "layer": c.layers, "n_layers": n, "depth": d, self.key: c.values}
            )
            for c, n, d in zip(self.curves, self.n_layers, self.depths(), strict=True)
        ]
        return pd.concat(rows, ignore_index=True)


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Alignment maps of one clip in several models, on one colour scale.

    Attributes
    ----------
    names : tuple of str
    maps : tuple of AlignmentMap
        Of one measure and one scale.
    """

    names: tuple[str, ...]
    maps: tuple[AlignmentMap, ...]

    def __post_init__(self) -> None:
        if not self.maps or len(self.names) != len(self.maps):
            raise ModgapError("Maps side by side need one name each, and at least one map.")
        if len({(m.measure, m.scale) for m in self.maps}) > 1:
            raise ModgapError("Maps side by side must share their measure and their colour scale.")

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        analyses: Sequence[Any],
        layers: Sequence[int],
        measure: str = "cosine",
    ) -> SideBySide:
        """From analyses, each at its own layer.

        The distance scale reaches to the largest distance in any layer of any of the models, so
        that the same colour is the same distance everywhere and at every depth.
        """
        maps = [
            AlignmentMap.of(a, layer, measure) for a, layer in zip(analyses, layers, strict=True)
        ]
        scale = max(m.scale for m in maps) if maps else 1.0
        return cls(tuple(names), tuple(replace(m, scale=scale) for m in maps))

    def panels(self, *, dark: bool = False, height: int = 380) -> tuple[go.Figure, ...]:
        """One figure per model, for places that stand beside each other."""
        made = []
        for each in self.maps:
            fig = each.figure(dark=dark, height=height)
            bar = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "thickness": 8,
                   "title": {"text": ""}, "ticks": "", "ypad": 4, "xpad": 0}  # fmt: skip
            fig.update_traces(colorbar=bar, selector={"type": "heatmap"})
            fig.update_layout(showlegend=False, margin={"l": 48, "r": 8, "t": 34, "b": 44})
            made.append(fig)
        return tuple(made)

    def figure(self, *, dark: bool = False, height: int = 520) -> go.Figure:
        """All of them in one figure with one colour bar, to keep."""
        n = len(self.maps)
        titles = [
            f"{plain(name)}, layer {m.layer}" for name, m in zip(self.names, self.maps, strict=True)
        ]
        fig = make_subplots(rows=1, cols=n, subplot_titles=titles, horizontal_spacing=0.3 / (n + 1))
        fig.update_layout(template=base.template_name(dark), height=height, width=120 + 420 * n)
        for col, each in enumerate(self.maps, start=1):
            one = each.figure(dark=dark)
            for trace in one.data:
                if trace.type == "heatmap":
                    trace.showscale = col == n
                else:
                    trace.showlegend = trace.showlegend is not False and col == 1
                fig.add_trace(trace, row=1, col=col)
            for axis in ("xaxis", "yaxis"):
                own = one.layout[axis]
                fig.layout[axis if col == 1 else f"{axis}{col}"].update(
                    range=own.range, tickvals=own.tickvals, ticktext=own.ticktext,
                    showgrid=False, title={"text": own.title.text},
                )  # fmt: skip
        # The legend stands above the panels' names.
        fig.update_layout(margin={"t": 84}, legend={"y": 1.09, "yanchor": "bottom"})
        return fig

    def table(self) -> pd.DataFrame:
        """The cells of all maps, with the model and its layer."""
        parts = []
        for name, each in zip(self.names, self.maps, strict=True):
            part = each.table()
            part.insert(0, "model", name)
            part.insert(1, "layer", each.layer)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

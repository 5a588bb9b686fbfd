"""Similarities beside their controls, and the map of CKA between layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.curves import LayerCurve, LayerCurves
from modgap.figures.palette import colorscale, palette

if TYPE_CHECKING:
    from modgap.gap.controls import Controls
    from modgap.measures.cka import CkaMap


def against_controls(controls: Controls, key: str = "cosine") -> LayerCurves:
    """Matched pairs, the band of mismatched ones, and for the cosine the mean-centred one."""
    _check(key)
    table = controls.layers
    at = table["layer"].to_numpy(dtype=int)

    def column(name: str) -> np.ndarray:
        return table[name].to_numpy(dtype=float)

    curves = [
        LayerCurve("matched", at, column(key)),
        LayerCurve(
            "mismatched", at, column(f"{key}_null"), column(f"{key}_null_low"),
            column(f"{key}_null_high"),
        ),
    ]  # fmt: skip
    if key == "cosine":
        curves.append(
            LayerCurve("matched, mean-centred", at, column("centred"), column("centred_q25"),
                       column("centred_q75"))
        )  # fmt: skip
    return LayerCurves(key, tuple(curves))


@dataclass(frozen=True, eq=False)
class OwnAgainstOthers:
    """Each clip's own text against the texts of others: the difference, and the AUC below it.

    Raises
    ------
    ModgapError
        `key` is neither cosine nor euclidean, or the controls were made without the difference.
    """

    controls: Controls
    key: str = "cosine"

    def __post_init__(self) -> None:
        _check(self.key)
        if not self.controls.paired:
            raise ModgapError("These controls were made without the paired difference.")

    def figure(self, *, dark: bool = False, height: int = 360) -> go.Figure:
        """Values with their 95 % intervals; lines at 0 and at 0.5, which is chance."""
        p, table = palette(dark), self.controls.layers
        layers = table["layer"].to_numpy(dtype=int)
        fig = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
        what = "distance" if self.key == "euclidean" else "cosine"
        rows = (
            (f"{self.key}_diff", f"{what}:<br>own − others", 0.0),
            (f"{self.key}_auc", "AUC", 0.5),
        )
        for n, (name, title, nothing) in enumerate(rows, start=1):
            value, low, high = (
                table[f"{name}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high")
            )
            known = np.isfinite(low)
            line = go.Scatter(
                x=layers.astype(np.int32), y=value, mode="lines+markers", name="",
                line={"color": p.series[0], "width": 2}, marker={"size": 6}, showlegend=False,
                error_y=base.error_bars(value, low, high, thickness=1.5, width=4),
                customdata=np.stack([low, high], axis=1),
                hovertemplate="layer %{x}: %{y:.4f}"
                + (" [%{customdata[0]:.4f} … %{customdata[1]:.4f}]" if known.all() else "")
                + "<extra></extra>",
            )  # fmt: skip
            fig.add_trace(line, row=n, col=1)
            fig.add_hline(y=nothing, line={"color": p.axis, "width": 1}, row=n, col=1)
            fig.update_yaxes(title_text=title, row=n, col=1)
        fig.update_layout(template=base.template_name(dark), height=height, margin={"t": 8})
        axis = base.layer_axis(layers.tolist())
        fig.update_xaxes({**axis, "title": None}, row=1, col=1)
        fig.update_xaxes(axis, row=2, col=1)
        return fig


def _check(key: str) -> None:
    if key not in ("cosine", "euclidean"):
        raise ModgapError(f"There are controls of cosine and euclidean, not of {key!r}.")


@dataclass(frozen=True, eq=False)
class CkaHeat:
    """The map of a `CkaMap`."""

    cka: CkaMap

    def figure(self, *, dark: bool = False, height: int = 460) -> go.Figure:
        """Text layers to the right, speech layers upwards."""
        p, layers = palette(dark), list(self.cka.layers)
        heat = go.Heatmap(
            z=self.cka.values.astype(np.float32), x=layers, y=layers, zmin=0, zmax=1, name="",
            colorscale=colorscale(p.sequential),
            colorbar=base.colour_bar("CKA"),
            hovertemplate="speech layer %{y}, text layer %{x}: %{z:.3f}<extra></extra>",
        )  # fmt: skip
        fig = base.figure([heat], dark=dark, height=height)
        axis = base.layer_axis(layers)
        fig.update_xaxes({**axis, "title": {"text": "text layer"}, "showgrid": False})
        fig.update_yaxes({**axis, "title": {"text": "speech layer"}, "showgrid": False})
        fig.update_yaxes(ticktext=["0" if v == 0 else str(v) for v in axis["tickvals"]])
        return fig

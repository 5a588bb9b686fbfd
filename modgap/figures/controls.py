"""Similarities beside their controls, and the map of CKA between layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from modgap.errors import ModgapError
from modgap.figures import base
from modgap.figures.curves import LayerCurve, LayerCurves
from modgap.ui.theme import colorscale, palette

if TYPE_CHECKING:
    from modgap.cka import CkaMap
    from modgap.controls import Controls


def against_controls(controls: Controls, key: str = "cosine") -> LayerCurves:
    """Matched pairs, the band of mismatched ones, and for the cosine the mean-centred one."""
    if key not in ("cosine", "euclidean"):
        raise ModgapError(f"There are controls of cosine and euclidean, not of {key!r}.")
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
class CkaHeat:
    """The map of a `CkaMap`."""

    cka: CkaMap

    def figure(self, *, dark: bool = False, height: int = 460) -> go.Figure:
        """Text layers to the right, speech layers upwards."""
        p, layers = palette(dark), list(self.cka.layers)
        heat = go.Heatmap(
            z=self.cka.values.astype(np.float32), x=layers, y=layers, zmin=0, zmax=1, name="",
            colorscale=colorscale(p.sequential),
            colorbar={"title": {"text": "CKA", "font": {"size": 13}}, "thickness": 12,
                      "outlinewidth": 0},
            hovertemplate="speech layer %{y}, text layer %{x}: %{z:.3f}<extra></extra>",
        )  # fmt: skip
        fig = base.figure([heat], dark=dark, height=height)
        axis = base.layer_axis(layers)
        fig.update_xaxes({**axis, "title": {"text": "text layer"}, "showgrid": False})
        fig.update_yaxes({**axis, "title": {"text": "speech layer"}, "showgrid": False})
        fig.update_yaxes(ticktext=["0" if v == 0 else str(v) for v in axis["tickvals"]])
        return fig

"""How often, over layers, a path lands in the word that its text token is part of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.palette import DASHES, MARKERS, palette

_NAMES = {
    "cosine": (("cos", "argmax path"), ("dtw_cos", "DTW path")),
    "euclidean": (("euc", "argmin path"), ("dtw_euc", "DTW path")),
}
_LEVELS = (("chance", "random speech token", "dot"), ("diagonal", "diagonal", "dashdot"))


@dataclass(frozen=True, eq=False)
class WordCurves:
    """Attributes
    ----------
    layers : DataFrame
        `WordHits.layers()`.
    measure : str
        "cosine" or "euclidean".
    source : str
        Whose word times they are.
    """

    layers: pd.DataFrame
    measure: str
    source: str

    def __post_init__(self) -> None:
        if self.measure not in _NAMES:
            raise ModgapError(f"Measure {self.measure!r} is neither 'cosine' nor 'euclidean'.")
        if self.layers.empty:
            raise ModgapError("There is no layer to draw.")

    @classmethod
    def of(cls, hits: Any, measure: str = "cosine") -> WordCurves:
        """From `WordHits`."""
        return cls(hits.layers(), measure, hits.source)

    def figure(
        self, *, current: int | None = None, dark: bool = False, height: int = 400
    ) -> go.Figure:
        """Share inside above, distance of the rest below; level lines are the two yardsticks."""
        p, t = palette(dark), self.layers
        fig = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
        fig.update_layout(template=base.template_name(dark), height=height)
        x = t["layer"].to_numpy(dtype=np.int32)
        for n, (path, name) in enumerate(_NAMES[self.measure]):
            for row, column, form in ((1, f"word_{path}", ".0%"), (2, f"word_ms_{path}", ".0f")):
                line = go.Scatter(
                    x=x, y=t[column].to_numpy(dtype=float), mode="lines+markers", name=name,
                    legendgroup=path, showlegend=row == 1, connectgaps=False,
                    line={"color": p.series[n], "width": 2, "dash": DASHES[n]},
                    marker={"symbol": MARKERS[n], "size": 6},
                    hovertemplate=f"%{{y:{form}}}" + (" ms" if row == 2 else ""),
                )  # fmt: skip
                fig.add_trace(line, row=row, col=1)
        ends = np.array([x.min() - 0.4, x.max() + 0.4])
        for key, name, dash in _LEVELS:
            for row, column in ((1, key), (2, f"{key}_ms")):
                level = float(t[column].iloc[0])
                line = go.Scatter(
                    x=ends, y=np.array([level, level]), mode="lines", name=name, legendgroup=key,
                    showlegend=row == 1, hoverinfo="skip",
                    line={"color": p.muted, "width": 1.5, "dash": dash},
                )  # fmt: skip
                fig.add_trace(line, row=row, col=1)
        fig.update_xaxes({**base.layer_axis(x.tolist()), "title": None})
        fig.update_xaxes(title_text="layer", row=2, col=1)
        fig.update_yaxes(
            title_text="within its word", range=[0, 1.02], tickformat=".0%", row=1, col=1
        )
        fig.update_yaxes(title_text="error outside (ms)", rangemode="tozero", row=2, col=1)
        fig.update_layout(hovermode="x unified")
        base.mark_layer(fig, current, dark)
        return fig

    def table(self) -> pd.DataFrame:
        """The numbers of all paths."""
        return self.layers.assign(source=self.source)

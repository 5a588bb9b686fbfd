"""How likely each layer makes the answer where it is said: speech against text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.palette import DASHES, MARKERS, palette
from modgap.figures.text import plain, shorten, visible


@dataclass(frozen=True, eq=False)
class AnswerCurves:
    """Attributes
    ----------
    token : str
        The first token of the answer.
    table : DataFrame
        From `AnswerLens.table`.
    """

    token: str
    table: pd.DataFrame

    def __post_init__(self) -> None:
        missing = {"run", "layer", "probability", "rank"} - set(self.table.columns)
        if missing or self.table.empty:
            raise ModgapError("The table of the answer's lens lacks runs, layers or probabilities.")

    @classmethod
    def of(cls, lens: Any) -> AnswerCurves:
        """From an `AnswerLens`."""
        return cls(lens.token, lens.table())

    def figure(self, *, dark: bool = False, height: int = 320) -> go.Figure:
        """A line a run; the last layer is what the model says."""
        p, lines = palette(dark), []
        for n, (run, rows) in enumerate(self.table.groupby("run", sort=False)):
            lines.append(
                go.Scatter(
                    x=rows["layer"].to_numpy(dtype=np.int32),
                    y=rows["probability"].to_numpy(dtype=float),
                    customdata=rows["rank"].to_numpy(dtype=np.int64) + 1,
                    mode="lines+markers",
                    name=str(run),
                    line={"color": p.series[n], "width": 2, "dash": DASHES[n]},
                    marker={"symbol": MARKERS[n], "size": 6},
                    hovertemplate="%{y:.4f}, rank %{customdata}",
                )
            )
        fig = base.figure(lines, dark=dark, height=height)
        fig.update_xaxes(base.layer_axis(sorted(set(self.table["layer"].tolist()))))
        word = plain(shorten(visible(self.token), 16))
        fig.update_yaxes(title_text=f"probability of “{word}”", range=[0, 1.02])
        fig.update_layout(hovermode="x unified", showlegend=True)
        return fig

"""What interventions gain, against how well a model understands speech without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.palette import palette
from modgap.figures.text import plain

_COLUMNS = ("model", "own", "variant", "change", "change_low", "change_high")


@dataclass(frozen=True, eq=False)
class GainCurve:
    """Points of `outcomes.gains`: a model and variant each, accuracies as shares."""

    table: pd.DataFrame

    def __post_init__(self) -> None:
        missing = [name for name in _COLUMNS if name not in self.table.columns]
        if missing:
            raise ModgapError(f"The gains lack the column {missing[0]!r}.")

    def figure(self, *, dark: bool = False, height: int = 420) -> go.Figure:
        """Own accuracy to the right, change upwards, both in percent, with 95 % intervals."""
        p = palette(dark)
        lines = []
        for number, (variant, rows) in enumerate(self.table.groupby("variant", sort=False)):
            color = p.series[number % len(p.series)]
            change, low, high = (
                100 * rows[c].to_numpy(dtype=float) for c in ("change", "change_low", "change_high")
            )
            lines.append(
                go.Scatter(
                    x=100 * rows["own"].to_numpy(dtype=float),
                    y=change,
                    mode="lines+markers",
                    name=plain(str(variant)),
                    line={"color": color, "width": 1.5},
                    marker={"color": color, "size": 8},
                    error_y=base.error_bars(change, low, high),
                    customdata=[plain(str(name)) for name in rows["model"]],
                    hovertemplate="%{customdata}<br>%{x:.1f} %: %{y:+.1f}",
                )
            )
        fig = base.figure(lines, dark=dark, height=height)
        fig.add_hline(y=0, line={"color": p.primary, "width": 1, "dash": "dot"}, layer="below")
        top = float(np.ceil(10 * self.table["own"].max() + 0.5)) * 10
        fig.update_xaxes(title_text="accuracy on speech without intervention (%)", range=[0, top])
        fig.update_yaxes(title_text="change (percentage points)")
        return fig

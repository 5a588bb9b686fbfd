"""What differs between two clips of the same words: over layers, and token by token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.curves import LayerCurve, LayerCurves
from modgap.figures.measures import Measure, measure
from modgap.figures.palette import palette
from modgap.figures.text import plain, visible

if TYPE_CHECKING:
    from modgap.analysis.clip_comparison import ClipComparison

__all__ = ["ClipDifference", "TokenDifference", "between_curves", "both_curves"]


def both_curves(found: ClipComparison, key: str) -> LayerCurves:
    """A measure in either clip."""
    layers = [LayerCurve.of(a.layers, key, name, band=False)
              for name, a in zip(found.names, found.analyses, strict=True)]  # fmt: skip
    return LayerCurves(key, tuple(layers))


def between_curves(found: ClipComparison, key: str) -> LayerCurves:
    """How alike the speech of the two is: `key` is "cosine" or "euclidean"."""
    table = found.between
    name = f"speech of {found.names[0]} and of {found.names[1]}"
    return LayerCurves(key, (LayerCurve(name, table["layer"].to_numpy(), table[key].to_numpy()),))


@dataclass(frozen=True, eq=False)
class ClipDifference:
    """A measure of clip B less that of clip A, over layers.

    Attributes
    ----------
    key : str
        The measure.
    names : (str, str)
        Of A and B.
    layers : int ndarray (K,)
    values : float ndarray (K,)
        B - A, NaN where undefined.
    """

    key: str
    names: tuple[str, str]
    layers: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        measure(self.key)
        if self.layers.shape != self.values.shape or self.layers.ndim != 1 or not self.layers.size:
            raise ModgapError("A difference over layers needs one value for each layer.")

    @classmethod
    def of(cls, found: ClipComparison, key: str) -> ClipDifference:
        """From a comparison."""
        table = found.differences
        mine = table[table["measure"] == measure(key).key]
        return cls(key, found.names, mine["layer"].to_numpy(), mine["difference"].to_numpy())

    @property
    def measure(self) -> Measure:
        return measure(self.key)

    def figure(
        self, *, current: int | None = None, dark: bool = False, height: int = 300
    ) -> go.Figure:
        """Bars from zero, in the colour of the clip that has more; `current` marks a layer."""
        p, m = palette(dark), self.measure
        fig = base.figure(dark=dark, height=height)
        for n, chosen in enumerate((self.values < 0, self.values >= 0)):
            fig.add_trace(
                go.Bar(
                    x=self.layers[chosen].astype(np.int32), y=self.values[chosen],
                    name=f"more in {plain(self.names[n])}", marker={"color": p.series[n]},
                    hovertemplate=f"%{{y:+.{m.digits}f}}<extra>layer %{{x}}</extra>",
                )
            )  # fmt: skip
        fig.update_xaxes(base.layer_axis(self.layers.tolist()))
        fig.update_xaxes(range=[self.layers.min() - 0.6, self.layers.max() + 0.6])  # whole bars
        high = float(np.nanmax(np.abs(self.values))) if np.isfinite(self.values).any() else 1.0
        fig.update_yaxes(
            title_text=f"{m.label}, B − A", range=[-1.08 * (high or 1.0), 1.08 * (high or 1.0)],
            zeroline=True, zerolinecolor=p.axis,
        )  # fmt: skip
        fig.update_layout(barmode="overlay", showlegend=True)
        base.mark_layer(fig, current, dark)
        return fig

    def table(self) -> pd.DataFrame:
        """``layer`` and ``difference``."""
        return pd.DataFrame({"layer": self.layers, "difference": self.values})


@dataclass(frozen=True, eq=False)
class TokenDifference:
    """The text tokens of a layer in both clips, each with its value on the argmax path.

    Attributes
    ----------
    names : (str, str)
        Of A and B.
    rows : DataFrame
        `ClipComparison.tokens`.
    label : str
        Of the values.
    """

    names: tuple[str, str]
    rows: pd.DataFrame
    label: str

    @classmethod
    def of(cls, found: ClipComparison, layer: int, kind: str = "cosine") -> TokenDifference:
        """From a comparison, by "cosine" or "euclidean"."""
        return cls(found.names, found.tokens(layer, kind), measure(kind).label)

    def figure(self, *, dark: bool = False, height: int = 300) -> go.Figure:
        """Two marks a token, joined by a line: how far the clips are apart on it."""
        p, rows = palette(dark), self.rows
        at = np.arange(len(rows))
        fig = base.figure(dark=dark, height=height)
        joined = np.full(3 * len(rows), np.nan)
        joined[0::3], joined[1::3] = rows["a"], rows["b"]
        line = {"color": p.axis, "width": 1.5}
        fig.add_trace(go.Scatter(x=np.repeat(at, 3), y=joined, mode="lines", line=line,
                                 hoverinfo="skip", showlegend=False))  # fmt: skip
        pieces = [plain(visible(piece)) for piece in rows["piece"]]
        for n, side in enumerate("ab"):
            fig.add_trace(
                go.Scatter(
                    x=at, y=rows[side].to_numpy(), mode="markers", name=plain(self.names[n]),
                    marker={"color": p.series[n], "size": 9, "symbol": ("circle", "diamond")[n]},
                    customdata=np.stack([at, rows[f"start_{side}"]], axis=1), text=pieces,
                    hovertemplate="%{text}: %{y:.4f}, from %{customdata[1]:.2f} s",
                )
            )  # fmt: skip
        fig.update_xaxes(tickvals=at, ticktext=pieces, range=[-0.6, len(rows) - 0.4])
        fig.update_yaxes(title_text=self.label)
        fig.update_layout(showlegend=True)
        return fig

    def table(self) -> pd.DataFrame:
        """The rows."""
        return self.rows

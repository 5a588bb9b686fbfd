"""The logit lens as a grid: what each position reads as in every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.interventions import click_cells
from modgap.figures.palette import palette
from modgap.figures.text import plain, shorten, visible

MOST_WRITTEN = 4000  # cells of a grid that get their word written in
WIDE = 20  # positions of it that are seen at once


@dataclass(frozen=True, eq=False)
class LensGrid:
    """What each position reads as in every layer.

    tokens : object array of str (K, n)
    probabilities : float (K, n)
    columns : tuple of n str
        Names of the positions.
    title : str
    wanted : bool array (K, n) or None
        Cells that hold the right word.
    """

    tokens: np.ndarray
    probabilities: np.ndarray
    columns: tuple[str, ...]
    title: str
    wanted: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.tokens.shape != self.probabilities.shape or self.tokens.shape[1] != len(
            self.columns
        ):
            raise ModgapError("Tokens, probabilities and columns of the lens do not fit.")

    @classmethod
    def of_speech(cls, lens: Any) -> LensGrid:
        """From a `Lens`: the speech positions, those that read as their word ringed."""
        columns = tuple(f"{t:.2f}" for t in lens.times[:, 0])
        read = lens.speech
        return cls(
            read.tokens[..., 0], read.probabilities[..., 0], columns, "speech time (s)",
            lens.in_place,
        )  # fmt: skip

    @classmethod
    def of_text(cls, lens: Any) -> LensGrid:
        """From a `Lens`: the transcript's own positions."""
        read = lens.text
        return cls(read.tokens[..., 0], read.probabilities[..., 0], lens.pieces, "text tokens")

    def figure(self, *, dark: bool = False, height: int | None = None) -> go.Figure:
        """Layers upwards, positions to the right; tokens in cells, probability as colour."""
        K, n = self.tokens.shape
        p = palette(dark)
        shown = np.vectorize(lambda t: plain(shorten(visible(t), 7)), otypes=[object])(self.tokens)
        full = np.vectorize(lambda t: plain(visible(t)), otypes=[object])(self.tokens)
        written = self.tokens.size <= MOST_WRITTEN
        hover = [
            [f"layer {k}, {plain(visible(self.columns[i]))}<br>“{full[k, i]}” "
             f"{self.probabilities[k, i]:.3f}" for i in range(n)]
            for k in range(K)
        ]  # fmt: skip
        heat = go.Heatmap(
            z=self.probabilities,
            x=np.arange(n),
            y=np.arange(K),
            text=shown if written else None,
            texttemplate="%{text}" if written else None,
            textfont={"size": 11},
            hoverinfo="skip",
            zmin=0,
            zmax=1,
            colorscale=[[0, p.page], [1, p.series[0]]],
            colorbar=base.colour_bar("probability"),
        )  # fmt: skip
        cells = click_cells(np.arange(K), range(n), hover)
        fig = base.figure([heat, cells], dark=dark, height=height or 26 * K + 90)
        if self.wanted is not None and self.wanted.any():
            y, x = np.nonzero(self.wanted)
            ring = go.Scatter(
                x=x, y=y, mode="markers", hoverinfo="skip", name="the right word",
                marker={"symbol": "square-open", "size": 19, "color": p.series[1],
                        "line": {"width": 2}},
            )  # fmt: skip
            fig.add_trace(ring)
            fig.update_layout(showlegend=True)
        # Words need room: the rest is reached by dragging.
        seen = min(n, WIDE) if written else n
        every = max(1, -(-seen // 30))
        fig.update_xaxes(
            tickvals=np.arange(0, n, every),
            ticktext=[plain(shorten(visible(c), 10)) for c in self.columns[::every]],
            range=[-0.5, seen - 0.5], showgrid=False,
            title_text=self.title + (" (drag to move along)" if seen < n else ""),
        )  # fmt: skip
        fig.update_layout(dragmode="pan", hoverdistance=-1)
        fig.update_yaxes(
            range=[-0.5, K - 0.5], tickvals=np.arange(K), showgrid=False, title_text="layer"
        )
        return fig

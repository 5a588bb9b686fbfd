"""The similarity matrix of one layer as a figure that can be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.palette import colorscale, palette
from modgap.figures.text import plain, shorten, visible

LABELS = 40


@dataclass(frozen=True, eq=False)
class AlignmentMap:
    """Attributes
    ----------
    values : float (T_s, T_t)
        S or D of one layer (method, section 3).
    measure : str
        "cosine" or "euclidean".
    layer : int
    times : float (T_s, 2)
        Seconds.
    pieces : tuple of str, (T_t,)
    best : int (T_t,)
        i*(j), the argmax (argmin) path.
    dtw : int (P, 2)
    scale : float
        Upper end of the distance colours; the same for all layers of a run.
    words : tuple of (start s, end s, first text token, last)
        When each word is said, where that is known.
    """

    values: np.ndarray
    measure: str
    layer: int
    times: np.ndarray
    pieces: tuple[str, ...]
    best: np.ndarray
    dtw: np.ndarray
    scale: float = 1.0
    words: tuple[tuple[float, float, int, int], ...] = ()

    def __post_init__(self) -> None:
        n, m = self.values.shape
        if self.measure not in ("cosine", "euclidean"):
            raise ModgapError(f"Measure {self.measure!r} is neither 'cosine' nor 'euclidean'.")
        if self.times.shape != (n, 2) or len(self.pieces) != m or len(self.best) != m:
            raise ModgapError(f"Times, tokens and path do not fit a matrix of {n} x {m}.")

    @classmethod
    def of(
        cls, analysis: Any, layer: int, measure: str = "cosine", *, words: Any = None
    ) -> AlignmentMap:
        """From an `Analysis`, at a layer number; with the `WordTimes` of its transcript, if any."""
        ids = [int(k) for k in analysis.layer_ids]
        if layer not in ids:
            raise ModgapError(f"Layer {layer} was not analysed; there are {ids[0]} to {ids[-1]}.")
        k, a = ids.index(layer), analysis.alignment
        euc = measure == "euclidean"
        return cls(
            values=(a.distance if euc else a.similarity)[k],
            measure=measure,
            layer=layer,
            times=np.asarray(analysis.speech_times, dtype=float),
            pieces=tuple(analysis.pieces),
            best=(a.argmin_euc if euc else a.argmax_cos)[k],
            dtw=(a.dtw_euc if euc else a.dtw_cos)[k],
            scale=float(a.distance.max()) or 1.0,
            words=() if words is None else _rows(words, analysis.spans),
        )

    def figure(self, *, dark: bool = False, height: int = 560) -> go.Figure:
        """Speech to the right, text downwards; both paths on top."""
        n, m = self.values.shape
        p, cos = palette(dark), self.measure == "cosine"
        tokens = [plain(visible(t)) for t in self.pieces]
        mid = self.times.mean(axis=1)
        said = [f"“{plain(t)}” (token {j})" for j, t in enumerate(self.pieces)]
        rows = np.repeat(np.array(said, dtype=object)[:, None], n, 1)
        name = "S" if cos else "D"
        heat = go.Heatmap(
            z=self.values.T.astype(np.float32), text=rows, name="",
            x=np.arange(n, dtype=np.int32), y=np.arange(m, dtype=np.int32),
            customdata=np.broadcast_to(mid.astype(np.float32), (m, n)),
            colorscale=colorscale(p.diverging if cos else p.sequential),
            zmin=-1 if cos else 0, zmax=1 if cos else self.scale,
            colorbar=base.colour_bar("cosine" if cos else "distance"),
            hovertemplate=f"%{{customdata:.2f}} s ↔ %{{text}}<br>{name} = "
            "%{z:.4f}<extra></extra>",
        )  # fmt: skip
        fig = base.figure([heat], dark=dark, height=height)
        self._draw_words(fig)
        path = np.asarray(self.dtw)
        for width, colour, shown in ((4.5, "#111111", not dark), (2, "#ffffff", dark)):
            line = go.Scatter(
                x=path[:, 0], y=path[:, 1], mode="lines", name="DTW path", hoverinfo="skip",
                line={"width": width, "color": colour}, legendgroup="dtw", showlegend=shown,
            )  # fmt: skip
            fig.add_trace(line)
        dots = go.Scatter(
            x=np.asarray(self.best), y=np.arange(m), mode="markers", hoverinfo="skip",
            name="argmax path" if cos else "argmin path",
            marker={"size": 8, "color": "#f0e442", "line": {"width": 1.3, "color": "#111111"}},
        )  # fmt: skip
        fig.add_trace(dots)
        named = np.arange(0, m, -(-m // LABELS))
        fig.update_yaxes(
            range=[m - 0.5, -0.5], tickvals=named, showgrid=False, title_text="text tokens",
            ticktext=[shorten_plain(tokens[j], self.pieces[j]) for j in named],
        )  # fmt: skip
        where, ticks = base.seconds_ticks(self.times)
        fig.update_xaxes(
            range=[-0.5, n - 0.5], tickvals=where, ticktext=ticks,
            showgrid=False, title_text="speech time (s)",
        )  # fmt: skip
        return fig

    def _draw_words(self, fig: go.Figure) -> None:
        if not self.words:
            return
        edges = np.append(self.times[:, 0], self.times[-1, 1])
        rows = np.array(self.words)
        a, b = np.interp(rows[:, :2].T, edges, np.arange(len(edges)) - 0.5)
        top, bottom = rows[:, 2] - 0.45, rows[:, 3] + 0.45
        gap = np.full(len(rows), np.nan)
        x = np.stack([a, b, b, a, a, gap], 1).ravel()
        y = np.stack([top, top, bottom, bottom, top, gap], 1).ravel()
        for width, colour, shown in ((4, "#111111", False), (2, "#39d0ff", True)):
            box = go.Scatter(
                x=x, y=y, mode="lines", name="word", hoverinfo="skip", showlegend=shown,
                line={"width": width, "color": colour}, legendgroup="words",
            )  # fmt: skip
            fig.add_trace(box)

    def table(self) -> pd.DataFrame:
        """One row per cell, with where it lies in speech and text and whether on a path."""
        n, m = self.values.shape
        i, j = np.divmod(np.arange(n * m), m)
        on = np.zeros((n, m), dtype=bool)
        on[self.dtw[:, 0], self.dtw[:, 1]] = True
        column = "similarity" if self.measure == "cosine" else "distance"
        return pd.DataFrame(
            {
                "i": i,
                "start": self.times[i, 0],
                "end": self.times[i, 1],
                "j": j,
                "piece": np.array(self.pieces, dtype=object)[j],
                column: self.values.ravel(),
                "best": self.best[j] == i,
                "dtw": on.ravel(),
            }
        )


def _rows(words: Any, spans: np.ndarray) -> tuple[tuple[float, float, int, int], ...]:
    from modgap.analysis.word_hits import word_rows

    return tuple(word_rows(words, spans))


def shorten_plain(escaped: str, piece: str) -> str:
    """The escaped label, cut before escaping where the token is long."""
    label = visible(piece)
    return escaped if len(label) <= 18 else plain(shorten(label, 18))

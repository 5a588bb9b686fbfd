"""What an intervention did: the first token's probabilities, curves before and after, maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.curves import LayerCurve, LayerCurves
from modgap.figures.palette import colorscale, palette
from modgap.figures.text import plain, shorten, visible

MOST_WRITTEN = 4000  # cells of a lens grid that get their word written in
WIDE = 20  # positions of it that are seen at once
RUNS = ("text", "speech, before", "speech, after")
#: What a map of patching shows.
PATCHED = {
    "patch": "patched",
    "random": "random positions",
    "difference": "patched − random",
}


def before_after(layers: pd.DataFrame, key: str = "aps_cos") -> LayerCurves:
    """A measure over layers before and after, from ``Comparison.layers``."""
    at = layers["layer"].to_numpy(dtype=int)
    curves = tuple(
        LayerCurve(name, at, layers[f"{key}_{name}"].to_numpy(dtype=float, na_value=np.nan))
        for name in ("before", "after")
    )
    return LayerCurves(key, curves)


def click_cells(
    rows: Sequence[int] | np.ndarray, columns: Sequence[int], hover: Sequence[Sequence[str]]
) -> go.Scatter:
    """Invisible markers over a heatmap with (row, column) as ``customdata``.

    Streamlit passes on clicks on points, not on cells. With ``hoverdistance=-1`` the nearest marker
    is meant, which is that of the cell.
    """
    at = [(int(r), int(c)) for r in rows for c in columns]
    return go.Scatter(
        x=[c for _, c in at],
        y=[r for r, _ in at],
        customdata=at,
        text=[words for line in hover for words in line],
        mode="markers",
        marker={"symbol": "square", "size": 16, "opacity": 0},
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


@dataclass(frozen=True, eq=False)
class RunProbabilities:
    """Probabilities in three runs: of likely first tokens of the answer, or of options.

    tokens : tuple of n str
    values : float (n, 3)
        Given the text, the speech before and the speech after; NaN where a run does not tell.
    """

    tokens: tuple[str, ...]
    values: np.ndarray

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.tokens), len(RUNS)):
            raise ModgapError(f"Values of shape {self.values.shape} for {len(self.tokens)} tokens.")

    @classmethod
    def of_first_tokens(cls, comparison: Any, count: int = 6) -> RunProbabilities:
        """From a `Comparison`: the likeliest tokens of all three runs."""
        tops = [
            {t: float(np.exp(p)) for t, p in answer.top} if answer is not None else {}
            for answer in (comparison.text, comparison.before, comparison.after)
        ]
        best = {t: max(top.get(t, 0.0) for top in tops) for top in tops for t in top}
        tokens = tuple(sorted(best, key=best.__getitem__, reverse=True)[:count])
        values = np.array([[top.get(t, np.nan) for top in tops] for t in tokens])
        return cls(tokens, values.reshape(len(tokens), len(RUNS)))

    @classmethod
    def of_options(cls, comparison: Any) -> RunProbabilities | None:
        """From a `Comparison`: the options of a multiple choice; None if it is none."""
        runs = (comparison.text, comparison.before, comparison.after)
        if comparison.text is None or not comparison.text.options:
            return None
        names = tuple(name for name, _ in comparison.text.options)
        return cls(names, np.array([[share for _, share in run.options] for run in runs]).T)

    def figure(self, *, dark: bool = False, height: int = 260) -> go.Figure:
        """Three bars a token."""
        series = palette(dark).series
        at = np.arange(len(self.tokens))
        bars = [
            go.Bar(
                x=at,
                y=np.nan_to_num(self.values[:, n]),
                name=name,
                marker_color=series[n],
                customdata=[plain(t) for t in self.tokens],
                hovertemplate=f"“%{{customdata}}” {name}: %{{y:.4f}}<extra></extra>",
            )
            for n, name in enumerate(RUNS)
        ]
        fig = base.figure(bars, dark=dark, height=height)
        labels = [plain(shorten(visible(t), 12)) for t in self.tokens]
        fig.update_xaxes(tickvals=at, ticktext=labels, range=[-0.6, max(0, len(at) - 1) + 0.6])
        fig.update_yaxes(range=[0, 1.02], title_text="probability")
        fig.update_layout(barmode="group", bargap=0.3)
        return fig

    def table(self) -> pd.DataFrame:
        """token and a column a run."""
        return pd.DataFrame({"token": list(self.tokens)}).assign(
            **{name: self.values[:, n] for n, name in enumerate(RUNS)}
        )


@dataclass(frozen=True, eq=False)
class ChangeMap:
    """Change of the target answer's log-probability, layers to the right.

    rows : tuple of R str
    layers : tuple of K int
    values : float (R, K)
        In nats; 0 means no change.
    title : str
        What the rows are.
    variants : tuple of R tuples
        Of a sweep: what each row stands for, such as rule, tokens and strength.
    details : array of str (R, K) or None
        What else a cell says when it is pointed at.
    top : float or None
        Where the colours end; the highest absolute value by default.
    """

    rows: tuple[str, ...]
    layers: tuple[int, ...]
    values: np.ndarray
    title: str
    variants: tuple[tuple[Any, ...], ...] = ()
    details: np.ndarray | None = None
    top: float | None = None

    def __post_init__(self) -> None:
        shapes = {np.shape(a) for a in (self.values, self.details) if a is not None}
        if shapes != {(len(self.rows), len(self.layers))}:
            raise ModgapError(
                f"Values of shape {self.values.shape} for {len(self.rows)} rows and "
                f"{len(self.layers)} layers."
            )

    @classmethod
    def of_patching(cls, patching: Any, shown: str = "patch") -> ChangeMap:
        """From a `Patching`, its rows downwards.

        `shown` is one of `PATCHED`: the patches, as many random positions, or the difference of the
        two. All three have the same colours.
        """
        values = {
            "patch": patching.change,
            "random": patching.control,
            "difference": patching.change - patching.control,
        }[shown]
        counts = patching.counts.T
        details = np.array(
            [[f"{n} position{'s' * (n != 1)} patched" if n else "no aligned span" for n in line]
             for line in counts.tolist()], dtype=object,
        )  # fmt: skip
        top = float(np.nanmax(np.abs([*patching.change, *patching.control]), initial=0.0))
        title = "tokens after the audio" if patching.where == "after" else "text tokens"
        return cls(
            patching.pieces, patching.layers, values.T, title,
            details=details.reshape(counts.shape), top=top,
        )  # fmt: skip

    @classmethod
    def of_sweep(cls, sweep: Any, keys: Sequence[str] = ("rule", "tokens", "strength")
                 ) -> ChangeMap:  # fmt: skip
        """Variants downwards."""
        wide = sweep.table.pivot(index=list(keys), columns="layer", values="change")
        names = tuple(
            ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in key)
            for key in wide.index
        )
        layers = tuple(int(k) for k in wide.columns)
        return cls(names, layers, wide.to_numpy(), "intervention", tuple(map(tuple, wide.index)))

    def figure(
        self,
        *,
        dark: bool = False,
        height: int | None = None,
        current: tuple[int, int] | None = None,
    ) -> go.Figure:
        """Diverging at 0: what helps the target answer against what harms it."""
        highest = float(np.nanmax(np.abs(self.values), initial=0.0))
        top = max(highest if self.top is None else self.top, 1e-6)
        rows = [plain(visible(r)) for r in self.rows]
        where = np.arange(len(rows))
        heat = go.Heatmap(
            z=self.values,
            x=list(self.layers),
            y=where,
            zmin=-top,
            zmax=top,
            colorscale=colorscale(tuple(palette(dark).diverging)),
            hoverinfo="skip",
            colorbar=base.colour_bar("nats"),
        )  # fmt: skip
        hover = [
            [f"layer {k}<br>{row}" + self._said(r, n) for n, k in enumerate(self.layers)]
            for r, row in enumerate(rows)
        ]  # fmt: skip
        cells = click_cells(where, self.layers, hover)
        fig = base.figure([heat, cells], dark=dark, height=height or max(260, 22 * len(rows) + 90))
        fig.update_xaxes({**base.layer_axis(self.layers), "showgrid": False})
        fig.update_xaxes(range=[min(self.layers) - 0.5, max(self.layers) + 0.5])
        fig.update_yaxes(
            range=[len(rows) - 0.5, -0.5],
            tickvals=where,
            ticktext=[plain(shorten(visible(r), 30)) for r in self.rows],
            showgrid=False,
            title_text=self.title,
        )
        fig.update_layout(margin_t=14, hoverdistance=-1)
        if current is not None:
            row, layer = current
            fig.add_shape(
                type="rect", x0=layer - 0.5, x1=layer + 0.5, y0=row - 0.5, y1=row + 0.5,
                line={"color": palette(dark).primary, "width": 2.5},
            )  # fmt: skip
        return fig

    def _said(self, row: int, column: int) -> str:
        value = self.values[row, column]
        said = f"<br>{value:+.3f} nats" if np.isfinite(value) else ""
        return said + (f"<br>{self.details[row, column]}" if self.details is not None else "")

    def table(self) -> pd.DataFrame:
        """A row a name, a column a layer."""
        named = {f"layer {k}": self.values[:, n] for n, k in enumerate(self.layers)}
        return pd.DataFrame({"row": list(self.rows), **named})


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

    @classmethod
    def of(cls, lens: Any, run: str = "speech") -> LensGrid:
        """The likeliest tokens of one run ("speech" or "text") of a `Lens`."""
        read = getattr(lens, run)
        if run == "text":
            columns, title, wanted = lens.pieces, "text tokens", None
        else:
            columns = tuple(f"{t:.2f}" for t in lens.times[:, 0])
            title, wanted = "speech time (s)", lens.in_place
        return cls(read.tokens[..., 0], read.probabilities[..., 0], columns, title, wanted)

    def __post_init__(self) -> None:
        if self.tokens.shape != self.probabilities.shape or self.tokens.shape[1] != len(
            self.columns
        ):
            raise ModgapError("Tokens, probabilities and columns of the lens do not fit.")

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
                x=x, y=y, mode="markers", hoverinfo="skip", name="the aligned word",
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

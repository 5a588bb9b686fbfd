"""What all figures share: the template, the layer axis, export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io as pio

from modgap.figures.palette import palette
from modgap.figures.text import file_name, plain

FONT = '"Source Sans", "Source Sans Pro", "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def template(dark: bool = False) -> go.layout.Template:
    """The layout template: quiet grid, tight margins, legend in a line above the plot."""
    p = palette(dark)
    axis = {
        "gridcolor": p.grid,
        "linecolor": p.axis,
        "tickcolor": p.axis,
        "ticks": "outside",
        "ticklen": 4,
        "showline": True,
        "zeroline": False,
        "automargin": True,
        "title": {"font": {"size": 13, "color": p.muted}, "standoff": 10},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": p.text},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(p.series),
            "margin": {"l": 56, "r": 16, "t": 36, "b": 48},
            "xaxis": axis,
            "yaxis": axis,
            "title": {"font": {"size": 15}, "x": 0, "xref": "paper", "xanchor": "left"},
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1.02,
                "xanchor": "left",
                "yanchor": "bottom",
                "itemsizing": "trace",
            },
            "hoverlabel": {
                "bgcolor": p.page,
                "bordercolor": p.axis,
                "font": {"family": FONT, "size": 12, "color": p.text},
                "align": "left",
                "namelength": 48,
            },
            "hovermode": "closest",
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": p.muted,
                "activecolor": p.text,
            },
        }
    )


for _dark in (False, True):
    pio.templates["modgap_dark" if _dark else "modgap"] = template(_dark)


def figure(data: Sequence[Any] = (), *, dark: bool = False, height: int = 360) -> go.Figure:
    """A figure in modgap's template."""
    fig = go.Figure(list(data))
    fig.update_layout(template=template_name(dark), height=height)
    return fig


def template_name(dark: bool) -> str:
    """The name under which the template is registered with Plotly."""
    return "modgap_dark" if dark else "modgap"


def layer_axis(layers: Sequence[int], *, title: bool = True) -> dict[str, Any]:
    """An x axis of whole layer numbers, 13 of them named at most; 0 is what enters layer 1."""
    lo, hi = min(layers), max(layers)
    step = next(s for s in (1, 2, 4, 5, 8, 10, 20, 50, 100, 10**9) if (hi - lo) / s <= 12)
    ticks = [n for n in range(lo, hi + 1) if n % step == 0]
    if ticks and ticks[-1] != hi and hi - ticks[-1] > step / 2:
        ticks.append(hi)
    return {
        "tickmode": "array",
        "tickangle": 0,
        "tickvals": ticks,
        "ticktext": ["0<br>(embeddings)" if n == 0 else str(n) for n in ticks],
        "range": [lo - 0.4, hi + 0.4],
        "title": {"text": "layer"} if title else None,
    }


def seconds_ticks(times: np.ndarray, count: int = 10) -> tuple[list[float], list[str]]:
    """Round seconds as ticks of an axis that counts speech positions: (where, what).

    `times` is (T_s, 2); a position's box reaches from i - 0.5 to i + 0.5.
    """
    lo, hi = float(times[0, 0]), float(times[-1, 1])
    raw = max((hi - lo) / count, 1e-3)
    mag = 10.0 ** np.floor(np.log10(raw))
    step = next(m * mag for m in (1, 2, 5, 10) if m * mag >= raw * 0.999)
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    at = np.arange(np.ceil(lo / step - 1e-9), np.floor(hi / step + 1e-9) + 1) * step + 0.0
    edges = np.append(times[:, 0], hi)
    where = np.interp(at, edges, np.arange(len(edges)) - 0.5)
    return where.tolist(), [f"{t:.{digits}f}" for t in at]


def error_bars(
    value: np.ndarray, low: np.ndarray, high: np.ndarray, **style: Any
) -> dict[str, Any]:
    """``error_x`` or ``error_y`` from values to both ends, each of shape (n,)."""
    bars = {"type": "data", "symmetric": False, "array": high - value, "arrayminus": value - low}
    return {**bars, "thickness": 1, "width": 3, **style}


def colour_bar(title: str, **style: Any) -> dict[str, Any]:
    """The narrow ``colorbar`` of a heatmap."""
    named = {"text": title, "font": {"size": 13}}
    return {"title": named, "thickness": 12, "outlinewidth": 0, **style}


def mark_layer(fig: go.Figure, layer: float | None, dark: bool) -> None:
    """A vertical line at the current layer (or depth), behind the curves."""
    if layer is not None:
        line = {"color": palette(dark).primary, "width": 1.5, "dash": "dot"}
        # Not "between": plotly.js draws nothing there.
        fig.add_vline(x=layer, line=line, layer="below")


def plot_config(name: str = "modgap") -> dict[str, Any]:
    """The ``config`` for ``st.plotly_chart``: the camera of the mode bar saves an SVG named so."""
    return {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "svg", "filename": file_name(name)},
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        "responsive": True,
    }


def standalone_html(fig: go.Figure, *, title: str | None = None, dark: bool = False) -> bytes:
    """The figure as one HTML file that needs no network (about 5 MB: it carries plotly.js)."""
    alone = go.Figure(fig)
    p = palette(dark)
    alone.update_layout(paper_bgcolor=p.page, plot_bgcolor=p.page)
    if title:
        top = max(60, (alone.layout.margin.t or 36) + 34)
        alone.update_layout(title={"text": plain(title), "y": 0.98, "yanchor": "top"}, margin_t=top)
    page = alone.to_html(
        include_plotlyjs=True,
        full_html=True,
        include_mathjax=False,
        config=plot_config(title or ""),
    )
    head = f"<head>\n<title>{plain(title or 'modgap')}</title>"
    return page.replace("<head>", head, 1).encode()

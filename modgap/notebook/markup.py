"""Tables and curves as HTML that needs no script and takes the colours of its page.

A notebook shows it where it was made; where a notebook is not trusted, pictures are left out and
the tables stay.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modgap.figures.palette import LIGHT
from modgap.figures.text import shorten, visible

__all__ = ["Curve", "block", "curves", "number", "said", "table"]

LONGEST = 160  # characters of a text
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 120, 46, 20, 6
#: Of the light page: they reach a contrast of 3 to 1 against a dark one, too.
COLOURS = LIGHT.series[:4]
DASHES = ("", "6 3", "2 3", "8 3 2 3")
_CELL = (
    "padding:2px 10px 2px 0;text-align:{};border:0;background:none;vertical-align:top;"
    "white-space:normal"
)


@dataclass(frozen=True, eq=False)
class Curve:
    """A line: values float (n,) at x (n,); NaN is a gap."""

    name: str
    x: Sequence[float] | np.ndarray
    values: Sequence[float] | np.ndarray


def said(text: str) -> str:
    """A text of anyone's as HTML: nothing in it is markup, nothing is invisible or turns round."""
    return html.escape(shorten(visible(text), LONGEST))


def number(value: Any, digits: int = 3) -> str:
    """A number for people; a dash where it is undefined.

    >>> number(0.12345), number(float("nan")), number(-1234.5, 1)
    ('0.123', '–', '−1,234.5')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{digits}f}".replace("-", "−")


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Rows of cells that are HTML already; the first column is the names."""
    left, right = _CELL.format("left"), _CELL.format("right")
    top = "".join(
        f'<th style="{left if n == 0 else right};font-weight:600">{cell}</th>'
        for n, cell in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + f'<th style="{left};font-weight:400;opacity:.7;white-space:nowrap">{row[0]}</th>'
        + "".join(f'<td style="{right if head else left}">{cell}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    first = f"<thead><tr>{top}</tr></thead>" if head else ""
    return (
        f'<table style="border-collapse:collapse;margin:4px 0">{first}<tbody>{body}</tbody></table>'
    )


def curves(lines: Sequence[Curve], axis: str = "layer", *, least: float | None = None) -> str:
    """A small line chart; empty where no line has a value.

    Parameters
    ----------
    lines : sequence of Curve
        Four at most are drawn.
    axis : str
        What stands along the x axis.
    least : float, optional
        A value that the y axis reaches at least, such as 0.
    """
    lines = [c for c in lines if np.isfinite(np.asarray(c.values, float)).any()][: len(COLOURS)]
    if not lines:
        return ""
    x = np.concatenate([np.asarray(c.x, float) for c in lines])
    y = np.concatenate([np.asarray(c.values, float) for c in lines])
    y = y[np.isfinite(y)]
    low, high = float(y.min()), float(y.max())
    if least is not None:
        low, high = min(low, least), max(high, least)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    first, last = float(x.min()), float(x.max())
    across, up = WIDTH - LEFT - 8, HEIGHT - TOP - BOTTOM

    def place(a: float, b: float) -> str:
        right = LEFT + across * ((a - first) / (last - first) if last > first else 0.5)
        return f"{right:.1f},{TOP + up * (1 - (b - low) / (high - low)):.1f}"

    digits = max(0, 2 - math.floor(math.log10(max(abs(low), abs(high), 1e-9))))
    parts = [
        f'<path d="M{LEFT} {TOP}V{TOP + up}H{WIDTH - 8}" fill="none" stroke="currentColor" '
        'stroke-opacity=".45"/>'
    ]
    for text, height in ((number(high, digits), TOP + 9), (number(low, digits), TOP + up)):
        parts.append(_label(text, LEFT - 5, height, "end"))
    for text, at, anchor in ((f"{first:g}", LEFT, "start"), (f"{last:g}", WIDTH - 8, "end"),
                             (axis, LEFT + across / 2, "middle")):  # fmt: skip
        parts.append(_label(text, at, HEIGHT - 6, anchor))
    keys = []
    for n, line in enumerate(lines):
        look = f'stroke="{COLOURS[n]}" stroke-width="2" stroke-dasharray="{DASHES[n]}"'
        for run in _runs(line):
            dots = " ".join(place(a, b) for a, b in run)
            parts.append(f'<polyline points="{dots}" fill="none" stroke-linecap="round" {look}/>')
        keys.append(
            f'<span style="margin-right:14px"><svg width="26" height="8" aria-hidden="true">'
            f'<path d="M1 4H25" {look}/></svg> {said(line.name)}</span>'
        )
    names = ", ".join(line.name for line in lines)
    return (
        f'<div style="font-size:12px">{"".join(keys)}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{said(names)} over {said(axis)}" style="max-width:100%">'
        f"{''.join(parts)}</svg>"
    )


def block(title: str, *parts: str) -> str:
    """One result: its title, then parts that are HTML already."""
    return (
        '<div style="font-size:13px;line-height:1.4;max-width:900px">'
        f'<div style="font-weight:600">{title}</div>{"".join(parts)}</div>'
    )


def _runs(line: Curve) -> list[list[tuple[float, float]]]:
    """The stretches of a line between its gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(line.x, np.asarray(line.values, float).tolist(), strict=True):
        if math.isfinite(b):
            runs[-1].append((float(a), b))
        elif runs[-1]:
            runs.append([])
    return [run if len(run) > 1 else run * 2 for run in runs if run]


def _label(text: str, x: float, y: float, anchor: str) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="11" fill="currentColor" fill-opacity=".75" '
        f'text-anchor="{anchor}">{html.escape(text)}</text>'
    )

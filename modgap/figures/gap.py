"""The modality gap as bars: accuracies, the loss breakdown, why spoken questions fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.palette import palette
from modgap.figures.text import plain, shorten
from modgap.gap.accuracy import NAMES
from modgap.gap.failure_reasons import REASONS

INPUT_NAMES = {
    "base": "base LLM, text",
    "text": "text",
    "speech": "speech",
    "pipeline": "pipeline",
}
# One look for each quantity everywhere: (series colour, fill pattern).
_LOOKS = {"base": (5, ""), "text": (0, ""), "speech": (1, ""), "pipeline": (2, "")}
_REASON_LOOKS = {
    "not heard": (0, ""),
    "wrong form": (4, "x"),
    "not used": (1, "/"),
    "unknown": (5, "."),
}
_ROW = 30  # pixels of a horizontal bar


@dataclass(frozen=True, eq=False)
class AccuracyBars:
    """Accuracies with their intervals, from `modgap.gap.accuracy.gap_table`.

    table : DataFrame
        ``model``, ``part``, ``quantity``, ``value``, ``low``, ``high``, ``n``.
    pipeline : str
        What hears in the pipeline, such as ``whisper-tiny.en, WER 9 %`` (`gap.pipeline_hearing`).
    """

    table: pd.DataFrame
    pipeline: str = ""

    def __post_init__(self) -> None:
        missing = {"model", "part", "quantity", "value", "low", "high", "n"} - set(self.table)
        if missing:
            raise ModgapError(f"The table of the gap lacks the column {sorted(missing)[0]!r}.")

    @property
    def rows(self) -> list[str]:
        """What stands along the axis: the parts of one model, or models (and their parts)."""
        return list(dict.fromkeys(self._names()))

    def _names(self) -> list[str]:
        t = self.table
        one = t["model"].nunique() == 1 and (t["part"] != "").any()
        return [
            part if one else f"{model}, {part}" if part else model
            for model, part in zip(t["model"], t["part"], strict=True)
        ]

    def figure(self, *, dark: bool = False, height: int = 340) -> go.Figure:
        """Bars side by side, percent upwards."""
        p = palette(dark)
        t = self.table.assign(row=self._names())
        rows = self.rows
        at = {name: n for n, name in enumerate(rows)}
        kinds = [
            k for k in dict.fromkeys(t["quantity"]) if k in INPUT_NAMES or k.startswith("speech+")
        ]
        bars = []
        for number, kind in enumerate(kinds):
            mine = t[t["quantity"] == kind]
            value = 100 * mine["value"].to_numpy(dtype=float)
            colour, pattern = _LOOKS.get(kind, (3, "/\\x-|+."[number % 7]))
            name = INPUT_NAMES.get(kind, kind.replace("speech+", "speech, "))
            if kind == "pipeline" and self.pipeline:
                name = f"{name} ({self.pipeline})"
            hover = [
                f"{plain(row)}<br>{plain(name)}: {v:.1f} %"
                f" [{100 * low:.1f} … {100 * high:.1f}], n = {n:,}"
                for row, v, low, high, n in zip(
                    mine["row"], value, mine["low"], mine["high"], mine["n"], strict=True
                )
            ]
            bars.append(
                go.Bar(
                    x=[at[r] for r in mine["row"]],
                    y=value,
                    name=plain(name),
                    marker={"color": p.series[colour], "pattern": {"shape": pattern}},
                    error_y=_errors(mine, p.text),
                    hovertext=hover,
                    hovertemplate="%{hovertext}<extra></extra>",
                )
            )
        fig = base.figure(bars, dark=dark, height=height)
        many = len(rows) > 4
        fig.update_xaxes(
            tickvals=list(range(len(rows))),
            ticktext=[plain(shorten(r, 22)) for r in rows],
            range=[-0.6, max(0, len(rows) - 1) + 0.6],
            tickangle=-35 if many else 0,
            showgrid=False,
        )
        fig.update_yaxes(title_text="accuracy (%)", range=[0, 104])
        fig.update_layout(barmode="group", bargap=0.25, bargroupgap=0.06)
        return fig


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Where the base LLM's accuracy goes: lost in tuning, lost between speech and text.

    table : DataFrame
        From `modgap.gap.accuracy.gap_table`.
    """

    table: pd.DataFrame

    @property
    def relative(self) -> bool:
        """Whether there is a base LLM; else the gap is in percentage points."""
        return bool((self.table["quantity"] == "relative_gap").any())

    def figure(self, *, dark: bool = False, height: int | None = None) -> go.Figure:
        """Horizontal bars, one a model (and part): tuning and alignment add up to the loss."""
        p = palette(dark)
        t = self.table.assign(row=AccuracyBars(self.table)._names())
        rows = list(dict.fromkeys(t["row"]))
        at = {name: n for n, name in enumerate(rows)}
        wanted = (
            {
                "lost_in_tuning": ("lost in tuning", 5, "/"),
                "relative_gap": ("speech-text alignment", 1, ""),
            }
            if self.relative
            else {"gap": ("gap", 1, "")}
        )
        unit = "% of A_b" if self.relative else "percentage points"
        bars = []
        for quantity, (name, colour, pattern) in wanted.items():
            mine = t[t["quantity"] == quantity]
            value = 100 * mine["value"].to_numpy(dtype=float)
            hover = [
                f"{plain(row)}<br>{name}: {v:.1f} [{100 * low:.1f} … {100 * high:.1f}] {unit}"
                for row, v, low, high in zip(
                    mine["row"], value, mine["low"], mine["high"], strict=True
                )
            ]
            bars.append(
                go.Bar(
                    y=[at[r] for r in mine["row"]],
                    x=value,
                    orientation="h",
                    name=name,
                    marker={"color": p.series[colour], "pattern": {"shape": pattern}},
                    hovertext=hover,
                    hovertemplate="%{hovertext}<extra></extra>",
                )
            )
        total = t[t["quantity"] == ("lost_total" if self.relative else "gap")]
        value = 100 * total["value"].to_numpy(dtype=float)
        ends = go.Scatter(
            y=[at[r] for r in total["row"]],
            x=value,
            mode="markers",
            name="total, 95 % CI",
            marker={"color": p.text, "symbol": "line-ns-open", "size": 9},
            error_x=_errors(total, p.text),
            hovertext=[
                f"{plain(row)}<br>total: {v:.1f} [{100 * low:.1f} … {100 * high:.1f}] {unit}"
                for row, v, low, high in zip(
                    total["row"], value, total["low"], total["high"], strict=True
                )
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        fig = base.figure([*bars, ends], dark=dark, height=height or _ROW * len(rows) + 110)
        _row_axis(fig, rows)
        title = (
            "lost, % of the base LLM's accuracy" if self.relative else NAMES["gap"] + " (points)"
        )
        fig.update_xaxes(title_text=title)
        fig.add_vline(x=0, line={"color": p.axis, "width": 1})
        fig.update_layout(barmode="relative", bargap=0.3, legend_traceorder="normal")
        return fig


@dataclass(frozen=True, eq=False)
class ReasonShares:
    """Why spoken questions failed that are answered correctly as text.

    table : DataFrame
        From `modgap.gap.failure_reasons.reasons`.
    alarms : DataFrame, optional
        From `modgap.gap.failure_reasons.false_alarms`: a mark on the bars.
    """

    table: pd.DataFrame
    alarms: pd.DataFrame | None = None

    def figure(self, *, dark: bool = False, height: int | None = None) -> go.Figure:
        """Horizontal bars that add up to 100 %, and where "not heard" would be of right answers."""
        p = palette(dark)
        lost = self.table[self.table["text"] == "right"]
        rows = list(dict.fromkeys(lost["model"]))
        at = {name: n for n, name in enumerate(rows)}
        bars = []
        for name in REASONS:
            mine = lost[lost["reason"] == name]
            if mine.empty:
                continue
            colour, pattern = _REASON_LOOKS[name]
            bars.append(
                go.Bar(
                    y=[at[m] for m in mine["model"]],
                    x=100 * mine["share"].to_numpy(dtype=float),
                    orientation="h",
                    name=name,
                    marker={"color": p.series[colour], "pattern": {"shape": pattern}},
                    hovertext=[
                        f"{plain(m)}<br>{name}: {100 * share:.1f} % ({n:,})<br>{REASONS[name]}"
                        for m, share, n in zip(mine["model"], mine["share"], mine["n"], strict=True)
                    ],
                    hovertemplate="%{hovertext}<extra></extra>",
                )
            )
        fig = base.figure(bars, dark=dark, height=height or _ROW * len(rows) + 110)
        _row_axis(fig, rows)
        fig.update_xaxes(
            title_text="questions correct as text, wrong as speech (%)", range=[0, 101]
        )
        if self.alarms is not None:
            held = self.alarms[self.alarms["model"].isin(rows)]
            if len(held):
                fig.add_trace(_alarm_marks(held, [at[m] for m in held["model"]], dark))
        # One reason alone needs its name, too.
        fig.update_layout(barmode="stack", bargap=0.3, legend_traceorder="normal", showlegend=True)
        return fig


def _alarm_marks(alarms: pd.DataFrame, y: list[int], dark: bool) -> go.Scatter:
    p = palette(dark)
    return go.Scatter(
        x=100 * alarms["share"].to_numpy(dtype=float), y=y, mode="markers",
        name="false alarms: not heard, of correct answers",
        marker={"symbol": "diamond", "size": 11, "color": p.page,
                "line": {"color": p.text, "width": 2}},
        hovertext=[
            f"{plain(r.model)}<br>not heard, and yet answered correctly as speech: "
            f"{100 * r.share:.1f} % ({r.misheard:,} of {r.right:,})"
            for r in alarms.itertuples()
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip


def _row_axis(fig: go.Figure, rows: list[str]) -> None:
    fig.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[plain(shorten(r, 26)) for r in rows],
        range=[max(0, len(rows) - 1) + 0.6, -0.6],
        showgrid=False,
    )


def _errors(rows: pd.DataFrame, colour: str) -> dict[str, object]:
    """Percent from value to both ends."""
    value, low, high = (rows[c].to_numpy(dtype=float) for c in ("value", "low", "high"))
    return {
        "type": "data",
        "symmetric": False,
        "array": 100 * np.nan_to_num(high - value),
        "arrayminus": 100 * np.nan_to_num(value - low),
        "thickness": 1.2,
        "width": 3,
        "color": colour,
    }

"""Both token sequences and the answers' tokens, as tables and bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from modgap.core.errors import ModgapError
from modgap.figures import base
from modgap.figures.palette import palette
from modgap.figures.text import plain, shorten, visible


def speech_tokens(times: np.ndarray) -> pd.DataFrame:
    """One row per speech position: i, start, end (seconds), from times (T_s, 2)."""
    return pd.DataFrame({"i": np.arange(len(times)), "start": times[:, 0], "end": times[:, 1]})


def text_tokens(pieces: tuple[str, ...], spans: np.ndarray | None = None) -> pd.DataFrame:
    """One row per text token: j, the piece as it is, the piece made visible, and its characters.

    `spans` is int (T_t, 2): the first character of each token in the transcript, and the one after.
    """
    table = pd.DataFrame(
        {"j": np.arange(len(pieces)), "piece": list(pieces), "shown": [visible(p) for p in pieces]}
    )
    if spans is not None:
        table["span_start"], table["span_end"] = spans[:, 0], spans[:, 1]
    return table


@dataclass(frozen=True, eq=False)
class AnswerTokens:
    """The probability the model gave to each token of its answer.

    tokens : tuple of str; logprobs : natural logarithms, equally many, 0 at most.
    """

    name: str
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.logprobs):
            raise ModgapError("Every answer token needs its log probability.")
        if any(x > 1e-4 for x in self.logprobs):
            raise ModgapError("A log probability lies above 0.")

    @classmethod
    def of(cls, answer: Any, name: str) -> AnswerTokens:
        """From an `Answer`."""
        return cls(name, tuple(answer.tokens), tuple(float(x) for x in answer.logprobs))

    def figure(self, *, dark: bool = False, height: int = 200, colour: int = 0) -> go.Figure:
        """One bar per token, in order; `colour` counts the palette's series."""
        at = np.arange(len(self.tokens))
        bars = go.Bar(
            x=at,
            y=np.exp(np.array(self.logprobs, dtype=float)),
            marker_color=palette(dark).series[colour],
            customdata=[plain(t) for t in self.tokens],
            name=plain(self.name),
            hovertemplate="“%{customdata}” %{y:.4f}<extra></extra>",
        )
        fig = base.figure([bars], dark=dark, height=height)
        fig.update_xaxes(
            tickvals=at,
            ticktext=[plain(shorten(visible(t), 12)) for t in self.tokens],
            range=[-0.6, max(0, len(at) - 1) + 0.6],
        )
        fig.update_yaxes(range=[0, 1.02], title_text="probability")
        fig.update_layout(margin_t=12, bargap=0.35)
        return fig

    def table(self) -> pd.DataFrame:
        """position, token, logprob, probability."""
        logs = np.array(self.logprobs, dtype=float)
        return pd.DataFrame(
            {
                "position": np.arange(len(logs)),
                "token": list(self.tokens),
                "logprob": logs,
                "probability": np.exp(logs),
            }
        )

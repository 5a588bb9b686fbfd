"""Figures: pure functions from data to ``plotly.graph_objects.Figure``.

Every figure comes from a small frozen dataclass that checks its own invariants and knows its
labels, units and range; ``.figure(dark=...)`` draws it, ``.table()`` gives the numbers behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modgap.core.lazy_imports import attach

if TYPE_CHECKING:
    from modgap.figures.base import plot_config, standalone_html
    from modgap.figures.consistency import ConsistencyPoints
    from modgap.figures.curves import LayerCurve, LayerCurves
    from modgap.figures.heatmap import AlignmentMap
    from modgap.figures.measures import MEASURES, Measure, measure
    from modgap.figures.relative_depth import DepthCurves, SideBySide
    from modgap.figures.scores import Panels, norms, path_scores
    from modgap.figures.text import file_name, plain, shorten, visible
    from modgap.figures.tokens import AnswerTokens, speech_tokens, text_tokens
    from modgap.figures.waveform import SoundPicture
    from modgap.figures.words import WordCurves

__all__ = [
    "MEASURES",
    "AlignmentMap",
    "AnswerTokens",
    "ConsistencyPoints",
    "DepthCurves",
    "LayerCurve",
    "LayerCurves",
    "Measure",
    "Panels",
    "SideBySide",
    "SoundPicture",
    "WordCurves",
    "file_name",
    "measure",
    "norms",
    "path_scores",
    "plain",
    "plot_config",
    "shorten",
    "speech_tokens",
    "standalone_html",
    "text_tokens",
    "visible",
]

# A page that needs only the names of tokens must not wait for Plotly.
__getattr__, __dir__ = attach(
    __name__,
    {
        "base": (
            "plot_config",
            "standalone_html",
        ),
        "consistency": ("ConsistencyPoints",),
        "curves": (
            "LayerCurve",
            "LayerCurves",
        ),
        "relative_depth": (
            "DepthCurves",
            "SideBySide",
        ),
        "heatmap": ("AlignmentMap",),
        "measures": (
            "MEASURES",
            "Measure",
            "measure",
        ),
        "scores": (
            "Panels",
            "norms",
            "path_scores",
        ),
        "waveform": ("SoundPicture",),
        "text": (
            "file_name",
            "plain",
            "shorten",
            "visible",
        ),
        "tokens": (
            "AnswerTokens",
            "speech_tokens",
            "text_tokens",
        ),
        "words": ("WordCurves",),
    },
)

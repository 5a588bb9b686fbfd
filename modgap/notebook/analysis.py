"""One clip in one model, in several models, and against its words, in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.core.errors import SettingsError
from modgap.figures.curves import LayerCurve, LayerCurves
from modgap.figures.measures import measure as measure_of
from modgap.figures.text import visible
from modgap.measures.monotone import most_monotone
from modgap.notebook.markup import Curve, block, curves, number, said, table
from modgap.notebook.plots import Plots, on_page

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from modgap.analysis.model_comparison import ModelComparison
    from modgap.analysis.result import Analysis
    from modgap.analysis.word_hits import WordHits
    from modgap.speech.words import WordTimes

__all__ = ["AnalysisPlots", "ModelComparisonPlots", "WordHitsPlots", "opening_layer"]

MOST_ROWS = 6
SHOWN = ("cosine", "euclidean", "aps_cos", "monotonicity")


def opening_layer(analysis: Analysis) -> int:
    """The layer that a view opens at: the most monotone one, else the middle one."""
    found = most_monotone(analysis.alignment.monotonicity_cos, analysis.layer_ids)
    return int(analysis.layer_ids[len(analysis.layer_ids) // 2]) if found is None else found


class AnalysisPlots(Plots):
    """Figures of an `Analysis`: those of the pages Layers, Alignment and Clip."""

    _of: Analysis

    def layers(
        self, measure: str = "cosine", *, current: int | None = None, band: bool = True,
        upper: bool = False, dark: bool = False, height: int = 360,
    ) -> go.Figure:  # fmt: skip
        """A measure over layers; see `modgap.figures.LayerCurves`."""
        name = str(self._of.clip.get("name", "clip"))
        drawn = LayerCurves(measure, (LayerCurve.of(self._of, measure, name, band=band),))
        figure = drawn.figure(current=current, dark=dark, height=height, upper=upper)
        return on_page(figure, dark)

    def norms(self, *, current: int | None = None, dark: bool = False) -> go.Figure:
        """Lengths of both mean vectors over layers, and their ratio."""
        from modgap.figures.scores import norms

        return on_page(norms(self._of).figure(current=current, dark=dark), dark)

    def scores(
        self, measure: str = "cosine", *, support: pd.DataFrame | None = None,
        filtered: bool = False, current: int | None = None, dark: bool = False,
    ) -> go.Figure:  # fmt: skip
        """Alignment Path Score and monotonicity over layers; `support` is `modgap.score_support`'s
        table."""
        from modgap.figures.scores import path_scores

        if filtered and support is None:
            raise SettingsError(
                "The score without sinks and silence needs support=modgap.score_support(analysis)."
            )
        made = path_scores(self._of, measure, support, filtered=filtered)
        return on_page(made.figure(current=current, dark=dark), dark)

    def alignment(
        self, layer: int | None = None, measure: str = "cosine", *,
        words: WordTimes | None = None, dark: bool = False, height: int = 560,
    ) -> go.Figure:  # fmt: skip
        """The similarity matrix of a layer (by default the most monotone one) with its paths.

        `modgap.widget` is the same with all layers, and with the sound.
        """
        from modgap.figures.heatmap import AlignmentMap

        at = opening_layer(self._of) if layer is None else layer
        made = AlignmentMap.of(self._of, at, measure, words=words)
        return on_page(made.figure(dark=dark, height=height), dark)

    def words(
        self, words: WordTimes, measure: str = "cosine", *, current: int | None = None,
        dark: bool = False,
    ) -> go.Figure:  # fmt: skip
        """How often the paths land in the word, over layers; `words` are `modgap.word_times`'s."""
        from modgap.analysis.word_hits import word_hits

        hits = word_hits(self._of, words)
        return WordHitsPlots(hits).layers(measure, current=current, dark=dark)

    def answer(self, kind: str = "speech", *, dark: bool = False) -> go.Figure:
        """The probability of each token of the answer to the ``"speech"`` or to the ``"text"``."""
        from modgap.figures.tokens import AnswerTokens

        given = (self._of.answers or {}).get(kind)
        if given is None:
            raise SettingsError(
                "There is no such answer: kind is speech or text, and answers=False gives none."
            )
        drawn = AnswerTokens.of(given, kind)
        return on_page(drawn.figure(dark=dark, colour=int(kind == "speech")), dark)

    def line(self) -> str:
        """Clip, model and sizes."""
        a = self._of
        return visible(
            f"Analysis of {a.clip.get('name', 'clip')} in {a.model.get('name', '?')}: "
            f"{len(a.layer_ids)} layers, {len(a.speech_times)} speech and {len(a.pieces)} text "
            "positions"
        )

    def html(self) -> str:
        """What was asked and answered, some layers' numbers, and their curves."""
        a = self._of
        layer = opening_layer(a)
        facts = [["transcript", said(a.transcript)]]
        for kind, answer in (a.answers or {}).items():
            facts.append([f"answer to the {kind}", said(answer.text)])
        facts += [["note", said(note)] for note in a.notes]
        drawn = a.layers[a.layers["layer"].isin(_some(a.layer_ids, layer))]
        rows = [
            [str(row["layer"]) + (" *" if row["layer"] == layer else "")]
            + [number(row[name], 2 if name == "euclidean" else 3) for name in SHOWN]
            for row in drawn.to_dict("records")
        ]
        lines = [
            Curve(measure_of(name).short, a.layers["layer"].to_numpy(), _floats(a.layers, name))
            for name in ("cosine", "aps_cos", "monotonicity")
        ]
        return block(
            said(self.line()),
            table(facts),
            table(rows, ["layer", *(measure_of(name).short for name in SHOWN)]),
            f'<div style="font-size:11px;opacity:.7">* shown first; {len(a.layers)} layers are in '
            "<code>.layers</code>, figures behind <code>.plot</code>.</div>",
            curves(lines, least=0.0),
        )


class ModelComparisonPlots(Plots):
    """Figures of a `ModelComparison`: those of the page Compare."""

    _of: ModelComparison

    def layers(
        self, measure: str = "cosine", *, depth: float | None = None, dark: bool = False
    ) -> go.Figure:
        """A measure over relative depth, one curve a model."""
        from modgap.figures.relative_depth import DepthCurves

        made = DepthCurves.of(self._of.curves, measure)
        return on_page(made.figure(depth=depth, dark=dark), dark)

    def alignment(
        self, depth: float = 0.5, measure: str = "cosine", *, dark: bool = False
    ) -> go.Figure:
        """The similarity matrices side by side, at each model's layer nearest to `depth`."""
        from modgap.figures.relative_depth import SideBySide

        of = self._of
        made = SideBySide.of(of.names, of.analyses, of.layers_at(depth), measure)
        return on_page(made.figure(dark=dark), dark)

    def line(self) -> str:
        """Clip and models."""
        first = self._of.analyses[0]
        return visible(f"{first.clip.get('name', 'clip')} in {', '.join(self._of.names)}")

    def html(self) -> str:
        """The answers beside each other, and cosine over relative depth."""
        of = self._of
        rows = [
            [said(name), *(said(row[kind] or "–") for kind in ("text", "speech"))]
            for name, row in zip(of.names, of.answers().to_dict("records"), strict=True)
        ]
        lines = [
            Curve(name, a.layers["layer"].to_numpy() / a.model["n_layers"], _floats(a.layers, key))
            for name, a in zip(of.names, of.analyses, strict=True)
            for key in ("cosine",)
        ]
        return block(
            said(self.line()),
            table(rows, ["model", "answer to the text", "answer to the speech"]),
            curves(lines, "cosine over relative depth", least=0.0),
        )


class WordHitsPlots(Plots):
    """Figures of `WordHits`."""

    _of: WordHits

    def layers(
        self, measure: str = "cosine", *, current: int | None = None, dark: bool = False
    ) -> go.Figure:
        """The share of text tokens whose path lands in their word, over layers."""
        from modgap.figures.words import WordCurves

        made = WordCurves.of(self._of, measure)
        return on_page(made.figure(current=current, dark=dark), dark)

    def line(self) -> str:
        """How many tokens, by whose word times."""
        return visible(
            f"Paths against the words of {len(self._of.tokens)} tokens, by {self._of.source}"
        )

    def html(self) -> str:
        """The shares in their best layer beside chance, and over layers."""
        found = self._of.layers()
        rows = []
        for name, key in (("argmax path", "word_cos"), ("DTW path", "word_dtw_cos")):
            share = _floats(found, key)
            if np.isfinite(share).any():
                best = int(np.nanargmax(share))
                rows.append([name, number(share[best], 2), str(int(found["layer"][best]))])
        rows.append(["random position", number(float(found["chance"].iloc[0]), 2), ""])
        lines = [
            Curve(name, found["layer"].to_numpy(), _floats(found, key))
            for name, key in (("argmax path", "word_cos"), ("DTW path", "word_dtw_cos"),
                              ("random position", "chance"))
        ]  # fmt: skip
        head = ["cosine", "in the word", "layer"]
        return block(said(self.line()), table(rows, head), curves(lines, least=0.0))


def _floats(frame: pd.DataFrame, column: str) -> np.ndarray:
    return frame[column].to_numpy(dtype=float, na_value=np.nan)


def _some(layers: Sequence[int] | np.ndarray, wanted: int) -> set[int]:
    """A few layers from the first to the last, `wanted` among them."""
    at: Any = np.unique(np.linspace(0, len(layers) - 1, MOST_ROWS - 1).round().astype(int))
    return {int(layers[n]) for n in at} | {wanted}

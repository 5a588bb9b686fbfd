"""Interventions, sweeps, patching and lenses in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modgap.core.errors import SettingsError
from modgap.figures.interventions import PATCHED, ChangeMap, RunProbabilities, before_after
from modgap.figures.text import visible
from modgap.notebook.markup import Curve, block, curves, number, said, table
from modgap.notebook.plots import Plots, on_page

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from modgap.analysis.answer_lens import AnswerLens
    from modgap.analysis.comparison import Comparison
    from modgap.analysis.lens import Lens
    from modgap.analysis.patching import Patching
    from modgap.analysis.sweeps import Sweep

__all__ = ["AnswerLensPlots", "ComparisonPlots", "LensPlots", "PatchingPlots", "SweepPlots"]

MOST_ROWS = 6


class ComparisonPlots(Plots):
    """Figures of a `Comparison`: those of the page Interventions."""

    _of: Comparison

    def layers(
        self, measure: str = "aps_cos", *, current: int | None = None, dark: bool = False,
        height: int = 360,
    ) -> go.Figure:  # fmt: skip
        """A measure between speech and text over layers, before and after."""
        if self._of.layers.empty:
            raise SettingsError("Without a transcript there is no measure before and after.")
        made = before_after(self._of.layers, measure)
        return on_page(made.figure(current=current, dark=dark, height=height), dark)

    def first_tokens(self, count: int = 6, *, dark: bool = False) -> go.Figure:
        """The likeliest first tokens of the answer, given text, speech before, speech after."""
        made = RunProbabilities.of_first_tokens(self._of, count)
        return on_page(made.figure(dark=dark), dark)

    def options(self, *, dark: bool = False) -> go.Figure:
        """The same of the options of a multiple choice."""
        made = RunProbabilities.of_options(self._of)
        if made is None:
            raise SettingsError("The question is no multiple choice.")
        return on_page(made.figure(dark=dark), dark)

    def line(self) -> str:
        """What was done."""
        done = "; ".join(it.to_text() for it in self._of.interventions) or "nothing"
        return visible(f"Before and after {done}")

    def html(self) -> str:
        """The answers, how far each is from the answer to the text, and a curve."""
        of = self._of
        rows = [
            ["speech, before", said(of.before.text), number(of.kl_before)],
            ["speech, after", said(of.after.text), number(of.kl_after)],
        ]
        if of.text is not None:
            rows.insert(0, ["text", said(of.text.text), ""])
        used = int(of.pairs["used"].sum()) if len(of.pairs) else 0
        lines = [] if of.layers.empty else [
            Curve(f"APS cos, {name}", of.layers["layer"].to_numpy(),
                  of.layers[f"aps_cos_{name}"].to_numpy(float))
            for name in ("before", "after")
        ]  # fmt: skip
        changed = "another answer" if of.changed else "the same answer"
        return block(
            said(self.line()),
            table(rows, ["input", "answer", "KL to text (nats)"]),
            f"<div>{changed}, {used} pair{'s' * (used != 1)} of speech and text positions</div>",
            curves(lines, least=0.0),
        )


class SweepPlots(Plots):
    """Figures of a `Sweep`: those of the page Localize."""

    _of: Sweep

    def change(self, *, dark: bool = False, height: int | None = None) -> go.Figure:
        """The change of the target's log-probability, a row a variant, a column a layer."""
        made = ChangeMap.of_sweep(self._of)
        return on_page(made.figure(dark=dark, height=height), dark)

    def line(self) -> str:
        """Target and size."""
        return visible(f"Sweep of {len(self._of.table)} interventions, target “{self._of.target}”")

    def html(self) -> str:
        """The variants that helped most, and the best of each layer."""
        of = self._of
        best = of.table.sort_values("change", ascending=False).head(MOST_ROWS)
        rows = [
            [said(f"{r['rule']}, {r['tokens']}"), str(r["layer"]), number(r["strength"], 2),
             number(r["change"])]
            for r in best.to_dict("records")
        ]  # fmt: skip
        top = of.table.groupby("layer")["change"].max()
        line = Curve("best of the layer", top.index.to_numpy(float), top.to_numpy(float))
        return block(
            said(self.line()),
            _from_to(of.plain, of.text),
            table(rows, ["intervention", "layer", "strength", "change (nats)"]),
            curves([line], "layer", least=0.0),
        )


class PatchingPlots(Plots):
    """Figures of a `Patching`: those of the page Localize."""

    _of: Patching

    def change(
        self, shown: str = "patch", *, dark: bool = False, height: int | None = None
    ) -> go.Figure:
        """The change of the target's log-probability, a row a token, a column a layer.

        `shown` is ``"patch"``, ``"random"`` (as many random positions) or ``"difference"``.
        """
        if shown not in PATCHED:
            raise SettingsError(f"shown is one of {', '.join(PATCHED)}, not {shown!r}.")
        made = ChangeMap.of_patching(self._of, shown)
        return on_page(made.figure(dark=dark, height=height), dark)

    def line(self) -> str:
        """Target, and what was replaced."""
        K, T = self._of.change.shape
        where = {"word": "aligned span", "segment": "DTW segment", "pair": "argmax position",
                 "after": "tokens after the audio"}[self._of.where]  # fmt: skip
        return visible(
            f"Patching of {T} tokens in {K} layers ({where}), target “{self._of.target}”"
        )

    def html(self) -> str:
        """The cells that helped most, and the best of each layer beside random positions."""
        of = self._of
        found = of.table().dropna(subset="change").sort_values("change", ascending=False)
        rows = [
            [said(r["piece"]), str(r["layer"]), str(r["count"]), number(r["change"]),
             number(r["control"])]
            for r in found.head(MOST_ROWS).to_dict("records")
        ]  # fmt: skip
        lines = [
            Curve(name, np.array(of.layers, float), _highest(values))
            for name, values in (("patched, best token", of.change),
                                 ("random positions, best token", of.control))
        ]  # fmt: skip
        head = ["token", "layer", "positions", "change (nats)", "random positions"]
        return block(
            said(self.line()), _from_to(of.plain, of.text), table(rows, head),
            curves(lines, least=0.0),
        )  # fmt: skip


class LensPlots(Plots):
    """Figures of a `Lens`: those of the page Localize."""

    _of: Lens

    def speech(self, *, dark: bool = False) -> go.Figure:
        """The likeliest token at every speech position in every layer."""
        from modgap.figures.lens_grid import LensGrid

        return on_page(LensGrid.of_speech(self._of).figure(dark=dark), dark)

    def text(self, *, dark: bool = False) -> go.Figure:
        """The same at the transcript's own positions."""
        from modgap.figures.lens_grid import LensGrid

        return on_page(LensGrid.of_text(self._of).figure(dark=dark), dark)

    def line(self) -> str:
        """Sizes."""
        L, n, _ = self._of.speech.tokens.shape
        return f"Logit lens over {n} speech and {len(self._of.pieces)} text positions, {L} levels"

    def html(self) -> str:
        """The first layer in which each token is on top, and how many positions read as theirs."""
        of = self._of
        rows = [
            [said(piece), *("–" if v < 0 else str(int(v)) for v in (speech, text))]
            for piece, speech, text in zip(
                of.pieces, of.first_layer, of.first_layer_text, strict=True
            )
        ][: 2 * MOST_ROWS]
        left = len(of.pieces) - len(rows)
        more = f"<div>and {left} more tokens</div>" if left else ""
        share = of.in_place.mean(axis=1)
        line = Curve("share of speech positions read as their word", np.arange(len(share)), share)
        head = ["token", "on top from layer, speech", "text"]
        return block(said(self.line()), table(rows, head), more, curves([line], least=0.0))


class AnswerLensPlots(Plots):
    """Figures of an `AnswerLens`: those of the page Localize."""

    _of: AnswerLens

    def layers(self, *, dark: bool = False, height: int = 320) -> go.Figure:
        """The probability of the answer's first token by layer, speech against text."""
        from modgap.figures.answer_lens import AnswerCurves

        return on_page(AnswerCurves.of(self._of).figure(dark=dark, height=height), dark)

    def line(self) -> str:
        """The answer."""
        return visible(f"The answer “{self._of.target}” by layer, where it is said")

    def html(self) -> str:
        """What both runs give the answer in the end, and on the way."""
        of = self._of
        runs = ("speech", "text")
        rows = [
            [run, number(of.probability[n, -1], 4), str(int(of.rank[n, -1]) + 1),
             number(of.logprob[n, -1])]
            for n, run in enumerate(runs)
        ]  # fmt: skip
        layers = np.arange(of.probability.shape[1])
        lines = [Curve(run, layers, of.probability[n]) for n, run in enumerate(runs)]
        head = ["run", f"probability of “{said(of.token)}”", "rank", "whole answer (nats)"]
        return block(said(self.line()), table(rows, head), curves(lines, least=0.0))


def _from_to(plain: float, text: float) -> str:
    return (
        f"<div>log-probability of the target: {number(plain)} nats given the speech, "
        f"{number(text)} given the text</div>"
    )


def _highest(values: np.ndarray) -> np.ndarray:
    """The highest of each layer, float (K,) of (K, T); NaN where there is none."""
    known = np.where(np.isfinite(values), values, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(known), known, np.nan)

"""A run in a notebook: the pages Modality gap and Similarity vs gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modgap.figures.text import visible
from modgap.gap.run_data import finals
from modgap.notebook.markup import Curve, block, curves, number, said, table
from modgap.notebook.plots import Plots, on_page

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from modgap.gap.run_data import Run

__all__ = ["RunPlots"]

MOST_MODELS = 4
SHOWN = ("text", "speech", "gap")
DRAFT = 999  # resamples of what is shown unasked


class RunPlots(Plots):
    """Figures of a `Run`; `models` are the checkpoints that are no snapshots by default."""

    _of: Run

    def gap(
        self, models: Sequence[str] | None = None, *, by: str | None = None, dark: bool = False
    ) -> go.Figure:
        """Accuracies with their intervals, of a model or of the values of the facet `by`."""
        from modgap.figures.gap import AccuracyBars
        from modgap.gap.accuracy import gap_table
        from modgap.gap.pipeline_hearing import pipeline_hearing

        heard = pipeline_hearing(self._of)
        bars = AccuracyBars(
            gap_table(self._of, self._models(models), by=by), heard.label if heard else ""
        )
        return on_page(bars.figure(dark=dark), dark)

    def breakdown(self, models: Sequence[str] | None = None, *, dark: bool = False) -> go.Figure:
        """Where the base LLM's accuracy goes: lost in tuning, lost between speech and text."""
        from modgap.figures.gap import Decomposition
        from modgap.gap.accuracy import gap_table

        made = Decomposition(gap_table(self._of, self._models(models)))
        return on_page(made.figure(dark=dark), dark)

    def reasons(
        self, models: Sequence[str] | None = None, *, tolerance: float | None = None,
        dark: bool = False,
    ) -> go.Figure:  # fmt: skip
        """Why spoken questions fail; the WER threshold for "heard" is calibrated by default."""
        from modgap.figures.gap import ReasonShares
        from modgap.gap.failure_reasons import calibrated, false_alarms, reasons

        run, chosen = self._of, self._models(models)
        at = calibrated(run, chosen).tolerance if tolerance is None else tolerance
        made = ReasonShares(
            reasons(run, chosen, tolerance=at), false_alarms(run, chosen, tolerance=at)
        )
        return on_page(made.figure(dark=dark), dark)

    def similarity(self, measure: str = "aps_cos", *, dark: bool = False) -> go.Figure:
        """The gap against a similarity measure, one point a checkpoint, snapshots included."""
        from modgap.figures.correlation import GapScatter
        from modgap.gap.correlation import fits, gaps, layer_means, points

        found = points(layer_means(self._of, measure), gaps(self._of))
        return on_page(GapScatter(found, fits(found), measure).figure(dark=dark), dark)

    def layers(self, measure: str = "cosine", *, dark: bool = False) -> go.Figure:
        """A measure over layers, mean over clips, one curve a checkpoint."""
        from modgap.figures.curves import LayerCurve, LayerCurves

        means = self._means(measure)
        drawn = LayerCurves(
            measure,
            tuple(
                LayerCurve(str(m), part["layer"].to_numpy(int), part["value"].to_numpy(float))
                for m, part in means.groupby("model", sort=False)
            ),
        )
        return on_page(drawn.figure(dark=dark), dark)

    def line(self) -> str:
        """Name and size."""
        run = self._of
        return visible(
            f"Run {run.name}: {run.questions:,} questions, {len(run.models)} checkpoints"
        )

    def html(self) -> str:
        """Accuracies and the gap of the first checkpoints, and cosine over layers."""
        from modgap.gap.accuracy import gap_table

        run = self._of
        chosen = finals(run.models)[:MOST_MODELS]
        rows = []
        if chosen:
            found = gap_table(run, chosen, resamples=DRAFT).set_index(["model", "quantity"])
            rows = [[said(m), *(_percent(found, m, q) for q in SHOWN)] for m in chosen]
        lines = []
        if run.layers and chosen:
            lines = [
                Curve(str(m), part["layer"].to_numpy(), part["value"].to_numpy(float))
                for m, part in self._means("cosine").groupby("model", sort=False)
                if m in chosen
            ]
        head = ["checkpoint", "A_t: text, %", "A_s: speech, %", "gap, points"]
        left = len(run.models) - len(chosen)
        more = f"<div>and {left} more checkpoints</div>" if left else ""
        return block(
            said(self.line()), table(rows, head), more,
            curves(lines, "cosine over layers", least=0.0),
        )  # fmt: skip

    def _models(self, models: Sequence[str] | None) -> list[str]:
        for model in models or ():
            self._of.model_number(model)
        return list(models) if models else finals(self._of.models)

    def _means(self, measure: str) -> pd.DataFrame:
        from modgap.gap.correlation import layer_means

        found = layer_means(self._of, measure)
        return found[found["n"] > 0]


def _percent(found: pd.DataFrame, model: str, quantity: str) -> str:
    if (model, quantity) not in found.index:
        return "–"
    row = found.loc[(model, quantity)]
    value, low, high = (number(100 * float(row[c]), 1) for c in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"

"""A run as one web page: figures and tables, for an appendix or a colleague."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from modgap.core.errors import ModgapError
from modgap.core.names import seen, turned_off
from modgap.evaluation.runs.base_models import foreign_bases
from modgap.gap import accuracy, correlation, failure_reasons, option_rules, per_question
from modgap.gap.cut_answers import run_warnings
from modgap.gap.pipeline_hearing import pipeline_hearing
from modgap.gap.prompts import prompts_note
from modgap.gap.reading import reading
from modgap.gap.run_data import MEASURES, finals

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from modgap.gap.run_data import Run

__all__ = ["report_html"]

MOST_BARS = 12  # checkpoints or values of a group beside each other
DISTANCES = ("euclidean", "aps_euc")
_STYLE = """
body { font: 15px/1.5 "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: #1b2430;
  max-width: 1080px; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.4rem; }
h3 { font-size: 1rem; margin-bottom: 0.2rem; }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #e6e9ee; text-align: right; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
.wide { overflow-x: auto; } .note { color: #5b6673; font-size: 0.88rem; }
pre { background: #f4f6f8; padding: 0.8rem; overflow-x: auto; font-size: 0.8rem; }
@media print { h2 { break-after: avoid; } .figure { break-inside: avoid; } }
"""


def report_html(run: Run, *, title: str | None = None, models: Sequence[str] | None = None) -> str:
    """The report as HTML that needs no network (about 5 MB: it carries plotly.js).

    Parameters
    ----------
    run : Run
    title : str, optional
        The run's name by default.
    models : sequence of str, optional
        Of the bars and tables; by default the checkpoints that are not on the way to another, 12
        at most. Points of similarity against the gap are those of all checkpoints.

    Raises
    ------
    ModgapError
        The run has no answers, or no such model.
    """
    from plotly.offline import get_plotlyjs

    if not run.models:
        raise ModgapError(f"The run {run.name} has no answers to report on.")
    for model in models or ():
        run.model_number(model)
    chosen = list(models) if models else finals(run.models)[:MOST_BARS]
    heading = html.escape(seen(title or run.name))
    parts = [_head(run, heading), _gap(run, chosen), _groups(run, chosen), _reasons(run, chosen)]
    if run.layers:
        parts += [_lines(run), _questions(run, chosen), _controls(run, chosen)]
    parts.append(_protocol(run))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{heading}</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>{turned_off(''.join(parts))}</body></html>\n"
    )


def _head(run: Run, heading: str) -> str:
    from modgap.core.version import __version__

    made = datetime.now(UTC).isoformat(timespec="minutes").replace("+00:00", " UTC")
    return (
        f"<h1>{heading}</h1><p class=note>{run.questions:,} questions, {len(run.models)} "
        f"checkpoints, inputs {html.escape(', '.join(run.inputs))}. Report by modgap "
        f"{__version__}, {made.replace('T', ' ')}. Intervals are 95 %: percentile bootstraps over "
        "questions, paired, all voices of a question together. Definitions: arXiv 2510.12116, "
        "sections of modgap's docs/method.md.</p>"
    )


def _gap(run: Run, models: list[str]) -> str:
    from modgap.figures.gap import AccuracyBars, Decomposition

    counts = accuracy.accuracies(run)
    asked = (
        f"<h3>Counts</h3>{_table(counts[list(accuracy.COUNTS)])}"
        f"<h3>By more than one rule</h3><p class=note>{option_rules.NOTE}</p>"
        + _table(option_rules.rules_table(counts), digits=1)
    )
    table = accuracy.gap_table(run, models)
    if table.empty:
        return f"<h2>Accuracy and gap</h2><p>No question was asked in full.</p>{asked}"
    shown = table.assign(
        quantity=[accuracy.quantity_name(q) for q in table["quantity"]],
        **{c: 100 * table[c] for c in ("value", "low", "high")},
    ).drop(columns="part")
    shown = shown.rename(columns={"value": "%", "low": "from", "high": "to"})
    warnings = (*foreign_bases(run.protocol), *run_warnings(run, models))
    warned = "".join(f"<p>{html.escape(text)}</p>" for text in warnings)
    said = f"<p class=note>{html.escape(prompts_note(run.protocol))}</p>"
    hearing = pipeline_hearing(run)
    heard = hearing.label if hearing else ""
    bars = AccuracyBars(table, heard).figure()
    out = f"<h2>Accuracy and gap</h2>{warned}{said}" + _figure(bars)
    if (table["quantity"] == "gap").any():
        out += "<h3>Loss breakdown</h3>" + _figure(Decomposition(table).figure())
    return out + _table(shown, digits=1) + asked


def _groups(run: Run, models: list[str]) -> str:
    from modgap.figures.gap import AccuracyBars

    out = ""
    for facet, values in run.facets.items():
        if not 1 < len(values) <= 3 * MOST_BARS:
            continue
        for model in models[:2]:
            table = accuracy.gap_table(run, [model], by=facet)
            if not table.empty:
                out += f"<h3>{html.escape(facet)}, {html.escape(model)}</h3>"
                out += _figure(AccuracyBars(table).figure(height=360))
    return f"<h2>By group</h2>{out}" if out else ""


def _reasons(run: Run, models: list[str]) -> str:
    from modgap.figures.gap import ReasonShares

    found = failure_reasons.calibrated(run, models)
    table = failure_reasons.reasons(run, models, tolerance=found.tolerance)
    if not (table["text"] == "right").any():
        return ""
    said = "; ".join(f"<i>{name}</i>: {text}" for name, text in failure_reasons.REASONS.items())
    shown = table.assign(share=100 * table["share"]).rename(columns={"share": "%"})
    marks = failure_reasons.false_alarms(run, models, tolerance=found.tolerance)
    threshold = (
        f"WER threshold for “heard”: {found.tolerance:g}"
        + (
            f" (calibrated: maximal Youden index, J = {found.youden:.2f}, "
            f"{100 * found.alarms:.0f} % false alarms)"
            if found.reason is None
            else ""
        )
        + "."
    )
    alarms = marks.assign(share=100 * marks["share"]).rename(columns={"share": "%"})
    control = (
        "<h3>False alarms</h3><p class=note>Answered correctly as speech, and yet above the "
        f"threshold: the control of 'not heard'.</p>{_table(alarms, digits=1)}"
        if len(alarms)
        else ""
    )
    return (
        "<h2>Why spoken questions fail</h2><p class=note>Of the questions answered "
        f"correctly as text. {threshold} {said}.</p>{_figure(ReasonShares(table, marks).figure())}"
        + _table(shown, digits=1)
        + control
    )


def _lines(run: Run) -> str:
    from modgap.figures.correlation import PUBLISHED, GapScatter, LayerR2
    from modgap.figures.measures import measure

    found = correlation.gaps(run)
    rows, figures = [], ""
    for name in MEASURES:
        means = correlation.layer_means(run, name)
        points = correlation.points(means, found)
        if points.empty:
            continue
        lines = correlation.fits(points)
        rows += [{"measure": measure(name).short, **f.row()} for f in lines]
        figures += f"<h3>{html.escape(measure(name).label)}</h3>"
        figures += _figure(GapScatter(points, lines, name).figure(height=420))
        if any(f.reason is None for f in lines):
            curve = correlation.layer_curve(means, found)
            figures += _figure(LayerR2(curve, name).figure(height=320))
        parts = [f.influence.assign(group=f.group) for f in lines if f.influence is not None]
        if parts:
            table = pd.concat(parts, ignore_index=True).drop(columns="part")
            table = table[["group", "model", "slope", "r2", "cook"]].rename(
                columns={"slope": "slope without it", "r2": "R² without it", "cook": "Cook's D"}
            )
            figures += _folded("Leave-one-out influence", _table(table, digits=3))
    if not rows:
        return ""
    table = pd.DataFrame(rows)
    columns = ["measure", "group", "n", "r2", "slope", "slope_low", "slope_high", "slope_p",
               "pearson", "pearson_low", "pearson_high", "spearman", "reason"]  # fmt: skip
    published = "; ".join(
        f"{html.escape(measure(name).short)} {html.escape(whose)} {value:.2f}"
        for name, values in PUBLISHED.items()
        for whose, value in values
    )
    return (
        "<h2>Similarity against the gap</h2><p class=note>One point a checkpoint; similarity is "
        f"the mean over layers and clips. Published R²: {published}.</p>"
        f"{_table(table[columns], digits=3)}{figures}"
    )


def _questions(run: Run, models: list[str]) -> str:
    rows, tables, how = [], "", "DeLong"
    for model in models:
        if not {"text", "speech"} <= set(run.inputs_of(model)):
            continue
        for name in MEASURES:
            found = per_question.question_rows(run, model, name)
            area = per_question.auc(found, higher_fails=name in DISTANCES)
            rows.append({"model": model, "measure": name, "AUC": area.value, "from": area.low,
                         "to": area.high, "failed": area.failed, "did not": area.kept,
                         "note": area.reason or ""})  # fmt: skip
            how = area.method if area.clustered else how
            if name == "aps_cos":
                tables += _regressions(run, model, found)
    if not rows:
        return ""
    return (
        "<h2>Per question</h2><p class=note>Whether a clip's own similarity (mean over layers) "
        "predicts failure of its spoken answer, among questions answered correctly as text. "
        f"0.5 is chance; intervals: {how}.</p>{_table(pd.DataFrame(rows), digits=3)}{tables}"
    )


def _regressions(run: Run, model: str, found: pd.DataFrame) -> str:
    made = per_question.logistic(found)
    out = f"<h3>{html.escape(model)}: logistic regression of failure as speech (APS cosine)</h3>"
    if made.reason:
        out += f"<p class=note>None: {html.escape(made.reason)}.</p>"
    else:
        out += _table(made.table.rename(columns={"odds_ratio": "odds ratio per SD"}), digits=3)
        out += f"<p class=note>n = {made.n:,}, McFadden's R² {made.pseudo_r2:.3f}.</p>"
        said = reading(per_question.auc(found), made)
        out += f"<p>{html.escape(said)}</p>" if said else ""
    if run.has_items:
        every = per_question.question_rows(run, model, text_right=False)
        within = per_question.within_items(every)
        out += "<p class=note>Within items (item effects removed): " + (
            f"none, {html.escape(within.reason)}.</p>"
            if within.reason
            else f"{100 * within.slope:+.1f} points of failure per standard deviation "
            f"({100 * within.low:+.1f} to {100 * within.high:+.1f}), p = {within.p:.2g}, "
            f"{within.items:,} items.</p>"
        )
    return out


def _controls(run: Run, models: list[str]) -> str:
    from modgap.figures.controls import CkaHeat, OwnAgainstOthers, against_controls
    from modgap.gap.controls import kept_controls, made_again, read_controls
    from modgap.measures.baselines import PAIRED

    body = ""
    for model, folder in kept_controls(run.path, models).items():
        _, data, made = read_controls(folder)
        body += (
            f"<h3>{html.escape(model)}</h3><p class=note>{made.clips:,} clips of "
            f"{html.escape(data)}, {made.left_out} left out; CKA over {made.cka.pairs:,} aligned "
            f"tokens ({made.pairing}).</p>"
        )
        body += _figure(against_controls(made).figure(height=320))
        if made.paired:
            body += _figure(OwnAgainstOthers(made).figure(height=320))
            table = made.layers[["layer", *PAIRED]]
            body += _folded("Own text against others, by layer", _table(table, digits=3))
        else:
            body += f"<p class=note>{html.escape(made_again(run.name))}</p>"
        body += _figure(CkaHeat(made.cka).figure(height=420))
    if not body:
        return ""
    return (
        "<h2>Baselines and controls</h2><p class=note>Mismatched: the speech of one "
        "clip against the text of another, with the middle 90 %, in which a single clip may lie; "
        "whether the mean over clips differs is told by the interval of the difference: a clip's "
        "own text minus the mean of the others', 95 % over clips, layer by layer. AUC: the share "
        "of the other texts that are less similar than a clip's own; 0.5 is chance. Mean-centred: "
        f"after each modality's mean over the clips is removed.</p>{body}"
    )


def _protocol(run: Run) -> str:
    text = json.dumps(run.protocol, indent=1, ensure_ascii=False)
    lost = run.sql(
        "SELECT kind, count(*) AS n, any_value(reason) AS example FROM failures GROUP BY kind "
        "ORDER BY n DESC LIMIT 50"
    )
    failures = f"<h3>Questions that could not be run</h3>{_table(lost)}" if len(lost) else ""
    return f"<h2>Protocol</h2>{failures}" + _folded("run.json", f"<pre>{html.escape(text)}</pre>")


def _figure(figure: go.Figure) -> str:
    import plotly.io as pio

    from modgap.figures.base import plot_config

    made = pio.to_html(
        figure, include_plotlyjs=False, full_html=False, include_mathjax=False,
        config=plot_config("modgap-report"),
    )  # fmt: skip
    return f'<div class="figure">{made}</div>'


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary>{body}</details>"


def _table(table: pd.DataFrame, *, digits: int = 0) -> str:
    """A table whose texts are shown as they are."""

    def number(value: Any) -> str:
        if value is None or value != value:
            return "–"
        if isinstance(value, float):
            return f"{value:,.{digits}f}"
        return f"{value:,}"

    def column(name: str) -> tuple[str, Callable[[Any], str]]:
        if table[name].dtype.kind in "iuf":
            return "", number
        return (' class="text"', lambda v: "" if v is None or v != v else html.escape(str(v)))

    how = {name: column(name) for name in table}
    head = "".join(f"<th{how[n][0]}>{html.escape(str(n))}</th>" for n in table)
    body = "".join(
        "<tr>" + "".join(f"<td{how[n][0]}>{how[n][1](row[n])}</td>" for n in table) + "</tr>"
        for row in table.to_dict("records")
    )
    rows = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table>{rows}</table></div>'

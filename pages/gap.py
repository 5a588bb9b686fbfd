"""How large the modality gap is, what it is made of, and on which clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.core.names import seen
from modgap.ui import (
    as_code,
    batch,
    heard_threshold,
    run_clips,
    run_interventions,
    runs,
    widgets,
)
from modgap.ui.runs import NO_GROUP
from modgap.ui.session.inputs import CHECKPOINTS, GROUP
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd
    from streamlit.delta_generator import DeltaGenerator

    from modgap.gap.run_data import Run

MOST_MODELS = 12


def controls(run: Run, row: DeltaGenerator) -> tuple[list[str], str | None, dict[str, list[str]]]:
    """Which checkpoints, by which group, of which questions."""
    here, opened = visit().runs, visit().link
    if here.models_of != run.name:
        wanted = [m for m in opened.get("checkpoints", ()) if m in run.models]
        first = here.models_of is None
        CHECKPOINTS.value = (wanted if first else []) or runs.finals(run)[:MOST_MODELS]
        wanted_group = opened.get("by") if first else None
        GROUP.value = wanted_group if wanted_group in run.facets else NO_GROUP
        here.models_of = run.name
    with row:
        st.multiselect(
            "Checkpoints",
            list(run.models),
            key=CHECKPOINTS.key,
            format_func=seen,
            max_selections=MOST_MODELS,
            placeholder="Choose checkpoints",
            persist_state="session",
            width=420,
        )
        known = [NO_GROUP, *runs.facets(run)]
        if GROUP.value not in known:
            GROUP.value = NO_GROUP
        st.selectbox(
            "Group by", known, key=GROUP.key, width=150, format_func=seen, persist_state="session"
        )
        where = runs.filters(run)
    group = None if GROUP.value == NO_GROUP else GROUP.value
    return [m for m in run.models if m in CHECKPOINTS.value], group, where


def accuracies(run: Run, models: list[str], by: str | None, where: dict[str, list[str]]) -> None:
    """Bars, decomposition, reasons, counts."""
    from modgap.evaluation.runs.base_models import foreign_bases
    from modgap.figures.gap import AccuracyBars, Decomposition, ReasonShares
    from modgap.gap import accuracy, failure_reasons
    from modgap.gap.cut_answers import run_warnings
    from modgap.gap.pipeline_hearing import pipeline_hearing
    from modgap.gap.prompts import prompts_note

    if by and len(models) > 1:
        st.caption(f"By {widgets.plain(by)}: of the first checkpoint chosen. Choose one at a time.")
        models = models[:1]
    table: pd.DataFrame = runs.ask(run, "gap", accuracy.gap_table, models, where, by)
    if table.empty:
        st.caption("No question that all inputs have answers to is left: change the filters.")
        return
    cut = runs.ask(run, "cut", run_warnings, models, where)
    for warning in (*foreign_bases(run.protocol), *cut):
        widgets.notice(warning)
    st.caption(prompts_note(run.protocol))
    hearing = runs.ask(run, "hearing", pipeline_hearing, where)
    bars = AccuracyBars(table, hearing.label if hearing else "")
    parts = Decomposition(table)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader("Accuracy (paired questions)", anchor=False)
        widgets.chart(
            bars.figure(dark=widgets.dark(), height=330),
            key="gap_bars",
            name=runs.stem(run, "accuracies", where=where),
            alt="Accuracies of the base LLM, text, speech and pipeline with 95 % intervals",
        )
    with right:
        st.subheader("Loss breakdown", anchor=False)
        high = max(330, 30 * len(bars.rows) + 110)
        if (table["quantity"] == "gap").any():
            widgets.chart(
                parts.figure(dark=widgets.dark(), height=high),
                key="gap_parts",
                name=runs.stem(run, "parts", where=where),
                alt="Loss in tuning and in speech-text alignment",
            )
        else:
            st.caption("The gap needs answers to both text and speech.")
    counts = runs.ask(run, "counts", accuracy.accuracies, where)
    counts = counts[counts["model"].isin(models)]
    numbers(table, counts)
    why = None
    left, right = st.columns([3, 2], gap="medium")
    with left:
        head = st.container()
        tolerance, calibrated = heard_threshold.threshold(run, models)
        why = runs.ask(run, "reasons", failure_reasons.reasons, models, where, tolerance=tolerance)
        if why is not None and (why["text"] == "right").any():
            alarms = runs.ask(
                run, "alarms", failure_reasons.false_alarms, models, where, tolerance=tolerance
            )
            with head:
                st.subheader(heard_threshold.headline(why, alarms), anchor=False)
            shares = ReasonShares(why, alarms)
            widgets.chart(
                shares.figure(dark=widgets.dark()),
                key="gap_reasons",
                name=runs.stem(run, "reasons", where=where),
                alt="Shares of not heard, wrong form, heard but not used",
            )
            said = ", ".join(
                f"{widgets.plain(a.model)} {widgets.share(a.share, a.right)}"
                for a in alarms.itertuples()
            )
            if said:
                st.caption(
                    f"Diamond: the false-alarm rate, the share of the questions answered "
                    f"correctly as speech that count as not heard, too ({said}). {calibrated}"
                )
        else:
            with head:
                st.subheader("Why spoken questions fail", anchor=False)
            st.caption("No question is right as text and wrong as speech.")
    with right:
        st.subheader("Counts", anchor=False)
        widgets.table(counts[list(accuracy.COUNTS)], key="gap_counts", height=330)
        st.caption(
            "Unparsed: no answer was found in the response; it counts as wrong. Failed: the "
            "question could not be run."
        )
    file, name = widgets.Download, runs.stem(run, by or "", where=where)
    of = runs.subject(run, ", ".join(models), where=where)
    settings = {"run": run.protocol, "checkpoints": models, "by": by, "where": where,
                "tolerance": tolerance}  # fmt: skip
    label = f", {hearing.label!r}" if hearing else ""
    widgets.downloads(
        [
            file.figure("Accuracies", f"{name}-accuracies", lambda: bars.figure(), of=of),
            file.figure("Loss breakdown", f"{name}-parts", lambda: parts.figure(), of=of),
            file.table("Numbers", f"{name}-gap", lambda: table),
            file.table("Counts", f"{name}-counts", lambda: counts),
            file.table("Failure reasons", f"{name}-reasons", lambda: why),
            file.settings(name, lambda: settings),
        ],
        key="gap",
        code=as_code.of_run(
            run.name, "from modgap.gap import gap_table; from modgap.figures.gap import "
            "AccuracyBars", f"AccuracyBars(gap_table(run, {models!r}, {where!r}, {by!r}){label})",
            models=models, where=where, by=by, tolerance=tolerance,
        ),
    )  # fmt: skip


def numbers(table: pd.DataFrame, counts: pd.DataFrame) -> None:
    """The table behind the bars, and the scores by other rules, in percent."""
    from modgap.gap.accuracy import quantity_name
    from modgap.gap.option_rules import NOTE, rules_table

    with st.expander("Table of the numbers"):
        shown = table.assign(quantity=table["quantity"].map(quantity_name))
        for column in ("value", "low", "high"):
            shown[column] = 100 * shown[column]
        shown = shown.rename(columns={"value": "percent", "low": "95 % from", "high": "to"})
        if not shown["part"].any():
            shown = shown.drop(columns="part")
        widgets.table(shown, key="gap_numbers", height=420)
        st.markdown("Accuracy by scoring rule")
        widgets.table(rules_table(counts), key="gap_rules", height=330)
        st.caption(NOTE)


def page() -> None:
    """Draw the page."""
    widgets.title(
        "Modality gap",
        "The same questions, typed and spoken. **Accuracy** is the share of right answers; bars "
        "hold the 95 % interval of a bootstrap over questions (all voices of a question together), "
        "paired where two are compared; it has no width where all answers agree. The loss against "
        "the base text LLM splits into what **tuning** costs on text, and what is lost "
        "**between speech and text**. The **pipeline** is a speech recogniser before a text LLM: "
        "the base, unless the run says that it is each model's own text side. Overlapping "
        "intervals of two bars do not mean that they agree: the difference is paired, and its own "
        "interval is in the table.",
        r"\frac{A_b - A_s}{A_b} = \underbrace{\frac{A_b - A_t}{A_b}}_{\text{tuning}} + "
        r"\underbrace{\frac{A_t - A_s}{A_b}}_{\text{speech-text alignment}}",
        "Published means over models (arXiv 2510.12116): 8.79 % in tuning and 16.46 % in "
        "alignment. Why a spoken question fails: *not heard* (asked to write the clip down, the "
        "model exceeds the WER threshold), *wrong form* (no answer is found in its response), "
        "*not used* (heard, and yet answered wrongly).",
    )
    batch.section()
    row = st.container(horizontal=True, vertical_alignment="bottom", key="gap_controls")
    run = runs.choose("look at", row)
    if run is None:
        return
    models, by, where = controls(run, row)
    view = runs.link_of(run, where)
    view |= {"checkpoints": tuple(models) if models != runs.finals(run)[:MOST_MODELS] else ()}
    visit().view = view | {"by": by}
    if not models:
        st.caption("Choose at least one checkpoint.")
        return
    accuracies(run, models, by, where)
    visit().view |= run_clips.show(run, models, where)
    run_interventions.show(run)


page()

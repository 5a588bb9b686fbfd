"""The paper's interventions over a run's questions: Table 1, controls, the adaptive choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.core.errors import ModgapError
from modgap.core.names import seen
from modgap.ui import runs, widgets
from modgap.ui.session.inputs import INTERVENED

if TYPE_CHECKING:
    import pandas as pd

    from modgap.evaluation.interventions.kept_tables import Table1
    from modgap.gap.run_data import Run

NAMES = {
    "variant": "intervention", "n": "n", "accuracy": "accuracy %", "low": "95 % from",
    "high": "to", "change": "change (points)", "change_low": "95 % from ", "change_high": "to ",
    "fixed": "fixed", "broken": "broken", "touched": "questions touched",
    "ahead": "adaptive minus it", "ahead_low": "95 % from  ", "ahead_high": "to  ",
}  # fmt: skip
SHARES = ("accuracy", "low", "high", "change", "change_low", "change_high", "ahead", "ahead_low",
          "ahead_high")  # fmt: skip


def show(run: Run) -> None:
    """The section; a word on how to make the tables where the run has none."""
    from modgap.evaluation.interventions.kept_tables import FOLDER, kept_answers, read_table1
    from modgap.evaluation.interventions.question_outcomes import gains
    from modgap.figures.intervention_gains import GainCurve

    st.subheader("Interventions over the data set (Table 1)", anchor=False)
    files = kept_answers(run.path)
    if not files:
        st.caption(
            "This run has no interventions over its questions. Make them with `modgap table1 "
            f"--data DATA --model MODEL --adaptive --out {run.name}/{FOLDER}`."
        )
        return
    made: dict[str, Table1] = {}
    for stem, path in files.items():
        try:
            written = path.stat().st_mtime_ns
            made[stem] = runs.ask(
                run, "table1", lambda _, stem, written, path=path: read_table1(path), stem, written
            )
        except (ModgapError, OSError) as problem:
            widgets.error(str(problem))
    if not made:
        return
    if INTERVENED.get("") not in made:
        INTERVENED.value = next(iter(made))
    stem = st.selectbox(
        "Checkpoint", list(made), key=INTERVENED.key, width=230, persist_state="session",
        format_func=lambda stem: seen(made[stem].model),
    )  # fmt: skip
    found = made[stem]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        widgets.table(percent(found.fixed), key="table1")
        st.caption(
            "The paper's rows are angle and length with bottom-3 and all tokens at layer 0; the "
            "others are controls. Change: against the speech as it is, on the same questions, "
            "95 % paired bootstrap. Fixed and broken: wrong before and right now, and the reverse."
        )
    gained = gains({table.model: table.fixed for table in made.values()})
    curve = GainCurve(gained)
    with right:
        widgets.chart(
            curve.figure(dark=widgets.dark(), height=360), key="table1_gains",
            name=f"{run.name}-gains",
            alt="Change of accuracy by intervention against accuracy on speech",
        )  # fmt: skip
        count = gained["model"].nunique()
        st.caption(f"n = {count} checkpoint{'s' * (count != 1)}.")
    if found.adaptive is not None:
        st.markdown(widgets.plain(f"Adaptive choice: {found.choice}."))
        widgets.table(percent(found.adaptive), key="table1_adaptive")
        st.caption("On the questions that the choice was not made on.")
    file, name = widgets.Download, runs.stem(run, stem)
    adaptive = found.adaptive
    widgets.downloads(
        [
            file.table("Table 1", f"{name}-table1", lambda: found.fixed),
            *(
                [file.table("Adaptive choice", f"{name}-adaptive", lambda: adaptive)]
                if adaptive is not None
                else []
            ),
            file.figure(
                "Gains", runs.stem(run, "gains"), lambda: curve.figure(), of=runs.subject(run)
            ),
            file.table("Gains", runs.stem(run, "gains"), lambda: gained),
        ],
        key="table1_files",
    )


def percent(table: pd.DataFrame) -> pd.DataFrame:
    """Shares in percent, columns by their names on the page."""
    out = table.copy()
    for column in SHARES:
        if column in out:
            out[column] = (100 * out[column]).round(1)
    return out.rename(columns=NAMES)

"""Up to which word error rate a clip counts as heard, on the Modality gap page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from modgap.ui import runs, widgets
from modgap.ui.session import inputs
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd

    from modgap.gap.run_data import Run


def threshold(run: Run, models: list[str]) -> tuple[float, str]:
    """Up to which word error rate a clip counts as heard, and how that was calibrated."""
    from modgap.gap import failure_reasons

    found = runs.ask(run, "threshold", failure_reasons.calibrated, models)
    widget = inputs.TOLERANCE
    if visit().runs.calibrated != (run.name, *models):  # of these checkpoints, not of others
        widget.value = found.tolerance
        visit().runs.calibrated = (run.name, *models)
    value = st.slider(
        "WER threshold for “heard”", 0.0, 1.0, step=0.01, key=widget.key, width=330,
        persist_state="session",
    )  # fmt: skip
    if found.reason is not None:
        return value, f"The threshold is not calibrated: {found.reason}."
    return value, (
        f"Calibrated: {found.tolerance:g}, the maximal Youden index of these checkpoints on all "
        f"questions (J = {found.youden:.2f}: {widgets.share(found.detected, found.failed)} of "
        f"{found.failed:,} failures, {widgets.share(found.alarms, found.right)} of "
        f"{found.right:,} correct answers count as not heard)."
    )


def headline(why: pd.DataFrame, alarms: pd.DataFrame) -> str:
    """What share of the failures were not heard, and of the right answers."""
    lost = why[why["text"] == "right"]
    missed = lost.loc[lost["reason"] == "not heard", "n"].sum()
    known = lost.loc[lost["reason"] != "unknown", "n"].sum()
    if not known or not len(alarms):
        return "Why spoken questions fail"
    right = int(alarms["right"].sum())
    return (
        f"Why spoken questions fail: {widgets.share(missed / known, int(known))} not heard, at a "
        f"false-alarm rate of {widgets.share(alarms['misheard'].sum() / right, right)}"
    )

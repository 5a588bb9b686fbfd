"""The modality gap of a run: accuracies, similarity against it, questions, reasons, controls.

>>> from modgap.gap import gap_table, open_run                                  # doctest: +SKIP
>>> gap_table(open_run("runs/mine"))                                            # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modgap.core.lazy_imports import attach

if TYPE_CHECKING:
    from modgap.gap.accuracy import accuracies, gap_table
    from modgap.gap.correlation import fits, gaps, layer_means, points
    from modgap.gap.failure_reasons import calibrated, false_alarms, reason, reasons
    from modgap.gap.per_question import auc, logistic, question_rows, within_items
    from modgap.gap.run_data import open_run

__all__ = [
    "accuracies",
    "auc",
    "calibrated",
    "false_alarms",
    "fits",
    "gap_table",
    "gaps",
    "layer_means",
    "logistic",
    "open_run",
    "points",
    "question_rows",
    "reason",
    "reasons",
    "within_items",
]

# The pages' start must not wait for what only one of them needs.
__getattr__, __dir__ = attach(
    __name__,
    {
        "accuracy": ("accuracies", "gap_table"),
        "correlation": ("fits", "gaps", "layer_means", "points"),
        "failure_reasons": ("calibrated", "false_alarms", "reason", "reasons"),
        "per_question": ("auc", "logistic", "question_rows", "within_items"),
        "run_data": ("open_run",),
    },
)

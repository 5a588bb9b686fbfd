"""Multiple choice by the likeliest option, beside what the answer's text says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from modgap.gap.run_data import Run, Where

__all__ = ["NOTE", "OPTION_COLUMNS", "option_scores", "rules_table"]

#: What people are told of `rules_table`.
NOTE = (
    "Accuracy is by modgap's scorers. Expected is what VoiceBench's rule would give on average, "
    "for comparison with its leaderboard: it draws where an answer names no option, and it counts "
    "what a judge rated. The likeliest option is read off the probabilities, with no text to "
    "understand."
)
OPTION_COLUMNS = ("with_options", "accuracy_by_answer", "accuracy_by_option")


def option_scores(run: Run, where: Where | None = None) -> pd.DataFrame:
    """Accuracy of the option that a model finds likeliest, and of its answers to the same.

    Where the two differ, the model knows more (or less) than the form of its answers lets it say.
    The likeliest option is that of `modgap.scoring.likeliest_option.option_verdict`.

    Returns
    -------
    DataFrame
        ``model``, ``input``, ``with_options`` (judged answers with the probabilities of the
        question's options), ``accuracy_by_answer``, ``accuracy_by_option`` (shares of those). No
        row where there are none.
    """
    right = run.right_options
    condition, parameters = run.condition(where)
    columns = ["model", "input", *OPTION_COLUMNS]
    if not right:  # and so the answers need not be read
        return pd.DataFrame(columns=columns)
    found = run.sql(
        "SELECT a.model, a.input, q.q, len(a.option_logprob) AS size, a.correct AS by_answer, "
        "list_position(a.option_logprob, list_max(a.option_logprob)) AS best "
        f"FROM {run.answer_rows} AS a JOIN q USING (question) WHERE len(a.option_logprob) > 1 "
        f"AND a.correct IS NOT NULL AND {condition}",
        parameters,
    )
    sizes = found["q"].map({q: len(flags) for q, flags in right.items()})
    found = found[sizes == found["size"]]
    best = zip(found["q"], found["best"], strict=True)
    found = found.assign(
        by_option=[right[q][int(n) - 1] for q, n in best], by_answer=found["by_answer"].astype(bool)
    )
    table = found.groupby(["model", "input"], as_index=False).agg(
        with_options=("q", "size"),
        accuracy_by_answer=("by_answer", "mean"),
        accuracy_by_option=("by_option", "mean"),
    )
    return table[columns]


def rules_table(counts: pd.DataFrame) -> pd.DataFrame:
    """What people are shown of `accuracy.accuracies`: its scores by each rule, in percent.

    Columns about options are left out where no question has any.
    """
    names = {
        "model": "checkpoint",
        "input": "input",
        "accuracy": "accuracy %",
        "expected": "expected by VoiceBench's rule %",
        "expected_of": "of",
        "with_options": "with options",
        "accuracy_by_answer": "of those by answer %",
        "accuracy_by_option": "of those by likeliest option %",
    }
    if not counts["with_options"].any():
        names = {k: v for k, v in names.items() if k not in OPTION_COLUMNS}
    shares = {k: 100 * counts[k].astype(float) for k in names if names[k].endswith("%")}
    return counts.assign(**shares)[list(names)].rename(columns=names)

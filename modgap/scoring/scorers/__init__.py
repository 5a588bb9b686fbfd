"""Scorers: pure functions from an answer to a verdict, one file each.

The rules are modgap's own. They say *unparsed* where VoiceBench draws at random, and give beside it
the score that VoiceBench's rule would have on average; for its exact scores run its own evaluators
(`modgap.evaluation.judging.voicebench_evaluators`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modgap.core.errors import SettingsError
from modgap.scoring.scorers.base import Scorer, Verdict, unparsed
from modgap.scoring.scorers.bbh import score_bbh
from modgap.scoring.scorers.choices import score_choices
from modgap.scoring.scorers.ifeval import check_settings, score_ifeval
from modgap.scoring.scorers.reference import score_reference
from modgap.scoring.scorers.refusal import score_refusal

if TYPE_CHECKING:
    from modgap.scoring.question import Question

__all__ = ["SCORERS", "VERSIONS", "Scorer", "Verdict", "check_scorer", "score", "unparsed"]


def _judged(response: str, reference: str, meta: Mapping[str, Any]) -> Verdict:
    """Left open: only a judge can tell (`modgap.evaluation.judging.judge`)."""
    return Verdict(None, None, "needs a judge")


SCORERS: dict[str, Scorer] = {
    "reference": score_reference,
    "choices": score_choices,
    "bbh": score_bbh,
    "refusal": score_refusal,
    "ifeval": score_ifeval,
    "judge": _judged,
}
#: Rises whenever a scorer's verdict on any answer changes (or how a judge's replies are read); part
#: of a run's protocol.
VERSIONS = dict.fromkeys(SCORERS, 3)


def check_scorer(name: str, meta: Mapping[str, Any]) -> None:
    """Whether answers to a question can be scored; what reads questions asks before any answer.

    Parameters
    ----------
    name : str
        Of the scorer.
    meta : mapping
        The question's.

    Raises
    ------
    SettingsError
        There is no such scorer, or it lacks something.
    """
    if name not in SCORERS:
        raise SettingsError(f"There is no scorer {name!r}; use one of {', '.join(SCORERS)}.")
    if name == "ifeval":
        check_settings(meta.get("instruction_id_list"), meta.get("kwargs"))


def score(question: Question, response: str) -> Verdict:
    """The verdict on an answer to a question, by the question's scorer.

    Raises
    ------
    SettingsError
        See `check_scorer`. No answer is refused.

    Examples
    --------
    >>> from modgap.scoring.question import Question
    >>> q = Question("1", "What is two plus three?", load=None, reference="five")
    >>> score(q, "It is 5.").correct
    True
    """
    check_scorer(question.scorer, question.meta)
    meta = {**question.meta, "choices": question.choices, "prompt": question.transcript}
    return SCORERS[question.scorer](response, question.reference, meta)

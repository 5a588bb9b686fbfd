"""Verdicts of a set of answers as numbers, modgap's and on VoiceBench's scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from modgap.core.errors import SettingsError
from modgap.scoring.question import Question
from modgap.scoring.scorers import Verdict

__all__ = ["OVERALL", "Summary", "overall", "summarise"]

#: The nine scores whose mean is VoiceBench's Overall.
OVERALL = ("alpacaeval_full", "commoneval", "wildvoice", "sd-qa", "mmsu", "openbookqa", "bbh",
           "ifeval", "advbench")  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """A set of answers in numbers.

    Attributes
    ----------
    n : int
    judged : int
        Answers with a verdict.
    accuracy : float or None
        Share of right answers of those judged; unparsed ones are wrong.
    unparsed : int
        Answers that are wrong for their form only.
    expected : float or None
        Mean expected score in [0, 1] under the benchmark's rule: of each answer its own where there
        is one, else 1 or 0. None if an answer has neither.
    leaderboard : float or None
        On VoiceBench's scale of 0 to 100: `expected`, but of IFEval the mean of its four rates,
        which weigh answers by how many instructions they have. None where the scores are not
        comparable (SD-QA without VoiceBench's own matcher and judge).
    """

    n: int
    judged: int
    accuracy: float | None
    unparsed: int
    expected: float | None
    leaderboard: float | None


def summarise(rows: Iterable[tuple[Question, str, Verdict]]) -> Summary:
    """Numbers of a set of answers, all by one scorer if the leaderboard's score is wanted.

    Parameters
    ----------
    rows : iterable of (Question, str, Verdict)
        Question, response, verdict.
    """
    kept = list(rows)
    judged = [v for _, _, v in kept if v.correct is not None]
    scores = [
        v.expected if v.expected is not None else None if v.correct is None else float(v.correct)
        for _, _, v in kept
    ]
    known = [s for s in scores if s is not None]
    expected = sum(known) / len(known) if kept and len(known) == len(kept) else None
    scorers = {q.scorer for q, _, _ in kept}
    leaderboard = None
    if scorers == {"ifeval"}:
        leaderboard = 100 * _four_rates([(q, r) for q, r, _ in kept])
    elif len(scorers) == 1 and scorers <= {"choices", "bbh", "refusal", "judge"}:
        leaderboard = None if expected is None else 100 * expected
    return Summary(
        n=len(kept),
        judged=len(judged),
        accuracy=sum(bool(v.correct) for v in judged) / len(judged) if judged else None,
        unparsed=sum(v.unparsed for v in judged),
        expected=expected,
        leaderboard=leaderboard,
    )


def _four_rates(answers: Sequence[tuple[Question, str]]) -> float:
    from modgap.scoring.scorers.ifeval import check

    found: list[Any] = [
        check(r, q.meta["instruction_id_list"], q.meta["kwargs"]) for q, r in answers
    ]
    total = 0.0
    for kind in ("strict", "loose"):
        lists = [getattr(f, kind) for f in found]
        total += sum(all(x) for x in lists) / len(lists)
        total += sum(sum(x) for x in lists) / sum(len(x) for x in lists)
    return total / 4


def overall(scores: dict[str, float]) -> float:
    """VoiceBench's Overall: the mean of the nine subsets' scores on the scale of 0 to 100.

    Raises
    ------
    SettingsError
        A subset is missing.

    Examples
    --------
    The leaderboard's row of Qwen2-Audio:

    >>> round(overall({"alpacaeval_full": 20 * 3.74, "commoneval": 20 * 3.43, "sd-qa": 35.71,
    ...                "wildvoice": 20 * 3.01, "mmsu": 35.72, "openbookqa": 49.45, "bbh": 54.7,
    ...                "ifeval": 26.33, "advbench": 96.73}), 2)
    55.8
    """
    missing = [name for name in OVERALL if name not in scores]
    if missing:
        raise SettingsError(f"VoiceBench's Overall needs all nine scores; {missing[0]} is missing.")
    return sum(scores[name] for name in OVERALL) / len(OVERALL)

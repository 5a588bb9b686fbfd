"""Scores of a file of results, made here or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files import write_atomic
from ..models.base import Progress
from .judge import Judge, JudgeError
from .leaderboard import Summary, summarise
from .question import Question
from .results import questions_of
from .scorers import VERSIONS, Verdict, score

__all__ = ["Scored", "needs_judge", "score_file", "write_scored"]

_AT_ONCE = 8  # requests to a judge


@dataclass(frozen=True)
class Scored:
    """One answer of a file with its verdict.

    Attributes
    ----------
    question : Question
    row : dict
        The line of the file; with a judge, its replies are in ``score``, as VoiceBench has them.
    verdict : Verdict
    """

    question: Question
    row: dict[str, Any]
    verdict: Verdict

    @staticmethod
    def summary(rows: list[Scored]) -> Summary:
        """Numbers of all."""
        return summarise((s.question, s.row["response"], s.verdict) for s in rows)


def needs_judge(question: Question) -> bool:
    """Whether a judge decides, wholly or, as VoiceBench does SD-QA, in part."""
    return question.scorer == "judge" or (
        question.dataset == "voicebench" and question.subset == "sd-qa"
    )


def score_file(
    path: Path,
    questions: list[Question] | None = None,
    *,
    subset: str | None = None,
    judge: Judge | None = None,
    progress: Progress | None = None,
) -> list[Scored]:
    """Score every answer of a file of results.

    Parameters
    ----------
    path : Path
    questions, subset
        As in `modgap.benchmark.results.questions_of`.
    judge : Judge, optional
        Asked about the answers that need one. If it fails on one, that answer stays unjudged, with
        the reason as its rule; if it fails on all, that is an error.
    progress : callable (fraction, note), optional

    Raises
    ------
    SettingsError
        The file cannot be used.
    JudgeError
        The judge answered nothing at all.
    """
    pairs = list(questions_of(path, questions, subset))
    if judge is None:
        return [Scored(q, row, score(q, row["response"])) for q, row in pairs]
    found = []
    for number, scored in enumerate(_judged(pairs, judge)):
        if progress is not None:
            progress(number / len(pairs), f"answer {number + 1} of {len(pairs)}")
        found.append(scored)
    asked = [s for s in found if needs_judge(s.question)]
    failed = [s for s in asked if s.verdict.rule.startswith("no judgement")]
    if failed and len(failed) == len(asked):
        raise JudgeError(failed[0].verdict.rule.removeprefix("no judgement: "))
    return found


def _judged(pairs: list[tuple[Question, dict[str, Any]]], judge: Judge) -> Iterator[Scored]:
    def ask(pair: tuple[Question, dict[str, Any]]) -> Scored:
        question, row = pair
        if not needs_judge(question):
            return Scored(question, row, score(question, row["response"]))
        try:
            replies = judge.replies(question, row["response"])
            verdict = judge.read(question, replies)
        except JudgeError as problem:
            return Scored(question, row, Verdict(None, None, f"no judgement: {problem}"))
        return Scored(question, {**row, "score": replies} if replies else row, verdict)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(ask, pairs)


def write_scored(path: Path, rows: list[Scored], judge: Judge | None = None) -> None:
    """Write answers with their verdicts as a file of results, by one rename."""
    lines = []
    for s in rows:
        own = s.row.get("modgap")
        note = {
            **(own if isinstance(own, dict) else {}),
            "question": s.question.id,
            "scorer": {"name": s.question.scorer, "version": VERSIONS[s.question.scorer]},
            "verdict": asdict(s.verdict),
        }
        if judge is not None and needs_judge(s.question):
            note["judge"] = judge.record()
        lines.append(json.dumps({**s.row, "modgap": note}, ensure_ascii=False) + "\n")
    write_atomic(path, "".join(lines).encode("utf-8", errors="replace"))

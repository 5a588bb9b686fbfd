"""Scores of a file of results, made here or elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modgap.core.files import write_atomic
from modgap.evaluation.judging.judge import Judge, JudgeError
from modgap.evaluation.judging.judge_many import Replies, judgements, needs_judge
from modgap.evaluation.judging.leaderboard import Summary, summarise
from modgap.evaluation.judging.voicebench_results import questions_of
from modgap.models.base import Progress
from modgap.scoring.question import Question
from modgap.scoring.scorers import VERSIONS, Verdict, score

__all__ = ["Scored", "score_file", "write_scored"]


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


def score_file(
    path: Path,
    questions: list[Question] | None = None,
    *,
    subset: str | None = None,
    judge: Judge | None = None,
    replies: Path | None = None,
    progress: Progress | None = None,
) -> list[Scored]:
    """Score every answer of a file of results.

    Parameters
    ----------
    path : Path
    questions, subset
        As in `modgap.evaluation.judging.voicebench_results.questions_of`.
    judge : Judge, optional
        Asked about the answers that need one. If it fails on one, that answer stays unjudged, with
        the reason as its rule; if it fails on all, or on many in a row, that is an error.
    replies : Path, optional
        A file that keeps what the judge says as it comes, and that what is there is taken from: an
        end in the middle costs no reply. See `modgap.evaluation.judging.judge_many.Replies`.
    progress : callable (fraction, note), optional

    Raises
    ------
    SettingsError
        The file cannot be used.
    JudgeError
        The judge answered nothing at all, or no more.
    """
    pairs = list(questions_of(path, questions, subset))
    if judge is None:
        return [Scored(q, row, score(q, row["response"])) for q, row in pairs]
    kept = Replies(replies, judge) if replies is not None else None
    try:
        return _judged(pairs, judge, kept, progress)
    finally:
        if kept is not None:
            kept.close()


def _judged(
    pairs: list[tuple[Question, dict[str, Any]]],
    judge: Judge,
    kept: Replies | None,
    progress: Progress | None,
) -> list[Scored]:
    found: dict[int, Scored] = {}
    asked: list[tuple[int, Question, str]] = []
    for number, (question, row) in enumerate(pairs):
        if not needs_judge(question):
            found[number] = Scored(question, row, score(question, row["response"]))
            continue
        known = kept.get(question, row["response"]) if kept is not None else None
        if known is None:
            asked.append((number, question, row["response"]))
        else:
            found[number] = _with_replies(question, row, known, judge.read(question, known))
    problems = []
    for made in judgements(judge, asked):
        question, row = pairs[made.key]
        if made.verdict is None:
            problems.append(made.problem)
            verdict = Verdict(None, None, f"no judgement: {made.problem}")
            found[made.key] = Scored(question, row, verdict)
        else:
            if kept is not None and made.replies:
                kept.add(question, row["response"], made.replies)
            found[made.key] = _with_replies(question, row, made.replies, made.verdict)
        if progress is not None:
            progress(len(found) / len(pairs), f"answer {len(found)} of {len(pairs)}")
    if problems and len(problems) == len(asked):
        raise JudgeError(problems[0])
    return [found[number] for number in range(len(pairs))]


def _with_replies(
    question: Question, row: dict[str, Any], replies: list[str], verdict: Verdict
) -> Scored:
    return Scored(question, {**row, "score": replies} if replies else row, verdict)


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

"""A judge's verdicts on the answers of a run: `modgap runs judge`.

They are kept in the run's table ``judged``, with the judge in ``run.json``; whoever reads the run
takes them in the place of what the scorer left open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import SettingsError
from modgap.evaluation.judging.judge import Judge, JudgeError
from modgap.evaluation.judging.judge_many import judgements, needs_judge
from modgap.evaluation.runs.questions_table import read_roster
from modgap.evaluation.runs.record import locked, the_run, write_run
from modgap.evaluation.runs.shards import PartWriter, read_rows, sweep
from modgap.scoring.scorers import Verdict

if TYPE_CHECKING:
    from modgap.core.progress import Progress
    from modgap.scoring.question import Question

__all__ = ["Judged", "judge_run", "judged_columns", "right_of", "verdicts"]

Key = tuple[str, str, str]  # model, question, input


@dataclass
class Judged:
    """What a call of `judge_run` did.

    Attributes
    ----------
    before, now : int
        Answers that were judged before, and in this call.
    failed : int
        Answers that could not be judged; the next call tries them again.
    reason : str
        Why the first of them could not.
    """

    before: int = 0
    now: int = 0
    failed: int = 0
    reason: str = ""


def judge_run(
    folder: Path,
    judge: Judge,
    *,
    right_from: float | None = None,
    part_seconds: float = 5.0,
    progress: Progress | None = None,
) -> Judged:
    """Ask a judge about the answers of a run that need one, or go on with that.

    Parameters
    ----------
    folder : Path
    judge : Judge
    right_from : float, optional
        From which mean rating on an answer without a reference counts as right, 1 to 5. Without it
        such an answer has an expected score and is neither right nor wrong. Another value may be
        given later; nothing is asked again for it. None leaves it as it was.
    part_seconds : float
        Verdicts are written that often; a kill costs no more than what came since.
    progress : callable (fraction, note), optional

    Raises
    ------
    StoreError
        There is no run, another process writes there, or a part is damaged.
    SettingsError
        The run was judged by another judge, no question of it needs one, or the judge's key is
        missing.
    JudgeError
        The judge answered nothing at all, or no more; what was judged is kept.
    """
    if right_from is not None and not 1 <= right_from <= 5:
        raise SettingsError(f"Ratings are from 1 to 5; none is right from {right_from:g} on.")
    the_run(folder)  # else there is nothing to lock
    questions = {q.id: q for q, _ in read_roster(folder) if needs_judge(q)}
    if not questions:
        raise SettingsError(
            f"The run in {folder} has no question that a judge decides (scorer judge, or SD-QA of "
            "VoiceBench)."
        )
    with locked(folder):
        run = the_run(folder)
        sweep(folder)
        done: set[Key] = set()
        said: dict[str, list[str]] = {}
        for row in read_rows(folder, "judged", ("model", "question", "input", "asked", "replies")):
            done.add((row["model"], row["question"], row["input"]))
            said[row["asked"]] = row["replies"]
        before = run.get("judge") or {}
        level = before.get("right_from") if right_from is None else right_from
        record = {**judge.record(), "right_from": level}
        if done:
            _same_judge(folder, before, record)
        write_run(folder, {**run, "judge": record})
        waiting = sum(1 for _ in _open(folder, questions, done))
        summary = Judged(before=len(done))
        writer = PartWriter(folder, part_seconds)
        try:
            for rows, problem in _rows(judge, _open(folder, questions, done), said):
                if problem:
                    summary.failed += len(rows)
                    summary.reason = summary.reason or problem
                else:
                    writer.add({"judged": rows})
                    summary.now += len(rows)
                if progress is not None:
                    count = summary.now + summary.failed
                    progress(count / waiting, f"answer {count} of {waiting}")
        finally:
            writer.flush()  # whatever ends it: what was said was paid for
    if summary.failed and not summary.now:
        raise JudgeError(summary.reason)
    return summary


def right_of(correct: bool | None, expected: float | None, right_from: float | None) -> bool | None:
    """Whether a judged answer is right: as the judge said, or by its rating.

    >>> right_of(None, 0.8, 4), right_of(None, 0.8, None), right_of(False, 0.4, 1)
    (True, None, False)
    """
    if correct is not None or expected is None or right_from is None:
        return correct
    return round(5 * expected, 6) >= right_from


def judged_columns(right_from: Any) -> str:
    """`right_of` and the rest of a verdict in SQL, of the answers ``a`` and the judged ``j``."""
    rated = "NULL"
    if isinstance(right_from, int | float):
        rated = f"round(5 * j.expected, 6) >= {float(right_from)}"
    values = {name: f"j.{name}" for name in ("extracted", "rule", "expected")}
    values["correct"] = f"coalesce(j.correct, {rated})"
    return ", ".join(
        f"CASE WHEN j.rule IS NULL THEN a.{name} ELSE {value} END AS {name}"
        for name, value in values.items()
    )


def verdicts(folder: Path, run: Mapping[str, Any]) -> dict[Key, Verdict]:
    """The verdicts of a run's judge, by model, question and input; empty without one."""
    level = (run.get("judge") or {}).get("right_from")
    return {
        (r["model"], r["question"], r["input"]): Verdict(
            right_of(r["correct"], r["expected"], level), r["extracted"], r["rule"], r["expected"]
        )
        for r in read_rows(folder, "judged")
    }


def _same_judge(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for name in ("model", "prompt_sha256", "samples", "temperature", "top_p"):
        if before.get(name) != now[name]:
            raise SettingsError(
                f"The run in {folder} was judged otherwise: {name} ({before.get(name)} before, "
                f"{now[name]} now). Name the same judge, or delete the run's folder judged to "
                "begin anew."
            )


def _open(
    folder: Path, questions: Mapping[str, Question], done: set[Key]
) -> Iterator[tuple[Key, Question, str]]:
    """Answers that need a judge and have no verdict of one."""
    for row in read_rows(folder, "answers", ("model", "question", "input", "response")):
        key = (row["model"], row["question"], row["input"])
        question = questions.get(row["question"])
        if question is not None and key not in done:
            yield key, question, row["response"] or ""


def _rows(
    judge: Judge, answers: Iterator[tuple[Key, Question, str]], said: dict[str, list[str]]
) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Rows of the table, with why they could not be judged if that is so.

    Answers with the same words to the same question, as those of the base beside every model, are
    sent once.
    """
    same: dict[str, list[Key]] = {}  # under way: who else waits for the reply
    found: list[list[dict[str, Any]]] = []

    def asked() -> Iterator[tuple[tuple[str, Key], Question, str]]:
        for key, question, response in answers:
            sent = judge.asked(question, response)
            if sent in said:
                verdict = judge.read(question, said[sent])
                found.append([_row(key, verdict, said[sent], sent)])
            elif sent in same:
                same[sent].append(key)
            else:
                same[sent] = []
                yield (sent, key), question, response

    for made in judgements(judge, asked()):
        yield from ((rows, "") for rows in _taken(found))
        sent, key = made.key
        keys = [key, *same.pop(sent)]
        if made.verdict is None:
            yield [{"question": k[1]} for k in keys], made.problem
            continue
        verdict = made.verdict
        said[sent] = made.replies
        yield [_row(k, verdict, made.replies, sent) for k in keys], ""
    yield from ((rows, "") for rows in _taken(found))


def _taken(found: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    taken = found[:]
    found.clear()
    return taken


def _row(key: Key, verdict: Verdict, replies: list[str], asked: str) -> dict[str, Any]:
    return {
        **dict(zip(("model", "question", "input"), key, strict=True)),
        "correct": verdict.correct,
        "extracted": verdict.extracted,
        "rule": verdict.rule,
        "expected": verdict.expected,
        "replies": replies,
        "asked": asked,
    }

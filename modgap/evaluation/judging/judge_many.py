"""Many answers before a judge: several requests at once, and every reply kept as it comes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from modgap.core.errors import SettingsError
from modgap.core.files import cut_torn_line
from modgap.evaluation.judging.judge import Judge, JudgeError
from modgap.scoring.question import Question
from modgap.scoring.scorers import Verdict

__all__ = ["Judgement", "Replies", "judgements", "needs_judge"]

AT_ONCE = 8  # requests to a judge
IN_VAIN = 20  # failures in a row after which no more is sent
K = TypeVar("K")


@dataclass(frozen=True)
class Judgement(Generic[K]):
    """What came of one answer.

    Attributes
    ----------
    key
        As it was given with the answer.
    replies : list of str
        The judge's; none to an empty answer, and where it failed.
    verdict : Verdict or None
        None if the judge failed.
    problem : str
        Why it failed.
    """

    key: K
    replies: list[str]
    verdict: Verdict | None
    problem: str = ""


def needs_judge(question: Question) -> bool:
    """Whether a judge decides, wholly or, as VoiceBench does SD-QA, in part."""
    return question.scorer == "judge" or (
        question.dataset == "voicebench" and question.subset == "sd-qa"
    )


def judgements(judge: Judge, answers: Iterable[tuple[K, Question, str]]) -> Iterator[Judgement[K]]:
    """Judge answers, in the order in which the replies come.

    Parameters
    ----------
    judge : Judge
    answers : iterable of (key, Question, response)
        Read as it is needed: few of them are held at a time.

    Raises
    ------
    JudgeError
        Nothing came of `IN_VAIN` answers in a row.
    SettingsError
        The judge's key is missing.
    """

    def ask(key: K, question: Question, response: str) -> Judgement[K]:
        try:
            replies = judge.replies(question, response)
            return Judgement(key, replies, judge.read(question, replies))
        except JudgeError as problem:
            return Judgement(key, [], None, str(problem))

    waiting: set[Future[Judgement[K]]] = set()
    failed = 0

    def ready(most: int) -> Iterator[Judgement[K]]:
        nonlocal failed, waiting
        while len(waiting) > most:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                found = future.result()
                yield found
                failed = 0 if found.verdict is not None else failed + 1
                if failed == IN_VAIN:
                    raise JudgeError(
                        f"{IN_VAIN} answers in a row could not be judged, the last one because: "
                        f"{found.problem.rstrip('.')}. What was judged is kept; the same command "
                        "goes on from there."
                    )

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for answer in answers:
                waiting.add(pool.submit(ask, *answer))
                yield from ready(2 * AT_ONCE - 1)
            yield from ready(0)
        finally:
            for future in waiting:
                future.cancel()


class Replies:
    """A file of a judge's replies, a line an answer; each is on the disk once it was added.

    Parameters
    ----------
    path : Path
        Made if it is missing; a line that a killed writer left torn is cut off.
    judge : Judge
        Replies of another one, or to other prompts, are kept and not used.
    """

    def __init__(self, path: Path, judge: Judge) -> None:
        self.path = path
        self.judge = judge
        self._known: dict[str, list[str]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab")
        try:
            cut_torn_line(path)
            self._read()
        except BaseException:
            self._file.close()
            raise

    def get(self, question: Question, response: str) -> list[str] | None:
        """What the judge said of an answer, or None if it was not asked."""
        return self._known.get(self.judge.asked(question, response))

    def add(self, question: Question, response: str, replies: list[str]) -> None:
        """Keep what the judge said."""
        asked = self.judge.asked(question, response)
        line = json.dumps({"asked": asked, "judge": self.judge.model, "replies": replies})
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._known[asked] = replies

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self) -> None:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    self._known[str(row["asked"])] = [str(reply) for reply in row["replies"]]
                except (ValueError, TypeError, KeyError):
                    raise SettingsError(
                        f"Line {number} of {self.path} is no reply of a judge: mend it, or move "
                        "the file away to ask the judge anew."
                    ) from None

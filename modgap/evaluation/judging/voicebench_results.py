"""VoiceBench's files of results: ``MODEL-CONFIG-SPLIT-MODALITY.jsonl``, one answer a line.

A line has the data set's fields but the sound, and ``response``; after judging also ``score``. What
modgap adds stands in one further field, ``modgap``, which VoiceBench's evaluators do not read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from modgap.core.errors import SettingsError
from modgap.core.files import cut_torn_line
from modgap.evaluation.data.voicebench_subsets import SUBSETS, question_of
from modgap.evaluation.runs.protocol import Protocol
from modgap.scoring.question import Question

__all__ = ["MODALITIES", "ResultName", "ResultsFile", "questions_of", "read_results"]

MODALITIES = ("audio", "text", "ttft")


@dataclass(frozen=True)
class ResultName:
    """What the name of a file of results says.

    Attributes
    ----------
    model, subset, split, modality : str
    """

    model: str
    subset: str
    split: str = "test"
    modality: str = "audio"

    def __post_init__(self) -> None:
        if self.modality not in MODALITIES:
            raise SettingsError(
                f"A modality is one of {', '.join(MODALITIES)}, not {self.modality!r}."
            )

    @property
    def file(self) -> str:
        """The name; what a file name cannot hold becomes ``_``."""
        parts = (re.sub(r"[^\w.@+-]+", "_", p) for p in (self.model, self.subset, self.split))
        return f"{'-'.join(parts)}-{self.modality}.jsonl"

    @classmethod
    def parse(cls, file: str) -> ResultName | None:
        """Read a name, or None if it is none; models and subsets may have hyphens themselves.

        >>> ResultName.parse("result-my-model-sd-qa-ind_n-audio.jsonl").subset
        'sd-qa'
        """
        subsets = "|".join(sorted(map(re.escape, SUBSETS), key=len, reverse=True))
        match = re.fullmatch(
            rf"(?:result-)?(.+?)-({subsets})-([^-].*?)-({'|'.join(MODALITIES)})\.jsonl", file
        )
        return cls(*match.groups()) if match else None


class ResultsFile:
    """A file of results that answers are appended to, one by one; it can be gone on with.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    name : ResultName
    protocol : Protocol

    Raises
    ------
    SettingsError
        The file was made by another protocol, or it is damaged other than by a torn last line,
        which is cut off.
    """

    def __init__(self, folder: Path, name: ResultName, protocol: Protocol) -> None:
        self.path = folder / name.file
        self.protocol = protocol
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self.path.open("ab")
        try:
            cut_torn_line(self.path)
            self.done = self._ids()
        except BaseException:
            self._file.close()
            raise

    def append(self, question: Question, response: str, **more: Any) -> None:
        """Write one answer, unless this question has one; it is on the disk on return.

        Parameters
        ----------
        question : Question
        response : str
        **more
            Further values of the field ``modgap``, such as a verdict's.
        """
        if question.id in self.done:
            return
        row = {
            "prompt": question.transcript,
            **({"reference": question.reference} if question.reference else {}),
            **question.meta,
            "response": response,
            "modgap": {"question": question.id, "protocol": self.protocol.digest, **more},
        }
        line = json.dumps(row, ensure_ascii=False) + "\n"
        self._file.write(line.encode("utf-8", errors="replace"))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.done.add(question.id)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _ids(self) -> set[str]:
        found = set()
        for row in read_results(self.path):
            own = row.get("modgap")
            if not isinstance(own, Mapping) or own.get("protocol") != self.protocol.digest:
                raise SettingsError(
                    f"{self.path} has answers by another protocol: choose another folder or move "
                    "it away."
                )
            found.add(str(own.get("question")))
        return found


def read_results(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file of results.

    Raises
    ------
    SettingsError
        The file is missing, or a line is not a JSON object with a prompt and a response.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if not isinstance(row, dict) or not isinstance(row.get("response"), str):
                    raise SettingsError(f"Line {number} of {path} is no answer with a response.")
                yield row
    except (FileNotFoundError, IsADirectoryError):
        raise SettingsError(f"There is no file of results {path}.") from None
    except UnicodeDecodeError as problem:
        raise SettingsError(f"{path} is not text in UTF-8: {problem}.") from problem


def questions_of(
    path: Path, questions: list[Question] | None = None, subset: str | None = None
) -> Iterator[tuple[Question, dict[str, Any]]]:
    """The questions that a file of results answers, with its rows.

    Without `questions`, those are made of the rows' own fields, and the subset is the one that the
    file's name says. With them, a row belongs to the question whose id its ``modgap`` field has;
    rows made elsewhere have none, and then the n-th row with a prompt belongs to the n-th question
    with these words.

    Parameters
    ----------
    path : Path
    questions : list of Question, optional
    subset : str, optional
        Of VoiceBench, where the name does not say it.

    Raises
    ------
    SettingsError
        The subset is not known, or a row belongs to no question.
    """
    if questions is None:
        name = ResultName.parse(path.name)
        known = subset or (name.subset if name else None)
        if known is None:
            raise SettingsError(
                f"{path.name} does not say which subset it is of (MODEL-SUBSET-SPLIT-MODALITY"
                ".jsonl): name it, or the data set."
            )
        split = name.split if name else "test"
        for line, row in enumerate(read_results(path)):
            yield question_of(known, split, _number(row, f"{known}/{split}", line), row), row
        return
    by_id = {q.id: q for q in questions}
    by_words: dict[str, list[Question]] = {}
    for question in reversed(questions):
        by_words.setdefault(question.transcript, []).append(question)
    for number, row in enumerate(read_results(path), 1):
        own = row.get("modgap")
        name_of = own.get("question") if isinstance(own, Mapping) else None
        if name_of is not None:
            found = by_id.get(str(name_of))
        else:
            waiting = by_words.get(str(row.get("prompt", "")), [])
            found = waiting.pop() if waiting else None
        if found is None:
            raise SettingsError(
                f"Line {number} of {path.name} answers no question of the data set: "
                f"{str(name_of or row.get('prompt', ''))[:60]!r}."
            )
        yield found, row


def _number(row: Mapping[str, Any], where: str, line: int) -> int:
    """Place of a row's question in its split: as modgap noted it, else that of the line."""
    own = row.get("modgap")
    noted = str(own.get("question")) if isinstance(own, Mapping) else ""
    match = re.fullmatch(rf"{re.escape(where)}#(\d+)", noted)
    return int(match[1]) if match else line

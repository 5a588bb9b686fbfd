"""A run's answers as VoiceBench's files of results: `modgap runs export`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modgap.core.errors import SettingsError
from modgap.evaluation.data.datasets import iter_questions
from modgap.evaluation.judging.voicebench_results import ResultName, ResultsFile
from modgap.evaluation.runs.protocol import Protocol
from modgap.evaluation.runs.questions_table import describe, read_roster
from modgap.evaluation.runs.record import the_run
from modgap.evaluation.runs.shards import read_rows

if TYPE_CHECKING:
    from modgap.core.progress import Progress
    from modgap.scoring.question import Question

__all__ = ["INPUT_MODALITIES", "Exported", "export_results"]

#: VoiceBench's word for an input; it has none for the others.
INPUT_MODALITIES = {"speech": "audio", "text": "text"}


@dataclass
class Exported:
    """One file of results.

    Attributes
    ----------
    path : Path
    model, modality : str
    before, now : int
        Answers that were in it, and that were added.
    """

    path: Path
    model: str
    modality: str
    before: int
    now: int = 0


def export_results(
    folder: Path,
    out: Path,
    *,
    models: Sequence[str] | None = None,
    data: str | None = None,
    progress: Progress | None = None,
) -> list[Exported]:
    """Write a run's answers to speech and text as ``MODEL-SUBSET-SPLIT-MODALITY.jsonl``.

    Ended at any moment, the same call goes on: answers that a file has are not written again.

    Parameters
    ----------
    folder : Path
        Of the run, whole or not.
    out : Path
        Folder of the files.
    models : sequence of str, optional
        All by default.
    data : str, optional
        The data set, where it has moved since a run that does not keep all fields itself.
    progress : callable (fraction, note), optional

    Raises
    ------
    StoreError
        There is no run, or a part of it is damaged.
    SettingsError
        A model is not in the run, a file has answers by another protocol, two subsets or models
        would be one file, or the questions' fields are neither in the run nor in the data set.
    """
    run = the_run(folder)
    unknown = [name for name in models or () if name not in run["models"]]
    if unknown:
        raise SettingsError(
            f"The run in {folder} has no model {unknown[0]!r}; it has {', '.join(run['models'])}."
        )
    protocol = Protocol.from_record(run["protocol"])
    questions = {q.id: q for q in _questions(folder, run["data"], data)}
    found: dict[str, Exported] = {}
    for done, model in enumerate(chosen := list(models or run["models"])):
        if progress is not None:
            progress(done / len(chosen), model)
        _export(folder, out, model, questions, protocol, found)
    return [found[name] for name in sorted(found)]


def _export(
    folder: Path,
    out: Path,
    model: str,
    questions: dict[str, Question],
    protocol: Protocol,
    found: dict[str, Exported],
) -> None:
    """One model's files, in the order of the data set."""
    said: dict[tuple[str, str], str] = {}
    for row in read_rows(folder, "answers", ("model", "question", "input", "response")):
        if row["model"] == model and row["input"] in INPUT_MODALITIES:
            said[row["question"], row["input"]] = row["response"] or ""
    files: dict[ResultName, ResultsFile] = {}
    with ExitStack() as opened:
        for question in questions.values():
            for given, modality in INPUT_MODALITIES.items():
                if (question.id, given) not in said:
                    continue
                name = _name(model, question, modality)
                if name not in files:
                    if name.file in found:
                        raise SettingsError(
                            f"Two models or subsets of this run would both be {name.file}: export "
                            "one model at a time, into folders of their own."
                        )
                    files[name] = opened.enter_context(ResultsFile(out, name, protocol))
                    file = files[name]
                    found[name.file] = Exported(file.path, model, modality, len(file.done))
                if question.id not in files[name].done:
                    files[name].append(question, said[question.id, given])
                    found[name.file].now += 1


def _name(model: str, question: Question, modality: str) -> ResultName:
    subset = question.subset or question.dataset or "questions"
    return ResultName(model, subset, question.groups.get("split", "test"), modality)


def _questions(folder: Path, about: dict[str, object], data: str | None) -> Iterator[Question]:
    """The questions with all their fields: from the run, else from its data set."""
    if data is None and all(kept for _, kept in read_roster(folder)):
        yield from (question for question, _ in read_roster(folder))
        return
    source, limit = data or str(about["name"]), about["limit"]
    assert limit is None or isinstance(limit, int)
    try:
        digest, _, _ = describe(iter_questions(source, limit))
    except SettingsError as problem:
        raise SettingsError(
            f"The run in {folder} does not keep all fields of its questions, and its data set "
            f"cannot be read ({str(problem).rstrip('.')}): name it with --data."
        ) from problem
    if digest != about["sha256"]:
        raise SettingsError(
            f"{source} does not hold the questions of the run in {folder}: name its data set with "
            "--data."
        )
    yield from iter_questions(source, limit)

"""Data sets by name: the embedded family's questions, a manifest, or VoiceBench."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from modgap.core.errors import SettingsError
from modgap.scoring.question import Question

__all__ = ["iter_questions", "read_questions"]


def read_questions(data: str, limit: int | None = None) -> list[Question]:
    """All questions of a data set, or the first `limit`; see `iter_questions`."""
    return list(iter_questions(data, limit))


def iter_questions(data: str, limit: int | None = None) -> Iterator[Question]:
    """Questions of a data set, one by one; their sound is read when they are asked.

    Parameters
    ----------
    data : str
        ``demo``, ``demo:noisy``, ``demo:clean+robot``: the embedded family's questions, by
        condition. ``voicebench:sd-qa`` or ``voicebench:sd-qa/usa``: from the
        hub. A folder or a file of VoiceBench's parquet form. Else the path of a manifest.
    limit : int, optional

    Raises
    ------
    SettingsError
        There is no such data set, it cannot be used, or two questions have one id.
    """
    if limit is not None and limit < 1:
        raise SettingsError(f"The number of questions must be at least 1, not {limit}.")
    seen: set[str] = set()
    for question in islice(_source(data), limit):
        if question.id in seen:
            raise SettingsError(
                f"Two questions of {data} have the id {question.id!r}; give each its own."
            )
        seen.add(question.id)
        yield question


def _source(data: str) -> Iterator[Question]:
    name, _, rest = data.partition(":")
    if name == "demo":
        from modgap.evaluation.data.demo import demo_questions

        return demo_questions(rest)
    if name == "voicebench" and rest:
        from modgap.evaluation.data.voicebench_tables import hub_questions

        return hub_questions(rest)
    path = Path(data)
    if path.is_dir() or path.suffix == ".parquet":
        from modgap.evaluation.data.voicebench_tables import folder_questions, is_voicebench

        if path.is_dir() or is_voicebench(path):
            return folder_questions(path)
    from modgap.evaluation.data.manifest import manifest_questions

    return manifest_questions(path)

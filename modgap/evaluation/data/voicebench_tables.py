"""VoiceBench's tables: a local copy in its parquet form, or through the library `datasets`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import SettingsError
from modgap.evaluation.data.embedded_audio import clip_of, load_row
from modgap.evaluation.data.voicebench_subsets import HUB, SUBSETS, question_of
from modgap.scoring.question import Question

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

__all__ = ["folder_questions", "hub_questions", "is_voicebench"]


def is_voicebench(path: Path) -> bool:
    """Whether a folder has subsets of VoiceBench, or is one, or a file is of one."""
    if path.is_file():
        return path.suffix == ".parquet" and _subset_of(path) in SUBSETS and _embedded(path)
    return path.is_dir() and bool(_files(path))


def folder_questions(path: Path) -> Iterator[Question]:
    """Questions of a local copy in its parquet form, by subset, split and row.

    Parameters
    ----------
    path : Path
        The folder with the subsets' folders (``sd-qa/usa-00000-of-00001.parquet``), one of those,
        or one file.

    Raises
    ------
    SettingsError
        There is nothing of VoiceBench there, or a file is damaged or lacks a field.
    """
    files = [path] if path.is_file() else _files(path)
    if not files:
        raise SettingsError(
            f"{path} has no parquet files of VoiceBench's subsets ({', '.join(SUBSETS)})."
        )
    rows: dict[tuple[str, str], int] = {}
    for file in files:
        key = _subset_of(file), _split_of(file)
        for number, row in _rows(file):
            place = rows.get(key, 0)
            rows[key] = place + 1
            yield question_of(
                *key,
                place,
                row,
                partial(load_row, file, number, f"{_subset_of(file)}-{_split_of(file)}-{number}"),
            )


def hub_questions(spec: str) -> Iterator[Question]:
    """Questions through the library `datasets` (``pip install modgap[hub]``).

    Parameters
    ----------
    spec : str
        ``SUBSET`` or ``SUBSET/SPLIT``.

    Raises
    ------
    SettingsError
        The library is missing, or the subset or the split is unknown, or cannot be fetched.
    """
    subset, _, split = spec.partition("/")
    if subset not in SUBSETS:
        raise SettingsError(f"Unknown subset {subset!r}; use one of {', '.join(SUBSETS)}.")
    try:
        import datasets
    except ImportError:
        raise SettingsError(
            "VoiceBench from the hub needs the library datasets: pip install modgap[hub]. Or name "
            "the folder of a local copy."
        ) from None
    try:
        splits = [split] if split else datasets.get_dataset_split_names(HUB, subset)
        for name in splits:
            table = datasets.load_dataset(HUB, subset, split=name)
            table = table.cast_column("audio", datasets.Audio(decode=False))
            words = table.remove_columns("audio")
            for number, row in enumerate(words):
                yield question_of(subset, name, number, row, partial(_hub_load, table, number))
    except (OSError, ValueError) as problem:
        if isinstance(problem, SettingsError):
            raise
        raise SettingsError(
            f"VoiceBench's {spec} cannot be read from the hub: {problem}."
        ) from problem


def _files(folder: Path) -> list[Path]:
    """Parquet files by subset, split and part; those of one subset if the folder is its own."""
    here = [folder] if folder.name in SUBSETS else [folder / name for name in SUBSETS]
    return [file for sub in here for file in sorted(sub.glob("*.parquet"))]


def _subset_of(file: Path) -> str:
    return file.absolute().parent.name


def _split_of(file: Path) -> str:
    return re.sub(r"-\d{5}-of-\d{5}$", "", file.stem)


def _embedded(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (OSError, ValueError, pa.ArrowException):
        return False
    return "prompt" in names and "audio" in names


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number in the file, and the fields, of each row, without the sound."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            names = [n for n in table.schema_arrow.names if n != "audio"]
            if "prompt" not in names:
                raise SettingsError(f"{file} has no column 'prompt', so it is not VoiceBench's.")
            number = 0
            for batch in table.iter_batches(batch_size=1024, columns=names):
                for row in batch.to_pylist():
                    yield number, row
                    number += 1
    except (OSError, ValueError, pa.ArrowException) as problem:
        if isinstance(problem, SettingsError):
            raise
        why = " ".join(str(problem).split()).rstrip(" .")
        raise SettingsError(f"{file} cannot be read: {why}.") from problem


def _hub_load(table: Any, number: int) -> Clip:
    return clip_of(table[number]["audio"], f"voicebench-{number}", Path())

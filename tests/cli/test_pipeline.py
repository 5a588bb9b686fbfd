"""`modgap pipeline`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import modgap
from modgap.cli import app
from modgap.models.loading import load as loading
from modgap.models.loading.embedded import BASE
from modgap.speech.recognizers import load_recognizer
from tests.analysis.test_pipeline import EXAMPLES, whisper_folder  # noqa: F401
from tests.cli.test_interventions import strict
from tests.cli.test_main import TEXT, place, refused, run  # noqa: F401

FAST = ("--model", "tiny", "--max-new-tokens", "3")
REAL = EXAMPLES / "austen-0880.flac"
SAID = "he was not an ill disposed young man"


@pytest.mark.usefixtures("ears_here")
def test_what_it_prints(run: Any, tiny_model: Any) -> None:  # noqa: F811
    made = modgap.pipeline(
        load_recognizer(), tiny_model, modgap.load_clip(REAL), SAID, max_new_tokens=3
    )
    result = run("pipeline", REAL, "--transcript", SAID, *FAST)
    assert result.exit_code == 0, result.output
    lines = [line.strip().split(None, 1) for line in result.stdout.splitlines()]
    assert ["said", SAID] in lines
    assert any(line[:1] == ["heard"] for line in lines)
    rate, wrong = made.errors.rate, made.errors.substitutions
    assert rate is not None
    assert f"  {100 * rate:.1f} % ({wrong} substituted" in result.stdout
    assert "from the cache" not in result.stdout
    again = run("pipeline", REAL, "--transcript", SAID, *FAST)
    assert "from the cache" in again.stdout
    fresh = run("pipeline", REAL, "--transcript", SAID, *FAST, "--no-cache")
    assert fresh.stdout == result.stdout


def test_json_with_a_whisper_and_another_llm(
    run: Any,  # noqa: F811
    whisper_folder: Path,  # noqa: F811
) -> None:
    result = run(
        "pipeline", REAL, "--transcript", SAID, "--recognizer", whisper_folder, "--model", "gone",
        "--llm", "tiny", "--max-new-tokens", "3", "--json", "--instruction", "Briefly.",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = strict(result.stdout)
    ears = load_recognizer(whisper_folder)
    assert found["heard"] == ears.transcribe(modgap.load_clip(REAL))
    assert found["recognizer"] == whisper_folder.name
    assert str(whisper_folder) not in result.stdout
    assert "/" not in found["llm"]
    assert found["settings"]["instruction"] == "Briefly."
    assert found["word_errors"]["words"] == 8


@pytest.mark.usefixtures("ears_here")
@pytest.mark.parametrize(
    ("options", "say"),
    [
        (("--recognizer", "nothing"), "There is no folder nothing"),
        (("--llm", "./nowhere"), "no folder ./nowhere"),
        (("--markers", "some"), "markers is"),
        (("--transcript", " "), "The transcript is empty"),
    ],
)
def test_what_it_refuses(run: Any, options: tuple[str, str], say: str) -> None:  # noqa: F811
    refused(run("pipeline", "clip.wav", "--transcript", TEXT, *FAST, *options), say)


def test_the_explorer_is_told_of_the_operators_recognisers(place: Path) -> None:  # noqa: F811
    (place / "ears").mkdir()
    server = app.plan(recognizers=["ears", "openai/whisper-small"])
    names = json.loads(server.environment["MODGAP_RECOGNIZERS"])
    assert names == [str((place / "ears").resolve()), "openai/whisper-small"]
    assert json.loads(server.environment["MODGAP_MODELS"]) == []


def test_without_the_recognisers_files_it_says_how_to_get_them(run: Any) -> None:  # noqa: F811
    said = refused(run("pipeline", "clip.wav", "--transcript", TEXT, *FAST), "modgap fetch")
    assert "Whisper tiny.en" in said


def test_the_embedded_models_are_answered_for_by_their_text_model(
    run: Any,  # noqa: F811
    tiny_model: Any,
    ears_here: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(loading, "load_quietly", lambda name, **_: asked.append(name) or tiny_model)
    words = ("pipeline", "clip.wav", "--transcript", TEXT, "--max-new-tokens", "2", "--no-cache")
    for options in ((), ("--model", "demo:lora"), ("--llm", "tiny"), ("--model", "tiny")):
        result = run(*words, *options)
        assert result.exit_code == 0, result.output
    assert asked == [BASE, BASE, "tiny", "tiny"]

"""The shipped family itself, where its base models are at hand: sizes, hashes, what it hears."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import modgap
from modgap.demo import family
from modgap.models.base import SpeechLM
from modgap.models.prompt import TRANSCRIBE
from modgap.scoring.word_errors import word_errors

EXAMPLES = Path(family.__file__).parent / "examples"


def test_sizes_and_hashes() -> None:
    told = json.loads((family.WEIGHTS / "family.json").read_text())
    files = [p for p in family.WEIGHTS.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 45e6
    for member in told["members"].values():
        path = family.WEIGHTS / member["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == member["sha256"]
    assert told["default"] in told["members"]
    assert sum("@" in name for name in told["members"]) >= 3


@pytest.fixture
def model(embedded: Path) -> SpeechLM:
    return modgap.load_model("demo", cache_dir=embedded)


def test_it_writes_down_what_it_hears(model: SpeechLM) -> None:
    examples = [e for e in json.loads((EXAMPLES / "examples.json").read_text()) if e["transcript"]]
    errors = words = 0
    for example in examples:
        clip = modgap.load_clip(EXAMPLES / example["file"])
        prompt = model.speech_prompt(clip, instruction=TRANSCRIBE)
        found = word_errors(example["transcript"], model.generate(prompt, max_new_tokens=80).text)
        errors += found.substitutions + found.deletions + found.insertions
        words += found.words
    # Who hears nothing is near 1; what it does hear is measured in the model card.
    assert errors / words < 0.5, f"{errors} of {words}"


def test_it_knows_what_its_text_model_knows(model: SpeechLM) -> None:
    asked = {"What is the opposite of hot?": "cold", "Who wrote Romeo and Juliet?": "Shakespeare",
             "How many days are in a week?": "7"}  # fmt: skip
    for question, answer in asked.items():
        said = model.generate(model.text_prompt(question), max_new_tokens=16)
        assert answer in said.text


def test_its_paths_follow_speech(model: SpeechLM) -> None:
    example = json.loads((EXAMPLES / "examples.json").read_text())[0]
    clip = modgap.load_clip(EXAMPLES / example["file"])
    found = modgap.analyze(model, clip, example["transcript"], answers=False)
    assert found.layers.monotonicity[1:].max() > 0.6
    assert found.layers.cosine[5:25].min() > found.layers.cosine[0]

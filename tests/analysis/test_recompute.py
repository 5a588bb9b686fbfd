"""What modgap reports equals an independent recomputation from the states that it saves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

import modgap
from modgap.cli.main import app
from modgap.models.base import SpeechLM
from tests.recompute import check_folder
from tests.tiny import make_clip

EXAMPLES = Path(modgap.__file__).parent / "demo" / "examples"
LIST = EXAMPLES / "examples.json"
SHIPPED = json.loads(LIST.read_text(encoding="utf-8")) if LIST.is_file() else []
SPEECH = Path(__file__).parents[1] / "data" / "speech.flac"
TEXT = "What is the capital of France? <s> Größe $x$"


@pytest.fixture(scope="module")
def demo() -> SpeechLM:
    return modgap.load_model("demo")


@pytest.mark.parametrize(
    ("seconds", "transcript", "settings"),
    [
        (1.5, TEXT, {}),
        (0.1, "no", {}),
        (3.0, TEXT, {"instruction": "Answer in one word.", "markers": "drop"}),
        (2.0, TEXT, {"final_norm": False, "system": "Be brief."}),
        (2.0, TEXT, {"layers": (0, 2, 4)}),
        (9.9, TEXT * 6, {}),
    ],
    ids=["plain", "shortest", "natural prompt", "raw last layer", "some layers", "long"],
)
def test_synthetic_clips_in_the_tiny_model(tiny_model, tmp_path, seconds, transcript, settings):
    clip = make_clip(seconds, seed=len(transcript))
    result = modgap.analyze(tiny_model, clip, transcript, states=True, max_new_tokens=2, **settings)
    result.save(tmp_path, states=True)
    check_folder(tmp_path)


def test_one_token_and_its_undefined_monotonicity(tiny_model, tmp_path):
    result = modgap.analyze(tiny_model, make_clip(), "5", states=True, answers=False)
    result.save(tmp_path, states=True)
    summary = check_folder(tmp_path)
    assert len(summary["text_tokens"]) == 1
    assert all(row["monotonicity"] is None for row in summary["layers"])
    assert all("fewer than 2" in row["monotonicity_reason"] for row in summary["layers"])


def test_the_command_line_on_real_speech(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    words = ["--transcript", TEXT, "--model", str(tiny_folder), "--max-new-tokens", "3"]
    for folder in ("computed", "cached"):
        place = ["--out", str(tmp_path / folder), "--states"]
        done = CliRunner().invoke(app, ["analyze", str(SPEECH), *words, *place])
        assert done.exit_code == 0, done.output
        check_folder(tmp_path / folder)
    for name in ("matrices.safetensors", "states.safetensors"):
        one, two = (load_file(tmp_path / folder / name) for folder in ("computed", "cached"))
        for key, array in one.items():
            np.testing.assert_array_equal(array, two[key])


def test_examples_are_enough():
    sources = [str(example["source"]).lower() for example in SHIPPED]
    made = sum("espeak" in source or "synth" in source for source in sources)
    assert made >= 3, "at least 3 synthetic clips are shipped"
    assert len(sources) - made >= 3, "at least 3 clips of real speech are shipped"


@pytest.mark.parametrize("example", SHIPPED, ids=[str(e["id"]) for e in SHIPPED])
@pytest.mark.parametrize("which", ["tiny_model", "demo"])
def test_every_shipped_example(request, tmp_path, which, example):
    model = request.getfixturevalue(which)
    result = modgap.analyze(
        model,
        modgap.load_clip(EXAMPLES / example["file"]),
        example["transcript"],
        instruction=example["instruction"] or "",
        states=True,
        max_new_tokens=4,
    )
    result.save(tmp_path, states=True)
    summary = check_folder(tmp_path)
    assert len(summary["layers"]) == model.n_layers + 1
    assert summary["transcript"] == example["transcript"]

"""`modgap analyze` and `modgap intervene` on a folder of every family."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from modgap.cli.families import list_families
from modgap.cli.main import app
from tests.families.makers import MAKERS, text_model
from tests.tiny import make_clip

WORDS = "What is two plus three?"


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wav") / "clip.wav"
    soundfile.write(path, make_clip(1.3).resample(16000), 16000)
    return path


def run(*args: object) -> dict:
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("family", sorted(MAKERS))
def test_analyze_and_intervene(
    family: str,
    wav: Path,
    family_folder: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    common = [
        "--transcript",
        WORDS,
        "--model",
        family_folder(family),
        "--max-new-tokens",
        3,
        "--json",
    ]
    found = run("analyze", wav, *common)
    assert found["model"]["model_type"] == family
    cosine = [row["cosine"] for row in found["layers"]]
    assert len(cosine) == found["model"]["n_layers"] + 1
    assert np.isfinite(cosine).all()
    edited = run("intervene", wav, *common, "--rule", "patch", "--tokens", "all")
    assert edited["answers"]["before"]["text"] == found["answers"]["speech"]
    assert edited["kl_before"] > 0
    assert {pair["i"] for pair in edited["pairs"]} <= set(range(len(found["speech_tokens"])))


def test_a_text_model_says_that_it_takes_no_clip(wav: Path, tmp_path: Path) -> None:
    folder = text_model(tmp_path / "llm")
    result = CliRunner().invoke(
        app, ["analyze", str(wav), "--transcript", WORDS, "--model", str(folder), "--no-cache"]
    )
    assert result.exit_code == 2
    assert "takes no clip" in " ".join(result.output.split())


def test_models_lists_every_family_with_its_state() -> None:
    families = {family.model_type: family for family in list_families()}
    assert set(families) == {*MAKERS, "text_only"}
    assert all(f.title and len(f.title) < 100 for f in families.values())
    result = CliRunner().invoke(app, ["models"], env={"COLUMNS": "400"})
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    for name, family in families.items():
        assert family.state in lines[name]
        assert family.title in lines[name]
        assert "never" in family.state
        for checkpoint in family.checkpoints:
            assert checkpoint in lines

"""`modgap compare-models`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modgap.analysis.consistency import consistency
from modgap.analysis.functions import analyze
from modgap.core.settings import AnalysisSettings
from modgap.models.loading import load as loading
from modgap.models.loading.load import load_model
from tests.cli.test_main import TEXT, place, refused, run  # noqa: F401
from tests.tiny import make_clip, make_tiny_checkpoint


@pytest.fixture(scope="module")
def deep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_checkpoint(tmp_path_factory.mktemp("deep") / "deep", seed=3, layers=6)


@pytest.fixture
def two(run: Any, tiny_folder: Path, deep_folder: Path) -> Any:  # noqa: F811
    """The command on two models of four and six layers."""
    both = ("--model", tiny_folder, "--model", deep_folder)
    return lambda *args: run("compare-models", *args, *both)


@pytest.fixture
def manifest(place: Path) -> Path:  # noqa: F811
    with (place / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "audio", "transcript", "reference"))
        for n in range(6):
            (place / f"{n}.wav").write_bytes(make_clip(1.0, seed=n).wav_bytes())
            writer.writerow((f"q{n}", f"{n}.wav", "What is two plus three?", "five"))
    return place / "m.csv"


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=pytest.fail)


def test_one_clip(two: Any, tiny_folder: Path, deep_folder: Path, place: Path) -> None:  # noqa: F811
    words = ("clip.wav", "--transcript", TEXT, "--max-new-tokens", "3")
    result = two(*words, "--out", "found")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    titles = ("cosine similarity", "Alignment Path Score (cosine)", "monotonicity (Spearman's ρ)")
    for title in titles:
        assert any(line.startswith(title) for line in lines)
    assert lines[3].split() == ["depth", tiny_folder.name, "deep"]
    # The common grid is that of the four layers; 25 % of six is a tie that goes to layer 1.
    assert [line.split()[0] for line in lines[4:9]] == ["0%", "25%", "50%", "75%", "100%"]
    assert [line.split()[-1] for line in lines[4:9]] == ["(0)", "(1)", "(3)", "(4)", "(6)"]
    found = strict((place / "found" / "compare.json").read_text("utf-8"))
    assert strict(two(*words, "--json").stdout) == found
    settings = AnalysisSettings(max_new_tokens=3)
    alone = analyze(load_model(deep_folder), make_clip(), TEXT, settings)
    assert found["answers"][1] == {
        "model": "deep",
        "text": alone.answers["text"].text,
        "speech": alone.answers["speech"].text,
    }
    curves = pd.read_parquet(place / "found" / "curves.parquet")
    deep = curves[curves["model"] == "deep"]
    assert deep["aps_cos"].to_numpy() == pytest.approx(alone.layers["aps_cos"].to_numpy(), rel=1e-4)
    assert sorted(p.name for p in (place / "found").iterdir()) == ["compare.json", "curves.parquet"]


def test_many_clips(two: Any, manifest: Path, place: Path) -> None:  # noqa: F811
    result = two("--data", manifest, "--out", "found", "--measure", "euclidean")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].endswith("m.csv, 6 clips")
    assert "monotonicity (Spearman's ρ), Euclidean: difference to" in result.stdout
    found = strict((place / "found" / "compare.json").read_text("utf-8"))
    curves = pd.read_parquet(place / "found" / "curves.parquet")
    assert curves["clip"].nunique() == 6
    ours = consistency(curves, "aps_euc")
    rows = [r for r in found["consistency"] if r["measure"] == "aps_euc"]
    assert [r["over_clips"] for r in rows] == [c.over_clips.value for c in ours]
    assert [r["over_clips_low"] for r in rows] == [c.over_clips.low for c in ours]
    (change,) = [r for r in found["changes"] if r["measure"] == "aps_euc"]
    assert change["model"] == "deep"
    assert change["level"] == pytest.approx(rows[1]["level"] - rows[0]["level"])
    few = two("--data", manifest, "--limit", "3")
    assert "no intervals: they need 5 clips" in few.stdout
    assert "[" not in few.stdout


def test_one_model_has_no_differences(run: Any, tiny_folder: Path, manifest: Path) -> None:  # noqa: F811
    result = run("compare-models", "--data", manifest, "--model", tiny_folder, "--json")
    found = strict(result.stdout)
    assert "changes" not in found
    assert {r["clips"] for r in found["consistency"]} == {6}


def test_the_cache_is_used_or_left_alone(two: Any, place: Path) -> None:  # noqa: F811
    words = ("clip.wav", "--transcript", TEXT, "--max-new-tokens", "2")
    assert two(*words, "--no-cache").exit_code == 0
    assert not (place / "cache").exists()
    assert two(*words).exit_code == 0
    assert (place / "cache").is_dir()


@pytest.mark.parametrize(
    ("words", "say"),
    [
        ((), "either a CLIP"),
        (("clip.wav", "--transcript", "x", "--data", "demo"), "either a CLIP"),
        (("clip.wav",), "--transcript"),
        (("gone.wav", "--transcript", "x"), "no file"),
        (("clip.wav", "--transcript", " "), "transcript is empty"),
        (("clip.wav", "--transcript", "x", "--measure", "l2"), "cosine or euclidean"),
        (("clip.wav", "--transcript", "x", "--out", "clip.wav"), "is a file"),
        (("--data", "gone.csv"), "no manifest"),
        (("--data", "demo:loud"), ""),
        (("--data", "demo", "--limit", "0"), "limit"),
    ],
)
def test_what_is_refused(two: Any, words: tuple[str, ...], say: str) -> None:
    refused(two(*words), say)


def test_a_model_named_twice_or_missing(run: Any, monkeypatch: Any) -> None:  # noqa: F811
    words = ("compare-models", "clip.wav", "--transcript", "x")
    refused(run(*words, "--model", "tiny", "--model", "tiny"), "named twice")
    refused(run(*words, "--model", "tiny", "--model", "./gone"), "gone")
    named: list[str] = []
    monkeypatch.setattr(
        loading, "load_quietly", lambda name, **options: named.append(name) or 1 / 0
    )
    run(*words)
    assert named == ["demo:lora@1"]

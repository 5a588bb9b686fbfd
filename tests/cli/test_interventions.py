"""The commands that change something."""

from __future__ import annotations

import csv
import json
import weakref
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modgap.analysis.functions import compare
from modgap.interventions.intervention import Intervention
from modgap.models.loading import load as loading
from modgap.models.loading.load import load_model
from tests.cli.test_main import TEXT, place, refused, run  # noqa: F401
from tests.even_words import aligned
from tests.tiny import make_clip

FAST = ("--model", "tiny", "--max-new-tokens", "3")


def strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_intervene_prints_the_three_answers_and_the_pairs(run: Any, tiny_model: Any) -> None:  # noqa: F811
    result = run("intervene", "clip.wav", "--transcript", TEXT, *FAST, "--rule", "patch",
                 "--tokens", "all", "--layer", "1")  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for start in ("to the text", "to the speech, before", "to the speech, after", "KL of"):
        assert any(line.startswith(start) for line in lines)
    as_json = run("intervene", "clip.wav", "--transcript", TEXT, *FAST, "--interventions",
                  "patch,layers=1,tokens=all", "--json")  # fmt: skip
    found = strict(as_json.stdout)
    it = Intervention(rule="patch", tokens="all", layers=(1,))
    ours = compare(tiny_model, make_clip(), TEXT, it, max_new_tokens=3)
    assert found["answers"]["after"]["text"] == ours.after.text
    assert found["answers"]["before"]["text"] == ours.before.text
    assert found["interventions"] == [it.to_dict()]
    pieces = tiny_model.text_prompt(TEXT).pieces
    assert [p["piece"] for p in found["pairs"]] == list(pieces)
    assert found["kl_after"] == pytest.approx(ours.kl_after, rel=1e-3)
    assert [row["layer"] for row in found["layers"]] == [0, 1, 2, 3, 4]


def test_given_pairs(run: Any) -> None:  # noqa: F811
    result = run("intervene", "clip.wav", "--transcript", TEXT, *FAST, "--pair", "3:0",
                 "--pair", "9:2", "--json")  # fmt: skip
    found = strict(result.stdout)
    assert [(p["i"], p["j"]) for p in found["pairs"]] == [(3, 0), (9, 2)]


@pytest.mark.parametrize(
    ("options", "say"),
    [
        (("--rule", "angel"), "rule is one of"),
        (("--tokens", "some"), "tokens is all"),
        (("--strength", "2"), "strength is from 0 to 1"),
        (("--layer", "4"), "cannot be changed"),
        (("--layer", "x"), "--layers takes numbers"),
        (("--pair", "900:0"), "lies outside the clip"),
        (("--pair", "x"), "a pair is"),
        (("--interventions", "{"), "not valid JSON"),
        (("--interventions", ""), "names none"),
        (("--interventions", "[]"), "names none"),
        (("--interventions", " ; "), "names none"),
        (("--interventions", "angle,tokens=given"), "without pairs"),
        (("--tokens", "given"), "without pairs"),
        (("--path-layer", "7"), "no layer 7"),
    ],
)
def test_what_intervene_refuses(run: Any, options: tuple[str, str], say: str) -> None:  # noqa: F811
    refused(run("intervene", "clip.wav", "--transcript", TEXT, *FAST, *options), say)


def test_sweep_and_patching(
    run: Any,  # noqa: F811
    place: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("modgap.analysis.session.word_times", aligned)
    result = run("sweep", "clip.wav", "--transcript", "What is two?", "--model", "tiny",
                 "--rule", "patch", "--tokens", "all", "--strength", "1", "--target", "five",
                 "--out", "s.parquet")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "log-probability of 'five'" in result.stdout
    table = pd.read_parquet(place / "s.parquet")
    assert table["layer"].tolist() == [0, 1, 2, 3]
    result = run("sweep", "clip.wav", "--transcript", "What is two?", "--model", "tiny",
                 "--patch", "--layers", "0,2", "--json")  # fmt: skip
    found = strict(result.stdout)
    assert {row["layer"] for row in found["rows"]} == {0, 2}
    refused(run("sweep", "clip.wav", "--transcript", "What is two?", "--model", "tiny",
                "--target", " "), "is empty")  # fmt: skip
    refused(run("sweep", "clip.wav", "--transcript", "What is two?", "--model", "tiny",
                "--tokens", "given"), "takes no pairs")  # fmt: skip


def test_an_empty_stack_is_refused_before_a_model_is_loaded(run: Any, place: Path) -> None:  # noqa: F811
    refused(run("intervene", "clip.wav", "--transcript", TEXT, "--model", place / "none",
                "--interventions", "[]"), "names none")  # fmt: skip


def test_a_variant_named_twice_is_tried_once(run: Any) -> None:  # noqa: F811
    result = run("sweep", "clip.wav", "--transcript", "What is two?", "--model", "tiny",
                 "--rule", "angle", "--rule", "patch", "--rule", "angle", "--tokens", "all",
                 "--tokens", "all", "--strength", "1", "--strength", "1.0", "--layers", "0,2,0",
                 "--target", "five")  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[2:]]
    assert [row[:3] for row in rows] == [["angle", "all", "1.0"], ["patch", "all", "1.0"]]


def manifest(folder: Path, scorer: str = "reference") -> None:
    with (folder / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "transcript", "reference", "scorer"])
        for n in range(6):
            (folder / f"{n}.wav").write_bytes(make_clip(1.0, seed=n).wav_bytes())
            writer.writerow([f"{n}.wav", "What is two?", "five", scorer])


def test_table1_on_a_manifest(run: Any, place: Path) -> None:  # noqa: F811
    manifest(place)
    result = run("table1", "--data", "m.csv", "--model", "tiny", "--max-new-tokens", "2",
                 "--adaptive", "--out", "out")  # fmt: skip
    assert result.exit_code == 0, result.output
    for row in ("none", "text", "angle, bottom-3", "length, all", "patch, all", "adaptive"):
        assert any(line.startswith(row) for line in result.stdout.splitlines()), row
    table = pd.read_parquet(place / "out" / "tiny-answers.parquet")
    assert table["item"].nunique() == 6
    adaptive = result.stdout[result.stdout.index("adaptive:") :]
    assert any(line.startswith("angle, random-3") for line in adaptive.splitlines())
    assert "adaptive minus it" in adaptive
    report = pd.read_parquet(place / "out" / "tiny-adaptive.parquet").set_index("variant")
    assert {"none", "angle, all", "angle, random-3", "both,tokens=all"} < set(report.index)
    assert (report["ahead_low"] <= report["ahead"]).all()
    refused(run("table1", "--data", "gone.csv", "--model", "tiny"), "no manifest")


def test_the_adaptive_candidates_take_the_path_layer_too(run: Any, place: Path) -> None:  # noqa: F811
    manifest(place)
    result = run("table1", "--data", "m.csv", "--model", "tiny", "--max-new-tokens", "1",
                 "--adaptive", "--path-layer", "2", "--out", "out")  # fmt: skip
    assert result.exit_code == 0, result.output
    variants = set(pd.read_parquet(place / "out" / "tiny-answers.parquet")["variant"])
    assert "both,tokens=all,path_layer=2" in variants
    assert "both,tokens=all" not in variants


def test_questions_for_a_judge_are_refused_before_a_model_is_loaded(
    run: Any,  # noqa: F811
    place: Path,  # noqa: F811
) -> None:
    manifest(place, scorer="judge")
    refused(run("table1", "--data", "m.csv", "--model", place / "none"), "needs a judge")


def test_one_model_is_gone_before_the_next_is_loaded(
    run: Any,  # noqa: F811
    place: Path,  # noqa: F811
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest(place)
    held: list[Any] = []

    def load(name: str, **options: Any) -> Any:
        assert all(model() is None for model in held), "the model before is still there"
        model = load_model(tiny_folder)
        held.append(weakref.ref(model))
        return model

    monkeypatch.setattr(loading, "load_quietly", load)
    result = run("table1", "--data", "m.csv", "--model", "a", "--model", "b", "--limit", "2",
                 "--max-new-tokens", "1")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert len(held) == 2

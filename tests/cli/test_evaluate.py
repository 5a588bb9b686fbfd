"""`modgap eval` and `modgap runs info`: what they print and refuse; the pipeline end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.analysis.pipeline import pipeline
from modgap.cli import main
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.runs.shards import read_rows
from modgap.models.loading.load import load_model
from modgap.models.prompt import TRANSCRIBE
from modgap.scoring.word_errors import word_errors
from modgap.speech.recognizers import load_recognizer
from tests.evaluation.runs import make_manifest
from tests.tiny import make_tiny_checkpoint


@pytest.fixture
def run(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    make_manifest(tmp_path / "data", 6, bad=[2])
    common = ("--data", "data/questions.jsonl", "--model", str(tiny_folder), "--out", "run")

    def go(*words: str, command: str = "eval") -> Any:
        args = (command, *common, *words) if command == "eval" else tuple(command.split())
        return CliRunner().invoke(main.app, [*args, *words] if command != "eval" else list(args))

    return go


def refused(result: Any, words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("modgap: error: ")
    assert words in line


def test_a_run_prints_its_table_and_info_prints_it_again(run: Any, tiny_folder: Path) -> None:
    made = run("--max-new-tokens", "2", "--intervention", "all::angle,tokens=all")
    assert made.exit_code == 0, made.output
    lines = made.stdout.splitlines()
    assert lines[0] == "data/questions.jsonl: 6 questions, text, speech, speech+all"
    rows = [line.split() for line in lines if line.startswith(str(tiny_folder)[:20])]
    assert [(r[1], r[2], r[-1]) for r in rows] == [
        ("text", "6", "0"),
        ("speech", "5", "1"),
        ("speech+all", "5", "1"),
    ]
    assert any(line.startswith("failed, 2: AudioError: q2: ") for line in lines)
    assert lines[-1].startswith("6 clips in ")
    again = run(command="runs info run")
    assert again.stdout.splitlines() == lines[:-1]
    found = json.loads(run("--json", command="runs info run").stdout)
    assert found["table"][1]["failed"] == 1
    assert found["interventions"]["all"][0]["tokens"] == "all"


def test_what_is_refused_is_one_line(run: Any, tmp_path: Path) -> None:
    refused(run("--inputs", "video"), "not 'video'")
    refused(run("--engine", "spark"), "local or ray")
    refused(run("--workers", "2"), "--engine ray")
    refused(run("--intervention", "bend"), "rule is one of")
    refused(run(command="runs info nowhere"), "no run in nowhere")
    assert run("--inputs", "text", "--max-new-tokens", "1").exit_code == 0
    refused(run("--inputs", "text", "--max-new-tokens", "2"), "(1 before, 2 now)")


def test_an_instruction_goes_with_every_question_that_has_none(run: Any, tiny_model: Any) -> None:
    """Against plain generations; a run without it cannot be gone on with it."""
    told = "Please directly answer the questions in the user's speech."
    words = ("--instruction", told, "--max-new-tokens", "3", "--limit", "2")
    made = run(*words)
    assert made.exit_code == 0, made.output
    answers = list(read_rows(Path("run"), "answers"))
    asked = {q.id: q for q in read_questions("data/questions.jsonl")}
    assert len(answers) == 4
    for row in answers:
        question = asked[row["question"]]
        instruction = question.instruction or told
        prompt = (
            tiny_model.text_prompt(question.transcript, instruction=instruction, markers="drop")
            if row["input"] == "text"
            else tiny_model.speech_prompt(question.load(), instruction=instruction)
        )
        assert row["response"] == tiny_model.generate(prompt, max_new_tokens=3).text.strip()
    kept = json.loads(Path("run/run.json").read_text())
    assert kept["settings"]["instruction"] == told
    refused(run("--max-new-tokens", "3", "--limit", "2"), "instruction")


def test_the_pipeline_and_what_is_heard(run: Any, ears_here: Path, tiny_model: Any) -> None:
    """Against `modgap.pipeline` and a plain generation with the instruction."""
    made = run("--inputs", "speech,pipeline", "--heard", "--max-new-tokens", "3", "--limit", "2")
    assert made.exit_code == 0, made.output
    rows = {(r["question"], r["input"]): r for r in read_rows(Path("run"), "answers")}
    ears = load_recognizer()
    for question in read_questions("data/questions.jsonl", 2):
        clip, words = question.load(), question.transcript
        cascade = pipeline(
            ears, tiny_model, clip, words, transcribed=True, max_new_tokens=3, markers="drop"
        )
        row = rows[question.id, "pipeline"]
        assert row["heard"] == cascade.heard
        assert row["wer"] == cascade.errors.rate
        wanted = "" if cascade.answer is None else cascade.answer.text.strip()
        assert row["response"] == wanted
        prompt = tiny_model.speech_prompt(clip, instruction=TRANSCRIBE)
        heard = tiny_model.generate(prompt, max_new_tokens=128).text.strip()
        row = rows[question.id, "speech"]
        assert (row["heard"], row["wer"]) == (heard, word_errors(words, heard).rate)


def test_the_pipeline_is_answered_by_the_base_where_there_is_one(
    run: Any, tmp_path: Path, ears_here: Path, tiny_model: Any
) -> None:
    """A_p is "a recogniser, then the text LLM": the same for every speech model."""
    other = str(make_tiny_checkpoint(tmp_path / "other", seed=3))
    asked = ("--data", "demo", "--limit", "2", "--max-new-tokens", "3")
    words = (*asked, "--inputs", "text,pipeline")
    made = run(*words, "--base", other)
    assert made.exit_code == 0, made.output
    base = load_model(other)
    ears = load_recognizer()
    rows = {r["question"]: r for r in read_rows(Path("run"), "answers") if r["input"] == "pipeline"}
    differs = 0
    for question in read_questions("demo", 2):
        clip = question.load()
        how = {"max_new_tokens": 3, "markers": "drop"}
        wanted = pipeline(ears, base, clip, question.transcript, **how)
        own = pipeline(ears, tiny_model, clip, question.transcript, **how)
        said = "" if wanted.answer is None else wanted.answer.text.strip()
        assert rows[question.id]["response"] == said
        differs += own.answer is not None and own.answer.text.strip() != said
    assert differs, "the two models answer alike: this test says nothing"
    assert json.loads(Path("run/run.json").read_text())["pipeline_llm"] == "base"
    refused(run(*words, "--base", other, "--pipeline-llm", "own"), "the pipeline's text model")
    refused(run(*words, "--pipeline-llm", "base"), "--base")


@pytest.mark.slow
def test_the_embedded_family_has_its_base_and_its_gap(run: Any, embedded: Path) -> None:
    words = "--data demo --limit 20 --model demo --model demo:lora@1 --inputs text,speech,base"
    made = CliRunner().invoke(
        main.app, ["eval", *words.split(), "--base", "demo:base", "--out", "demo-run"]
    )
    assert made.exit_code == 0, made.output
    found = json.loads(run("--json", command="runs info demo-run").stdout)
    accuracy = {(r["model"], r["input"]): r["accuracy"] for r in found["table"]}
    assert accuracy["demo", "base"] == accuracy["demo:lora@1", "base"] > 0.4
    assert set(accuracy) == {
        (model, given) for model in ("demo", "demo:lora@1") for given in ("text", "speech", "base")
    }
    assert found["base"]["model_type"] == "text"

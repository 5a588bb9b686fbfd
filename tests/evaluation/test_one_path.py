"""`modgap eval` and `modgap score` give one verdict on one answer, and none of it in silence."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.cli import main
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.judging.rescore import score_file
from modgap.evaluation.runs.worker import Worker
from tests.evaluation.runs import make_manifest

ROWS: list[dict[str, Any]] = [
    {"reference": ["Bern", "Berne"]}, {"reference": 7.0}, {"reference": "minus seven"},
    {"reference": "कला"}, {"scorer": "choices", "choices": ["बल", "बाल"], "reference": "B"},
    {"scorer": "choices", "choices": "['x' 'y']", "reference": "y"},
    {"scorer": "choices", "choices": ["A. plum", "B. fig"], "reference": "B. fig"},
    {"scorer": "bbh", "reference": "no"}, {"scorer": "refusal"},
    {"scorer": "ifeval", "instruction_id_list": ["length_constraints:number_words"],
     "kwargs": [{"num_words": 2, "relation": "less than"}]},
]  # fmt: skip
ANSWERS = ["Berne", "It is 7.", "-7", "कला", "बाल", "<think>A</think>B", "Both A and B", "B", "fig",
           "<think>yes</think>No", "<think>No", "I'm sorry, I can't help.", "नमस्ते", ""]  # fmt: skip


def test_both_commands_take_one_path(tmp_path: Path) -> None:
    rows = [
        {"id": f"{n}-{m}", "audio": "a.wav", "transcript": f"t {n} {m}", **row}
        for n, row in enumerate(ROWS) for m in range(len(ANSWERS))
    ]  # fmt: skip
    manifest, results = tmp_path / "m.jsonl", tmp_path / "answers.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    questions = read_questions(str(manifest))
    said = [ANSWERS[n % len(ANSWERS)] for n in range(len(rows))]
    lines = [{"prompt": q.transcript, "response": r} for q, r in zip(questions, said, strict=True)]
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    worker: Any = SimpleNamespace(name="m")
    scored = score_file(results, questions)
    for question, response, found in zip(questions, said, scored, strict=True):
        row = Worker._row(worker, question, "text", response)
        v = found.verdict
        assert (row["correct"], row["extracted"], row["rule"], row["expected"]) == (
            v.correct, v.extracted, v.rule, v.expected,
        )  # fmt: skip
    rights = {
        q.id.split("-")[0] for q, s in zip(questions, scored, strict=True) if s.verdict.correct
    }
    assert len(rights) == len(ROWS), "an answer of the list is right for each row"


def test_the_answers_of_a_run_are_scored_alike_elsewhere(tmp_path: Path, tiny_folder: Path) -> None:
    make_manifest(tmp_path / "data", 4)
    data, run = str(tmp_path / "data" / "questions.jsonl"), str(tmp_path / "run")
    go = CliRunner().invoke
    made = go(main.app, ["eval", "--data", data, "--model", str(tiny_folder), "--out", run,
                         "--max-new-tokens", "4"])  # fmt: skip
    assert made.exit_code == 0, made.output
    info = json.loads(go(main.app, ["runs", "info", run, "--json"]).stdout)
    out = tmp_path / "out"
    assert go(main.app, ["runs", "export", run, "--out", str(out)]).exit_code == 0
    (spoken,) = out.glob("*-audio.jsonl")
    found = json.loads(go(main.app, ["score", str(spoken), "--data", data, "--json"]).stdout)
    row = next(r for r in info["table"] if r["input"] == "speech")
    assert found[str(spoken)]["accuracy"] == row["accuracy"]
    assert found[str(spoken)]["unparsed"] == row["unparsed"]


def test_a_side_of_which_nothing_is_judged_is_an_error(tmp_path: Path, tiny_folder: Path) -> None:
    make_manifest(tmp_path / "data", 3, bad=range(3))
    args = ["eval", "--model", str(tiny_folder), "--max-new-tokens", "1", "--data"]
    data = str(tmp_path / "data" / "questions.jsonl")
    made = CliRunner().invoke(main.app, [*args, data, "--out", str(tmp_path / "run")])
    assert made.exit_code == 2
    assert "speech is judged: all of them failed, so there is no accuracy and no gap" in made.stderr
    assert "not whole" not in made.stdout  # the run is there, with what was done
    # Open questions wait for a judge: that is a note.
    row = {"id": "1", "audio": "0.wav", "transcript": "t", "scorer": "judge"}
    make_manifest(tmp_path / "data", 1)
    judged = tmp_path / "data" / "open.jsonl"
    judged.write_text(json.dumps(row))
    made = CliRunner().invoke(main.app, [*args, str(judged), "--out", str(tmp_path / "open")])
    assert made.exit_code == 0, made.output
    assert "no answer is judged yet" in made.stderr


def test_a_file_of_which_nothing_is_judged(tmp_path: Path) -> None:
    open_ = tmp_path / "m-wildvoice-test-audio.jsonl"
    open_.write_text('{"prompt": "Hi", "response": "Hello"}\n')
    made = CliRunner().invoke(main.app, ["score", str(open_)])
    assert made.exit_code == 0
    assert "wait for a judge" in made.stderr
    index = tmp_path / "m-openbookqa-test-audio.jsonl"
    index.write_text('{"prompt": "Which?\\nA. x\\nB. y", "response": "A", "reference": "0"}\n')
    made = CliRunner().invoke(main.app, ["score", str(index)])
    assert made.exit_code == 2
    assert "has '0' as reference" in made.stderr


@pytest.mark.parametrize("name", ["m.csv", "m.tsv"])
def test_eval_reads_what_score_reads(tmp_path: Path, name: str) -> None:
    separator = "\t" if name.endswith("tsv") else ";"
    (tmp_path / name).write_text(
        f"audio{separator}transcript{separator}reference\na{separator}t{separator}7,0\n"
    )
    results = tmp_path / "answers.jsonl"
    results.write_text('{"prompt": "t", "response": "seven"}\n')
    made = CliRunner().invoke(
        main.app, ["score", str(results), "--data", str(tmp_path / name), "--json"]
    )
    assert json.loads(made.stdout)[str(results)]["accuracy"] == 1.0

"""Scores by more than one rule: the likeliest option, and what VoiceBench would expect."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modgap.cli import main
from modgap.figures.report import report_html
from modgap.gap.accuracy import COUNTS, RULES, accuracies
from modgap.gap.run_data import open_run
from tests.gap.made import answer, question, write_run

CHOICE = {"scorer": "choices", "choices": ["Rome", "Oslo", "Bern"], "reference": "B"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three multiple choices and an open question; the model knows better than it says."""
    asked = [{**question(f"c{n}", accent="usa"), **CHOICE} for n in range(3)]
    asked.append(question("open", accent="ind"))
    likely = {"A": [-1.0, -2.0, -3.0], "B": [-2.0, -1.0, -3.0], "AB": [-1.0, -1.0, -3.0]}
    rows = [
        answer("m", "c0", "text", True, option_logprob=likely["B"], expected=1.0),
        answer("m", "c1", "text", False, option_logprob=likely["B"], expected=0.5),
        answer("m", "c2", "text", False, option_logprob=likely["AB"], expected=0.0),
        answer("m", "open", "text", True, option_logprob=[]),
        answer("m", "c0", "speech", False, option_logprob=likely["A"], expected=0.0),
        answer("m", "c1", "speech", True, option_logprob=likely["A"], expected=1.0),
        answer("m", "c2", "speech", None, option_logprob=likely["B"], expected=0.2),
        answer("m", "open", "base", False),
    ]
    return write_run(tmp_path / "mine", asked, {"answers": [rows[:5], rows[5:]]})


def test_the_likeliest_option_beside_the_answer(folder: Path) -> None:
    table = accuracies(open_run(folder)).set_index("input")
    text, speech, base = (table.loc[k] for k in ("text", "speech", "base"))
    assert list(table.columns) == [c for c in (*COUNTS, *RULES) if c != "input"]
    # Of equal options the first counts, so c2 is wrong; the open question has no options.
    assert (text["with_options"], text["accuracy_by_answer"], text["accuracy_by_option"]) == (
        3, pytest.approx(1 / 3), pytest.approx(2 / 3),
    )  # fmt: skip
    # An answer that nobody judged is in neither: both columns are over the same answers.
    assert (speech["with_options"], speech["accuracy_by_answer"]) == (2, 0.5)
    assert speech["accuracy_by_option"] == 0
    assert base["with_options"] == 0
    assert base[["accuracy_by_answer", "accuracy_by_option"]].isna().all()
    assert table["with_options"].dtype.kind == "i"


def test_the_expected_score_beside_the_accuracy(folder: Path) -> None:
    table = accuracies(open_run(folder)).set_index("input")
    assert table["accuracy"].tolist() == [0.5, 0.5, 0.0]
    assert table["expected"].tolist() == pytest.approx([(1 + 0.5 + 0 + 1) / 4, 1.2 / 3, 0])
    assert table["expected_of"].tolist() == [4, 3, 1]  # what was rated counts, though not judged
    some = accuracies(open_run(folder), {"accent": ["ind"]}).set_index("input")
    assert some.loc["text", "expected"] == 1
    assert some["with_options"].tolist() == [0, 0]


def test_options_that_only_meta_names(tmp_path: Path) -> None:
    """The embedded family's letters are answered as "Rome, A"; the table of questions says so."""
    asked = {**question("a"), "choices": ["Rome", "Oslo"], "reference": "Oslo, B"}
    rows = [answer("m", "a", "text", False, option_logprob=[-2.0, -1.0])]
    meta = json.dumps({"options": ["Rome, A", "Oslo, B"]})
    new = write_run(tmp_path / "new", [{**asked, "meta": meta}], {"answers": [rows]})
    assert accuracies(open_run(new))["accuracy_by_option"].tolist() == [1]
    # Without it nothing is known of the options, which is not the same as all being wrong.
    old = write_run(tmp_path / "old", [asked], {"answers": [rows]})
    assert accuracies(open_run(old))["with_options"].tolist() == [0]


def test_command_and_report_show_them(folder: Path) -> None:
    made = CliRunner().invoke(main.app, ["gap", str(folder)], env={"COLUMNS": "200"})
    assert made.exit_code == 0, made.output
    lines = made.stdout.split("by more than one rule")[1].splitlines()
    assert [line.split() for line in lines if re.match(r"m +(text|base)", line)] == [
        ["m", "text", "50.0", "62.5", "4", "3", "33.3", "66.7"],
        ["m", "base", "0.0", "0.0", "1", "0", "-", "-"],
    ]
    found = CliRunner().invoke(main.app, ["gap", str(folder), "--json"])
    (base,) = (r for r in json.loads(found.stdout)["counts"] if r["input"] == "base")
    assert (base["expected"], base["accuracy_by_option"]) == (0.0, None)
    page = report_html(open_run(folder))
    assert "of those by likeliest option %</th>" in page
    assert "<td>66.7</td>" in page
    some = CliRunner().invoke(main.app, ["gap", str(folder), "--where", "accent=ind"])
    assert "likeliest" not in some.stdout  # no options, no columns about them


def test_a_value_that_there_is_not(folder: Path) -> None:
    made = CliRunner().invoke(main.app, ["gap", str(folder), "--where", "accent=zzz"])
    assert (made.exit_code, made.stdout) == (2, "")
    assert made.stderr == (
        "modgap: error: No question of the run mine has accent 'zzz'; there is ind, usa.\n"
    )
    # Values that are there, but not together, leave tables without rows.
    both = ["--where", "accent=ind", "--where", "dataset=d"]
    assert CliRunner().invoke(main.app, ["gap", str(folder), *both]).exit_code == 0
    run = open_run(folder)
    assert list(accuracies(run, {"accent": []}).columns) == [*COUNTS, *RULES]

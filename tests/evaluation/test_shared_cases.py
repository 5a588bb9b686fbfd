"""Inputs after reports on other tools, which lie beside a checkout and are no part of it."""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import modgap.scoring.question
import modgap.scoring.scorers
from modgap.cli import main
from modgap.evaluation.data.datasets import read_questions
from modgap.scoring.scorers import score

CASES = Path(__file__).parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason="the folder shared/cases does not lie beside this checkout"
)
#: Lines of mcq-forms/scorers.py whose wish is not taken up, with the reason in docs/data.md.
OPEN = {"'Paris'", "'St. Louis'", "'ten thirty'", '"He\'s"', "'Louis XIV'", "'Vitamin C'"}


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The cases' scripts import modules under the names of an older layout."""
    old = ModuleType("modgap.benchmark")
    old.__path__ = []
    monkeypatch.setitem(sys.modules, "modgap.benchmark", old)
    monkeypatch.setitem(sys.modules, "modgap.benchmark.question", modgap.scoring.question)
    monkeypatch.setitem(sys.modules, "modgap.benchmark.scorers", modgap.scoring.scorers)
    monkeypatch.syspath_prepend(str(CASES / "mcq-forms"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    sys.modules.pop("scorers", None)


def printed(script: str) -> list[str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        runpy.run_path(str(CASES / script), run_name="__main__")
    return out.getvalue().splitlines()


def test_think_tags() -> None:
    files = sorted(map(str, (CASES / "think-tags").glob("*.jsonl")))
    made = CliRunner().invoke(main.app, ["score", *files, "--json"])
    found = {
        Path(name).name.split("-")[1]: r["accuracy"] for name, r in json.loads(made.stdout).items()
    }
    assert found == {"openbookqa": 1.0, "bbh": 1.0, "advbench": 1.0, "sd": 0.5}


def test_indic_marks(scripts: None) -> None:
    lines = printed("indic-marks/case.py")
    assert [line.split("extracted='")[1][0] for line in lines] == ["A", "C", "B"]
    assert all("correct=True" in line for line in lines)


def test_mcq_forms(scripts: None) -> None:
    assert [line for line in printed("mcq-forms/mc.py") if "<<<" in line] == []
    both = next(line for line in printed("mcq-forms/mc2.py") if line.startswith("and "))
    assert both.count("extracted=None") == 3
    wished = [line for line in printed("mcq-forms/scorers.py") if "<<<" in line]
    assert {line.split("  ")[0].strip() for line in wished} <= OPEN


def test_list_reference() -> None:
    made = read_questions(str(CASES / "list-reference" / "listref.jsonl"))
    assert [score(q, "Paris").correct for q in made] == [True, True]
    assert score(made[1], "Rome").correct is False


def test_choice_reference(tmp_path: Path) -> None:
    data = str(CASES / "choice-reference" / "idxref.jsonl")
    made = CliRunner().invoke(main.app, ["eval", "--data", data, "--out", str(tmp_path / "run")])
    assert made.exit_code == 2
    assert "Row 1 of idxref.jsonl has '1' as reference" in made.stderr


@pytest.mark.parametrize("name", ["pylist.csv", "numpyrepr.csv"])
def test_pylist_choices(name: str) -> None:
    (question,) = read_questions(str(CASES / "pylist-choices" / name))
    assert question.choices == ("Rome", "Paris", "Oslo", "Bern")
    assert score(question, "It is Paris.").correct is True

"""Scores by the evaluators of a checkout, in a process of their own.

The checkout here has VoiceBench's layout and interface; its evaluators are written for the test.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.cli import main
from modgap.core.errors import SettingsError
from modgap.evaluation.judging.voicebench_evaluators import official_scores

BASE = "class Evaluator:\n    def evaluate(self, data):\n        raise NotImplementedError\n"
MCQ = """
import random
from .base import Evaluator

class MCQEvaluator(Evaluator):
    def evaluate(self, data):
        assert all("modgap" not in item for item in data)
        given = [item["response"] or random.choice("ABCD") for item in data]
        right = [g == item["reference"] for g, item in zip(given, data)]
        return {"acc": 100 * sum(right) / len(right), "fail": 0.0}
"""
BROKEN = "import a_package_that_is_missing\nclass QAEvaluator: pass\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    evaluators = tmp_path / "VoiceBench" / "src" / "evaluator"
    evaluators.mkdir(parents=True)
    # As in the original: importing the package imports what may not be installed.
    (evaluators / "__init__.py").write_text("from .qa import QAEvaluator\n")
    for name, text in {"base": BASE, "mcq": MCQ, "qa": BROKEN}.items():
        (evaluators / f"{name}.py").write_text(text)
    return tmp_path / "VoiceBench"


ROWS: list[dict[str, Any]] = [
    {"prompt": "p", "reference": "A", "response": "A", "modgap": {"question": "1"}},
    {"prompt": "p", "reference": "B", "response": "C"},
]


def test_the_evaluators_own_scores(checkout: Path) -> None:
    assert official_scores(checkout, "mmsu", ROWS) == {"acc": 50.0, "fail": 0.0}
    assert "src" not in sys.modules
    drawn = [{**r, "response": ""} for r in ROWS] * 20
    first = official_scores(checkout, "openbookqa", drawn, seed=1)
    assert first == official_scores(checkout, "openbookqa", drawn, seed=1)
    assert 0 < first["acc"] < 100


def test_what_goes_wrong_is_said_in_a_line(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"a_package_that_is_missing.*requirements\.txt"):
        official_scores(checkout, "sd-qa", ROWS)
    with pytest.raises(SettingsError, match=r"no src/evaluator/bbh\.py"):
        official_scores(checkout, "bbh", ROWS)
    with pytest.raises(SettingsError, match="is no checkout"):
        official_scores(tmp_path, "mmsu", ROWS)
    with pytest.raises(SettingsError, match="Unknown subset"):
        official_scores(checkout, "mtbench", ROWS)
    with pytest.raises(SettingsError, match="no interpreter"):
        official_scores(checkout, "mmsu", ROWS, python=str(tmp_path / "python"))
    with pytest.raises(SettingsError, match="MCQEvaluator failed"):
        official_scores(checkout, "mmsu", [{"response": "A"}])


def test_the_command_prints_both(checkout: Path, tmp_path: Path) -> None:
    path = tmp_path / "m-openbookqa-test-audio.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    run = CliRunner().invoke(
        main.app,
        ["score", str(path), "--official", str(checkout), "--out", str(tmp_path), "--json"],
    )
    assert run.exit_code == 0, run.stderr
    (found,) = json.loads(run.stdout).values()
    assert found["official"] == {"acc": 50.0, "fail": 0.0}
    assert (found["accuracy"], found["unparsed"], found["leaderboard"]) == (0.5, 0, 50.0)
    written = (tmp_path / f"result-{path.name}").read_text().splitlines()
    assert json.loads(written[1])["modgap"]["verdict"]["extracted"] == "C"
    table = CliRunner().invoke(main.app, ["score", str(path)])
    assert "50.0" in table.stdout
    refused = CliRunner().invoke(main.app, ["score", str(path), "--subset", "poetry"])
    assert refused.exit_code == 2
    assert "Unknown subset" in refused.stderr

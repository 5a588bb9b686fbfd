"""Models of several families in one run, each beside its own base."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.cli import main
from modgap.core.errors import SettingsError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.runs.base_models import foreign_bases
from modgap.evaluation.runs.record import read_run
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.shards import read_rows
from modgap.figures.report import report_html
from modgap.gap.run_data import open_run
from modgap.models.loading.load import load_model
from modgap.scoring.answers import answer
from tests.evaluation.runs import make_manifest
from tests.tiny import make_tiny_checkpoint


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two bases of the models' size that answer unlike each other, and one that is wider."""
    root = tmp_path_factory.mktemp("bases")
    return {
        "x": make_tiny_checkpoint(root / "x", seed=11),
        "y": make_tiny_checkpoint(root / "y", seed=12),
        "wide": make_tiny_checkpoint(root / "wide", hidden=64, seed=13),
    }


@pytest.fixture
def run(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`modgap eval` of models called a, b and c, which are one, with further words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    make_manifest(tmp_path / "data", 3)
    for name in "abc":
        (tmp_path / name).symlink_to(tiny_folder)

    def go(*words: str, models: str = "ab") -> Any:
        chosen = [w for name in models for w in ("--model", name)]
        common = ("eval", "--data", "data/questions.jsonl", "--inputs", "text,base", "--out", "run",
                  "--max-new-tokens", "3")  # fmt: skip
        return CliRunner().invoke(main.app, [*common, *chosen, *words])

    return go


def said(base: Path) -> list[str]:
    model = load_model(base)
    return [
        answer(
            model, model.text_prompt(q.transcript, markers="drop"), max_new_tokens=3
        ).text.strip()
        for q in read_questions("data/questions.jsonl")
    ]


def rows() -> dict[str, list[str]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for row in read_rows(Path("run"), "answers"):
        if row["input"] == "base":
            found.setdefault(row["model"], []).append((row["question"], row["response"]))
    return {model: [words for _, words in sorted(pairs)] for model, pairs in found.items()}


def refused(result: Any, words: str) -> None:
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert words in result.stderr.splitlines()[-1]


def test_each_model_has_its_own_base(run: Any, texts: dict[str, Path]) -> None:
    x, y = (said(texts[k]) for k in "xy")
    assert x != y
    made = run("--base", f"a={texts['x']}", "--base", f"b={texts['y']}")
    assert made.exit_code == 0, made.output
    assert f"{texts['x']} for a, {texts['y']} for b" in made.stdout.replace("\n", " ")
    assert rows() == {"a": x, "b": y}
    found = read_run(Path("run"))
    assert found is not None
    assert "base" not in found
    assert {m: about["name"] for m, about in found["bases"].items()} == {
        "a": str(texts["x"]), "b": str(texts["y"]),
    }  # fmt: skip
    assert found["bases"]["a"]["identity"] != found["bases"]["b"]["identity"]
    assert RunSettings.from_dict(found).base_of("b") == str(texts["y"])
    # A model more, with a base of its own, though the others are not named again.
    more = run("--base", f"c={texts['x']}", models="c")
    assert more.exit_code == 0, more.output
    assert rows() == {"a": x, "b": y, "c": x}
    again = read_run(Path("run"))
    assert again is not None
    assert set(again["bases"]) == {"a", "b", "c"}
    assert again["bases"]["b"] == found["bases"]["b"]
    refused(run("--base", f"a={texts['y']}", models="a"), "base of a name (")
    refused(run("--base", str(texts["y"]), models="a"), "base of a name (")


def test_a_bare_base_holds_for_the_others_and_older_runs_go_on(
    run: Any, texts: dict[str, Path]
) -> None:
    assert run("--base", str(texts["x"]), models="a").exit_code == 0
    found = json.loads(Path("run/run.json").read_text())
    assert "bases" not in found  # as older versions wrote it
    assert run("--base", str(texts["x"]), models="a").exit_code == 0
    refused(run("--base", str(texts["y"]), models="b"), "base name (")
    made = run("--base", str(texts["x"]), "--base", f"b={texts['y']}")
    assert made.exit_code == 0, made.output
    x, y = (said(texts[k]) for k in "xy")
    assert rows() == {"a": x, "b": y}
    after = json.loads(Path("run/run.json").read_text())
    assert after["base"] == found["base"]
    assert list(after["bases"]) == ["b"]
    refused(run("--base", f"a={texts['y']}", models="a"), "base of a name (")


def test_what_names_no_base_is_refused_before_anything(run: Any, texts: dict[str, Path]) -> None:
    refused(run("--base", f"a={texts['x']}"), "A base is needed for b, too: --base b=TEXT_MODEL")
    refused(run("--base", "z=x"), "'z' is none of the models of this call (a, b)")
    refused(run("--base", "one", "--base", "two"), "names one and two")
    refused(run("--base", "a=1", "--base", "a=2"), "two text models for a")
    refused(run(), "name it with --base")
    assert not Path("run/run.json").exists()
    odd = Path("lr=1")
    odd.symlink_to(texts["x"])  # a path may have a sign of its own
    assert run("--base", "lr=1", models="a").exit_code == 0
    assert rows()["a"] == said(texts["x"])


def foreign(stderr: str) -> list[str]:
    """The warnings but those of cut answers, of which tiny models have nothing else."""
    return [line for line in stderr.splitlines() if "answers were cut" not in line]


def test_a_base_of_another_family_is_warned_of(run: Any, texts: dict[str, Path]) -> None:
    made = run("--base", str(texts["x"]), "--base", f"b={texts['wide']}")
    assert made.exit_code == 0, made.output
    (warning,) = foreign(made.stderr)
    assert warning.startswith("modgap: warning: b was not tuned from ")
    assert "its hidden size is 32, that of this base 64" in warning
    shown = CliRunner().invoke(main.app, ["gap", "run"])
    assert shown.exit_code == 0
    assert foreign(shown.stderr) == [warning]
    assert "b was not tuned from" in report_html(open_run(Path("run")))
    # Said once: a run that is gone on with is not new.
    again = run("--base", str(texts["x"]), "--base", f"b={texts['wide']}")
    assert foreign(again.stderr) == []


@pytest.mark.parametrize(
    "record",
    [{}, {"models": ["a"]}, {"models": {"a": None}, "base": "x"}, {"models": {"a": {}}, "bases": 3},
     {"models": {"a": {"hidden_size": 3}}, "bases": {"a": {"name": "t"}}}],
)  # fmt: skip
def test_records_that_say_nothing_of_it(record: dict[str, Any]) -> None:
    assert foreign_bases(record) == []


def test_the_settings_alone() -> None:
    settings = RunSettings(inputs=("base",), bases=(("a", "x"),))
    assert settings.base_of("a") == "x"
    with pytest.raises(SettingsError, match="--base b=TEXT_MODEL"):
        settings.base_of("b")
    assert RunSettings().base_of("b") == ""
    # The pipeline is answered by the base where there is one: each model's own, then, too.
    piped = RunSettings(inputs=("pipeline",), bases=(("a", "x"),))
    assert piped.pipeline_llm == "base"
    assert piped.base_of("a") == "x"
    with pytest.raises(SettingsError, match="A base is needed for b"):
        piped.base_of("b")
    piped = piped.for_data("questions.csv")
    assert RunSettings.from_dict(piped.to_dict()) == piped
    own = RunSettings(inputs=("pipeline",), pipeline_llm="own")
    assert own.base_of("b") == ""
    whole = settings.for_data("questions.csv")
    found = RunSettings.from_dict({**whole.to_dict()})
    assert found.for_data("questions.csv") == whole

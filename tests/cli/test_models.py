"""`modgap models`, `modgap models info`, and the options that all loading commands share."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from modgap.cli import main, models
from modgap.cli.model_options import ModelOptions, with_model
from modgap.models.loading import load as loading
from modgap.models.loading.hardware import Machine
from modgap.models.loading.memory import estimate_memory
from tests.tiny import make_clip

SHARED = ("--dtype", "--device", "--device-map", "--quantize", "--adapter", "--revision")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODGAP_CACHE", raising=False)
    (tmp_path / "clip.wav").write_bytes(make_clip().wav_bytes())
    return tmp_path


def run(*args: Any) -> Any:
    return CliRunner().invoke(main.app, [str(a) for a in args])


@pytest.mark.parametrize(
    "command",
    [
        *("analyze", "intervene", "sweep", "table1", "compare-models", "pipeline", "words"),
        *("models info", "check"),
    ],
    ids=str,
)
def test_every_command_that_loads_takes_the_same_options(command: str) -> None:
    shown = CliRunner().invoke(main.app, [*command.split(), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert all(f"{option} " in shown.output for option in SHARED)


def test_the_options_reach_the_loader(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Any, tmp_path: Path
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def load(name: str, **options: Any) -> Any:
        asked.append((name, options))
        return tiny_model

    monkeypatch.setattr(loading, "load_quietly", load)
    words = ["--model", "m", "--dtype", "bfloat16", "--device", "cpu", "--revision", "r"]
    words += ["--device-map", "auto", "--quantize", "4bit", "--adapter", str(tmp_path)]
    clip = ["clip.wav", "--transcript", "What is two?"]
    for command in (
        ["analyze", *clip, "--no-answers"],
        ["intervene", *clip, "--max-new-tokens", "1"],
    ):
        result = run(*command, *words)
        assert result.exit_code == 0, result.output
    wanted = {
        "dtype": "bfloat16", "device": "cpu", "device_map": "auto", "quantize": "4bit",
        "adapter": tmp_path, "revision": "r",
    }  # fmt: skip
    assert asked == [("m", wanted)] * 2
    run("analyze", *clip, "--no-answers")
    assert asked[-1] == ("demo", {"dtype": "auto", "device": "auto"})


def test_a_command_keeps_its_own_parameters() -> None:
    seen: list[Any] = []

    @with_model()
    def command(clip: Path, how: ModelOptions, loud: bool = False) -> None:
        """What it does."""
        seen.append((clip, how, loud))

    assert command.__doc__ == "What it does."
    names = list(inspect.signature(command).parameters)
    assert names[:2] == ["clip", "model"]
    assert names[-1] == "loud"
    app = typer.Typer()
    app.command()(command)
    assert CliRunner().invoke(app, ["a.wav", "--loud", "--quantize", "8bit"]).exit_code == 0
    assert seen == [(Path("a.wav"), ModelOptions(quantize="8bit"), True)]


def test_models_lists_without_a_subcommand() -> None:
    result = run("models")
    assert result.exit_code == 0
    assert "Qwen/Qwen2-Audio-7B-Instruct" in result.stdout
    assert all(row[0] in result.stdout for row in models.rows())


def test_info(tiny_folder: Path) -> None:
    result = run("models", "info", tiny_folder)
    assert result.exit_code == 0
    assert result.stderr == ""
    parameters = estimate_memory(tiny_folder).parameters
    for piece in (f"{parameters:,}", "qwen2_audio", "4, 32", "10 s", "0.04 s", "are free"):
        assert piece in result.stdout


def test_info_as_json(tiny_folder: Path) -> None:
    result = run("models", "info", tiny_folder, "--dtype", "bfloat16", "--seconds", "5", "--json")
    found = json.loads(result.stdout, parse_constant=pytest.fail)
    expected = estimate_memory(tiny_folder, dtype="bfloat16", seconds=5)
    assert {k: found[k] for k in expected.to_dict()} == expected.to_dict()
    assert found["machine"]["ram"] > 0
    assert found["verdict"] == "fits"


def test_info_warns(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(1000)))
    result = run("models", "info", tiny_folder)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("modgap: warning: The weights take ")
    assert "1.0 kB are free" in line


@pytest.mark.parametrize(
    "args",
    [["nowhere"], ["{tiny}", "--quantize", "2bit"], ["{tiny}", "--adapter", "."], []],
    ids=str,
)
def test_what_info_refuses(args: list[str], tiny_folder: Path) -> None:
    result = run("models", "info", *(a.replace("{tiny}", str(tiny_folder)) for a in args))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1

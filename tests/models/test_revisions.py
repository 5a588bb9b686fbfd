"""``org/name@revision``: one revision a name, in the library, the commands and the explorer."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modgap.cli import main
from modgap.cli.model_options import ModelOptions
from modgap.core.errors import ModelError, SettingsError
from modgap.gap.run_data import is_snapshot
from modgap.models.loading.load import load_model
from modgap.models.loading.locate import named_revision
from modgap.models.loading.memory import estimate_memory
from modgap.ui.server.models import ModelChoice, ModelPool
from modgap.ui.server.operator_models import VARIABLE, model_options
from tests.evaluation.runs import make_manifest
from tests.families.makers import text_model
from tests.hub import HubCache
from tests.models.test_peft import make_adapter
from tests.tiny import make_clip, make_tiny_checkpoint


@pytest.fixture
def commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """``org/m`` in three revisions, of which the first is another model than the others."""
    hub = HubCache(tmp_path / "hub", monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    return {
        revision: hub.add("org/m", partial(make_tiny_checkpoint, layers=layers), revision)
        for revision, layers in {"main": 3, "v1": 4, "refs/pr/70": 4}.items()
    }


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("org/m@v1", ("org/m", "v1")),
        ("org/m@refs/pr/70", ("org/m", "refs/pr/70")),
        *((n, (n, None)) for n in ("org/m", "demo:lora@1", "org/m@", "/a/m@v1", "./m@v1", "m@v1")),
    ],
)
def test_what_carries_a_revision(name: str, parts: tuple[str, str | None]) -> None:
    assert named_revision(name) == parts


def test_a_folder_may_have_one_in_its_name(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "m@v1").symlink_to(tiny_folder)
    assert load_model("org/m@v1").identity == load_model(tiny_folder).identity


def test_a_name_with_a_revision(commits: dict[str, str]) -> None:
    for revision in ("v1", "refs/pr/70"):
        model = load_model(f"org/m@{revision}", device="cpu")
        assert (model.name, model.revision) == (f"org/m@{revision}", commits[revision])
        assert model.n_layers == 4
        assert model.identity == load_model("org/m", revision=revision, device="cpu").identity
    assert load_model("org/m", device="cpu").n_layers == 3
    assert estimate_memory("org/m@v1").n_layers == 4
    load_model("org/m@v1", revision="v1", device="cpu")
    with pytest.raises(ModelError, match="org/m@v1 names its revision"):
        load_model("org/m@v1", revision="main")


def test_the_explorer_takes_it(commits: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(["org/m", "org/m@v1"]))
    offered = model_options()
    found = [ModelPool().get(ModelChoice(offered[id].name)) for id in ("org/m", "org/m@v1")]
    assert [model.revision for model in found] == [commits["main"], commits["v1"]]


def test_a_revision_is_no_snapshot() -> None:
    # Pages and reports show the last of a training; what is on the way to it stays out.
    assert [is_snapshot(n) for n in ("demo:lora@1", "/runs/m@100", "m@1")] == [True] * 3
    assert [is_snapshot(n) for n in ("demo:adapter", "org/m", "org/m@v1")] == [False] * 3


# ---- commands with several models ----------------------------------------------------------------


def modgap(*words: Any) -> Any:
    return CliRunner().invoke(main.app, [str(word) for word in words])


@pytest.mark.parametrize(
    "command",
    [
        ("eval", "--data", "demo", "--out", "run"),
        ("compare-models", "--data", "demo"),
        ("table1",),
        ("words", "--data", "demo"),
    ],
)
@pytest.mark.parametrize(
    ("option", "says"),
    [(("--revision", "v1"), "org/name@revision"), (("--adapter", "tuned"), "adapter's folder")],
)
def test_an_option_of_one_model_is_refused_for_two(
    command: tuple[str, ...], option: tuple[str, str], says: str
) -> None:
    result = modgap(*command, *option, "--model", "org/m", "--model", "demo")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"modgap: error: {option[0]} goes with one model")
    assert says in result.stderr


def test_the_base_of_a_run_is_not_of_the_models_revision(
    commits: dict[str, str], tmp_path: Path, tiny_folder: Path
) -> None:
    make_manifest(tmp_path / "data", 2)
    base = text_model(tmp_path / "base")
    common = ("eval", "--data", "data/questions.jsonl", "--max-new-tokens", 2, "--device", "cpu")
    common = (*common, "--inputs", "text,base", "--base", base)
    result = modgap(*common, "--model", "org/m", "--revision", "v1", "--out", "one")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert record["models"]["org/m"]["revision"] == commits["v1"]
    adapter = make_adapter(tiny_folder, tmp_path / "tuned")
    result = modgap(*common, "--model", tiny_folder, "--adapter", adapter, "--out", "two")
    assert result.exit_code == 0, result.output
    both = ("--model", "org/m@v1", "--model", "org/m")
    result = modgap(*common, *both, "--out", "three")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "three" / "run.json").read_text())
    assert record["models"]["org/m@v1"]["revision"] == commits["v1"]
    assert record["models"]["org/m"]["revision"] == commits["main"]


def test_compare_models_and_pipeline(commits: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "clip.wav").write_bytes(make_clip(1.0).wav_bytes())
    clip = ("clip.wav", "--transcript", "what is it", "--max-new-tokens", 2)
    both = ("--model", "org/m@v1", "--model", "demo")
    result = modgap("compare-models", *clip, *both, "--out", "found")
    assert result.exit_code == 0, result.output
    assert "org/m@v1" in result.stdout
    result = modgap("pipeline", *clip, "--llm", "org/m@v1", "--revision", "v1")
    assert "--revision goes with one model" in result.stderr


def test_what_another_model_of_a_command_takes() -> None:
    how = ModelOptions(dtype="bfloat16", quantize="8bit", adapter=Path("a"), revision="v1")
    assert how.shared == {"dtype": "bfloat16", "device": "auto", "quantize": "8bit"}
    how.check(["one", "one"])
    with pytest.raises(SettingsError):
        how.check(["one", "two"])

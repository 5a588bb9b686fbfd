"""A family of one's own: a file, an installed package, a class; on every way that loads a model."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from typer.testing import CliRunner

import modgap
from examples.families.test_own_forward import FILE, make
from modgap.cli import main
from modgap.cli.app import plan
from modgap.core.errors import ModelError
from modgap.models.loading import registry
from modgap.models.loading.load import load_model
from modgap.models.loading.registry import named_family
from modgap.ui.server.models import ModelChoice
from tests.evaluation.runs import make_manifest
from tests.families.build import edit_json
from tests.tiny import make_clip

WORDS = "What is two plus three?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("own"))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    soundfile.write("clip.wav", make_clip(1.3).resample(16000), 16000)

    def go(*words: object, code: int = 0) -> Any:
        result = CliRunner().invoke(main.app, [str(w) for w in words])
        assert result.exit_code == code, result.output
        return result

    return go


def refused(**options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the commands -------------------------------------------------------------------------------


def test_analyze_and_intervene(run: Any, folder: Path) -> None:
    common = ["clip.wav", "--transcript", WORDS, "--model", folder, "--family", FILE]
    common += ["--max-new-tokens", "3", "--json"]
    found = json.loads(run("analyze", *common).stdout)
    assert found["model"]["model_type"] == "my_speech_model"
    assert found["model"]["family"] == "own_forward.py"
    edited = json.loads(run("intervene", *common, "--rule", "patch", "--tokens", "all").stdout)
    assert edited["answers"]["before"]["text"] == found["answers"]["speech"]
    assert edited["kl_before"] > 0


def test_eval_beside_a_family_of_the_package(
    run: Any, folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    """The file is for the model that it takes; the other, and the base, are what they are."""
    make_manifest(tmp_path / "data", 3)
    models = ["--model", folder, "--model", tiny_folder]
    run("eval", "--data", "data/questions.jsonl", *models, "--family", FILE,
        "--max-new-tokens", "2", "--out", "run")  # fmt: skip
    made = json.loads(Path("run/run.json").read_text())["models"]
    assert made[str(folder)]["model_type"] == "my_speech_model"
    assert made[str(tiny_folder)]["model_type"] == "qwen2_audio"
    run("controls", "--run", "run", "--model", folder, "--family", FILE, "--limit", "2")


def test_check_and_info(run: Any, folder: Path) -> None:
    found = json.loads(run("check", folder, "--family", FILE, "--device", "cpu", "--json",
                           "--no-listen").stdout)  # fmt: skip
    assert found["passed"]
    told = json.loads(run("models", "info", folder, "--family", FILE, "--json").stdout)
    assert told["model_type"] == "my_speech_model"
    assert told["seconds_per_position"] == 0.04
    assert "no adapter" in " ".join(run("models", "info", folder, code=2).output.split())


def test_the_app_gets_what_the_operator_named(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(FILE.parent)
    server = plan([str(folder)], families=[FILE.name], port=None)
    assert json.loads(server.environment["MODGAP_FAMILIES"]) == [str(FILE)]
    with pytest.raises(ModelError, match="no file gone"):
        plan(families=["gone.py"])
    assert "family" not in ModelChoice(str(folder)).options
    monkeypatch.setenv("MODGAP_FAMILIES", server.environment["MODGAP_FAMILIES"])
    assert load_model(str(folder), **ModelChoice(str(folder)).options).family == FILE.name


# ---- what is chosen, and what is refused --------------------------------------------------------


def test_a_class_does_as_well(folder: Path) -> None:
    adapter = named_family(FILE)
    model = load_model(folder, family=adapter)
    assert model.identity == load_model(folder, family=FILE).identity
    assert isinstance(model, modgap.SpeechLM)


def test_its_code_is_part_of_the_identity(folder: Path, tmp_path: Path) -> None:
    changed = tmp_path / "own_forward.py"
    changed.write_text(FILE.read_text().replace("np.hanning(hop)", "np.hamming(hop)"))
    before, after = load_model(folder, family=FILE), load_model(folder, family=changed)
    assert before.identity != after.identity
    # The same file, changed while the process lives, is run anew.
    shutil.copy(FILE, changed)
    assert load_model(folder, family=changed).identity == before.identity


def test_so_is_the_code_in_the_checkpoints_folder(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    before = load_model(folder, family=FILE).identity
    assert load_model(copy, family=FILE).identity == before
    (copy / "modeling_mine.py").write_text("one = 1\n")
    once = load_model(copy, family=FILE).identity
    (copy / "modeling_mine.py").write_text("one = 2\n")
    assert len({before, once, load_model(copy, family=FILE).identity}) == 3


def test_a_file_that_nobody_named_is_never_run(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    for name in ("my_speech_model.py", "modgap_family.py", "modeling_my_speech_model.py"):
        (copy / name).write_text("raise SystemExit('run')")
    edit_json(copy / "config.json", auto_map={"AutoModel": "modeling_my_speech_model.MyModel"})
    assert "--family FILE" in refused(name=copy)


def test_one_that_is_named_alone_has_to_take_the_model(folder: Path, tiny_folder: Path) -> None:
    said = refused(name=tiny_folder, family=FILE)
    assert "'qwen2_audio'" in said
    assert "'my_speech_model'" in said
    assert load_model(tiny_folder, family=(FILE,)).model_type == "qwen2_audio"


def test_it_may_say_by_itself_what_it_takes(tiny_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from modgap.models.families.qwen2_audio import Qwen2Audio\n"
        "class Mine(Qwen2Audio):\n"
        "    model_type = 'mine'\n"
        "    @classmethod\n"
        "    def takes(cls, config):\n"
        "        return 'audio_config' in config\n"
        "ADAPTER = Mine\n"
    )
    model = load_model(tiny_folder, family=file)
    assert (model.model_type, model.family) == ("mine", "mine.py")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 +", "SyntaxError"),
        ("import not_there_at_all", "ModuleNotFoundError"),
        ("raise SystemError('no\\nmore')", "SystemError: no"),
        ("", "ADAPTER"),
        ("ADAPTER = dict", "ADAPTER"),
        ("import modgap\nclass A(modgap.SpeechLM): pass\nADAPTER = A", "encode_audio"),
    ],
)
def test_files_that_hold_no_family(folder: Path, tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    said = refused(name=folder, family=file)
    assert "broken.py" in said
    assert says in said
    assert str(tmp_path) not in sys.path


def test_what_lies_beside_it_can_be_imported(folder: Path, tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path / "my_modeling_code.py")
    (tmp_path / "random.py").write_text("raise RuntimeError('not this one')")
    file = tmp_path / "mine.py"
    file.write_text("import random\nfrom my_modeling_code import MyFamily as ADAPTER\n")
    assert load_model(folder, family=file).model_type == "my_speech_model"


def test_an_installed_family(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By its entry point's name, a model type; those of the package stay the package's."""
    (tmp_path / "their_package.py").write_text(FILE.read_text())
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        importlib.metadata.EntryPoint(name, value, registry.GROUP)
        for name, value in (
            ("my_speech_model", "their_package:ADAPTER"),
            ("qwen2_audio", "their_package"),
            ("broken", "their_package:NOTHING"),
        )
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert load_model(folder).family == "their_package.py"
    assert registry.family_of("q", {"model_type": "qwen2_audio"}).__name__ == "Qwen2Audio"
    assert load_model(folder, family="qwen2_audio").model_type == "my_speech_model"
    assert "cannot be used" in refused(name=folder, family="broken")
    assert "installed: my_speech_model" in refused(name=folder, family="gone.py")
    from modgap.cli.families import list_families

    assert "my_speech_model" in {family.model_type for family in list_families()}


def test_a_pass_through_the_whole_forward(folder: Path) -> None:
    """Its states and cache are those of the decoder, its head is asked for one position."""
    model = load_model(folder, family=FILE)
    prompt = model.speech_prompt(make_clip(1.3), instruction="Say it.")
    asked: list[int] = []
    hook = model.head.register_forward_hook(lambda m, args, out: asked.append(out.shape[1]))
    with torch.no_grad():
        out = model.trunk(**prompt.inputs, use_cache=True)
        hook.remove()
        whole = model.hf(**prompt.inputs)
    assert asked == [1]
    assert torch.equal(model.head(out.last_hidden_state), whole.logits)
    assert out.past_key_values.get_seq_length() == prompt.length
    assert model.trunk(**prompt.inputs, use_cache=False).past_key_values is None

"""The fidelity report: what it finds right, and that it finds what is wrong."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from modgap.analysis.fidelity_checks import Check, compare, run_checks
from modgap.analysis.fidelity_report import (
    CheckReport,
    cached_report,
    check_model,
    from_record,
    to_record,
)
from modgap.cli import main
from modgap.core.errors import ModelError, SettingsError, StoreError
from modgap.models.base import SpeechLM
from modgap.models.families.qwen2_audio import Qwen2Audio
from modgap.models.loading import load as loading
from modgap.models.loading.hardware import Machine
from modgap.models.loading.load import load_model
from modgap.models.loading.reference import load_plain
from modgap.store.cache import Store
from modgap.store.record import Record
from tests.models.test_peft import make_adapter
from tests.tiny import make_clip, make_tiny_checkpoint

OWN = "logits: transformers' own forward"
ALONE = "logits: a model that transformers loads alone"
STATES = "hooked states: output_hidden_states"
KEEP = "prompts equal outside the spans (markers keep)"
DROP = "prompts equal outside the spans (markers drop)"
RESUMED = "edit, resumed: hooked"
WORDS = "What is two plus three?"


@pytest.fixture(scope="module")
def report(tiny_folder: Path) -> CheckReport:
    return check_model(tiny_folder, device="cpu")


def results(model: SpeechLM, fresh: Any = None, **changed: Any) -> dict[str, bool | None]:
    """Verdicts by name, the worse of both prompts; `changed` replaces parts of the pair."""
    pair = replace(model.prepare(make_clip(), WORDS), **changed)
    found: dict[str, bool | None] = {}
    for check in run_checks(model, (pair.speech, pair.text), pair, None, fresh):
        found[check.name] = check.passed if found.get(check.name, True) else False
    return found


def test_a_sound_model_passes(report: CheckReport) -> None:
    assert report.passed
    assert report.counts == (26, 0, 0)
    assert report.sentence == "all 26 checks passed (float32, bfloat16)"
    assert {c.dtype for c in report.checks} == {"float32", "bfloat16"}
    names = {c.name for c in report.checks}
    assert {OWN, ALONE, STATES, KEEP, DROP, RESUMED} < names
    for check in report.checks:
        assert check.epsilons is not None
        assert check.epsilons <= check.limit
    states = [c for c in report.checks if c.name == STATES]
    assert all(len(c.levels) == 5 for c in states)
    assert report.model["name"] != str(report.model["identity"])


@pytest.mark.parametrize("name", ["demo", "demo:lora"])
def test_the_embedded_models_pass(name: str) -> None:
    assert check_model(name, device="cpu").passed


def test_with_an_adapter(tiny_folder: Path, tmp_path: Path) -> None:
    found = check_model(make_adapter(tiny_folder, tmp_path / "tuned"), dtypes=("float32",))
    assert found.passed, found.to_dict()
    assert found.model["adapter"] == "tuned"
    assert [c.passed for c in found.checks if c.name == ALONE] == [True, True]


@pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None,
    reason="bitsandbytes is not installed: pip install bitsandbytes",
)
@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_with_quantized_weights(tmp_path: Path, quantize: str) -> None:
    folder = make_tiny_checkpoint(tmp_path, hidden=64)
    found = check_model(folder, dtypes=("bfloat16",), quantize=quantize, device="cpu")
    assert found.model["quantization"] == quantize
    assert found.counts[1] == 0, [c for c in found.checks if c.passed is False]


def test_with_a_device_map(tiny_folder: Path) -> None:
    assert check_model(tiny_folder, dtypes=("float32",), device_map={"": "cpu"}).passed


# ---- faults -------------------------------------------------------------------------------------


def test_a_layer_that_was_meddled_with(tiny_folder: Path) -> None:
    model = load_model(tiny_folder)
    fresh = load_plain(model, str(tiny_folder))
    assert results(model, fresh)[ALONE] is True
    model.layers[2].register_forward_hook(lambda m, a, out: out * 1.001)
    found = results(model, fresh)
    assert found[OWN] is True, "both go through the same layers"
    assert found[ALONE] is False
    assert found[STATES] is False


def test_weights_that_are_not_the_checkpoint_s(tiny_folder: Path) -> None:
    model = load_model(tiny_folder)
    fresh = load_plain(model, str(tiny_folder))
    with torch.no_grad():
        model.head.weight[3] += 1e-3
    assert results(model, fresh)[ALONE] is False


def test_layers_in_another_order(tiny_folder: Path) -> None:
    model = load_model(tiny_folder)
    model.layers = [model.layers[n] for n in (0, 2, 1, 3)]  # as an adapter might wrongly find them
    found = results(model)
    assert found[RESUMED] is False, "it fails in the middle of a pass, and says so"
    assert found[OWN] is True


def test_a_norm_that_is_not_the_last(tiny_folder: Path) -> None:
    model = load_model(tiny_folder)
    model.final_norm = model.layers[0].input_layernorm
    found = results(model)
    assert found[STATES] is False
    assert found[RESUMED] is False


def test_a_pass_that_knows_whether_it_is_resumed(tiny_folder: Path) -> None:
    model = load_model(tiny_folder)
    whole = model.prepare(make_clip(), WORDS).speech.length

    def differently(module: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
        return out if out.shape[1] == whole else out + 0.1

    model.layers[1].register_forward_hook(differently)
    found = results(model)
    assert found[RESUMED] is False
    assert found[OWN] is True


def test_logits_of_another_head(tiny_folder: Path) -> None:
    model = load_model(tiny_folder)
    model.head = torch.nn.Linear(32, model.head.weight.shape[0], bias=False)
    assert results(model)[OWN] is False


def test_prompts_that_differ(tiny_model: SpeechLM) -> None:
    pair = tiny_model.prepare(make_clip(), WORDS)
    ids = pair.text.inputs["input_ids"].clone()
    ids[0, 1] += 1
    other = replace(pair.text, inputs={"input_ids": ids})
    assert results(tiny_model, text=other)[KEEP] is False
    longer = tiny_model.text_prompt(WORDS, instruction="Also this.")
    assert results(tiny_model, text=longer)[KEEP] is False


class Scaled(Qwen2Audio):
    """A family whose text model scales the logits, which transformers' speech model forgets."""

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return super().logits(hidden) / 8


def test_a_scaling_that_transformers_leaves_out(tiny_model: SpeechLM) -> None:
    model = Scaled(tiny_model.hf, tiny_model.processor, name="s", revision=None, identity="0" * 64)
    pair = model.prepare(make_clip(), WORDS)
    checks = [
        c for c in run_checks(model, (pair.speech, pair.text), pair, None, None) if c.name == OWN
    ]
    assert all(c.passed for c in checks)
    assert all("scaling" in c.note for c in checks)


class Limited(Qwen2Audio):
    """A family that cannot be edited."""

    def support(self) -> dict[str, str | None]:
        return super().support() | {"edit": "its layers share keys", "markers_drop": "it has none"}


def test_what_a_family_cannot_do_is_not_run(tiny_model: SpeechLM) -> None:
    model = Limited(tiny_model.hf, tiny_model.processor, name="l", revision=None, identity="0" * 64)
    pair = model.prepare(make_clip(), WORDS)
    found = list(run_checks(model, (pair.speech, pair.text), pair, None, None, "no room"))
    notes = {c.name: c.note for c in found if c.passed is None}
    assert notes[RESUMED] == "its layers share keys"
    assert notes[DROP] == "it has none"
    assert notes[ALONE] == "no room"
    assert any(c.passed for c in found)
    assert not any(c.passed is False for c in found)


# ---- numbers ------------------------------------------------------------------------------------


def test_epsilons_by_hand() -> None:
    reference = torch.tensor([-4.0, 1.0])
    found = reference + torch.tensor([0.0, 2**-20])
    # float32: eps 2^-23, times the largest number 4: a unit of 2^-21.
    assert compare(found, reference, torch.float32) == (2**-20, 2.0)
    assert compare(reference, reference, torch.bfloat16) == (0.0, 0.0)
    assert compare(torch.zeros(2), torch.zeros(2), torch.float32) == (0.0, 0.0)
    for bad in (float("nan"), float("inf")):
        assert compare(torch.tensor([bad, 1.0]), reference, torch.float32)[1] == float("inf")
    assert compare(torch.zeros(3), reference, torch.float32)[1] == float("inf")


# ---- dtypes and memory --------------------------------------------------------------------------


def test_a_dtype_without_room_is_not_run(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sum(p.numel() for p in load_model(tiny_folder).hf.parameters())
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(3 * whole)))
    found = check_model(tiny_folder, device="cpu")
    assert found.passed
    (loading,) = (c for c in found.checks if c.name == "loading")
    assert "does not fit" in loading.note
    assert {c.dtype for c in found.checks if c.passed} == {"bfloat16"}
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(10)))
    with pytest.raises(ModelError, match="does not fit"):
        check_model(tiny_folder, device="cpu")


def test_no_room_for_a_second_model(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is free is asked once before loading, and again before the second model.
    whole = 4 * sum(p.numel() for p in load_model(tiny_folder).hf.parameters())
    free = iter((whole, whole - 1))
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(next(free))))
    found = check_model(tiny_folder, dtypes=("float32",), device="cpu")
    assert [c.note for c in found.checks if c.name == ALONE] == [
        "no room for a second model (memory)"
    ] * 2
    assert found.passed


def test_no_dtypes(tiny_folder: Path) -> None:
    with pytest.raises(SettingsError):
        check_model(tiny_folder, dtypes=())


# ---- kept ---------------------------------------------------------------------------------------


def test_a_report_is_kept_by_content(
    tiny_folder: Path, tiny_model: SpeechLM, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    assert cached_report(tiny_model.identity, "cpu", store) is None
    first = check_model(tiny_folder, store=store, device="cpu")
    again = check_model(tiny_folder, store=store, device="cpu")
    assert again == replace(first, from_cache=True)
    assert cached_report(tiny_model.identity, "cpu", store) == again
    assert cached_report(tiny_model.identity, "cuda", store) is None
    assert cached_report("0" * 64, "cpu", store) is None
    assert len(store.keys()) == 1
    own = check_model(
        tiny_folder,
        store=store,
        device="cpu",
        dtypes=("float32",),
        clip=make_clip(),
        transcript="a b",
    )
    assert len(store.keys()) == 1, "what was checked on another clip is not the model's report"
    assert own.passed


def test_a_report_of_one_dtype_is_found(tiny_folder: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = check_model(tiny_folder, store=store, device="cpu", dtypes=("bfloat16",))
    found = cached_report(made.model["identity"], "cpu", store)
    assert found is not None
    assert found.checks == made.checks


def test_records(report: CheckReport) -> None:
    assert from_record(to_record(report)) == report
    json.dumps(report.to_dict(), allow_nan=False)
    for meta in ({}, {"checks": [{}]}, {**report.to_dict(), "checks": [{"nonsense": 1}]}):
        with pytest.raises(StoreError):
            from_record(Record(meta=meta))


def test_a_failed_check_in_words(report: CheckReport) -> None:
    bad = Check("x", "speech", "float32", float("inf"), float("inf"), 2.0, False)
    found = replace(report, checks=(*report.checks[:3], bad, Check("y", "both", "float32")))
    assert not found.passed
    assert found.sentence == "1 of 4 checks failed (float32), 1 not run"
    assert found.to_dict()["checks"][3]["difference"] is None
    assert not replace(report, checks=()).passed


# ---- command line -------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MODGAP_CACHE", raising=False)
    return tmp_path


def run(*args: Any) -> Any:
    return CliRunner().invoke(main.app, [str(a) for a in args])


def test_the_command(place: Path, tiny_folder: Path) -> None:
    result = run("check", tiny_folder, "--dtype", "float32", "--no-listen")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "transformers" in lines[0]
    assert "from the cache" not in lines[0]
    assert lines[-1] == "all 13 checks passed (float32)"
    assert "FAIL" not in result.stdout
    options = ("--dtype", "float32", "--no-listen")
    again = run("check", tiny_folder, *options, "--json", "--out", "kept.json")
    found = json.loads(again.stdout, parse_constant=pytest.fail)
    assert json.loads((place / "kept.json").read_text()) == found
    assert found["passed"] is True
    assert found["listening"] is None
    assert len(found["checks"]) == 13
    assert "from the cache" in run("check", tiny_folder, *options).stdout


def test_a_failed_check_is_exit_code_1(
    place: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = loading.load_quietly

    def meddled(name: str, **options: Any) -> SpeechLM:
        model = load(name, **options)
        model.layers[1].register_forward_hook(lambda m, a, out: out * 1.01)
        return model

    monkeypatch.setattr(loading, "load_quietly", meddled)
    result = run("check", tiny_folder, "--dtype", "float32", "--no-cache", "--no-listen")
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    assert "checks failed (float32)" in result.stdout
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    "args",
    [["nowhere"], ["demo", "--clip", "x.wav"], ["demo", "--dtype", "int4"], []],
    ids=str,
)
def test_what_the_command_refuses(place: Path, args: list[str]) -> None:
    result = run("check", *args)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_another_clip(place: Path, tiny_folder: Path) -> None:
    (place / "clip.wav").write_bytes(make_clip(0.8).wav_bytes())
    words = ["--clip", "clip.wav", "--transcript", "one two", "--dtype", "float32", "--no-listen"]
    assert run("check", tiny_folder, *words).exit_code == 0

"""PEFT adapters on a base, against peft's own model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Qwen2AudioForConditionalGeneration

from modgap.core.errors import ModelError
from modgap.interventions.prefill import Prefill
from modgap.models.base import SpeechLM
from modgap.models.loading.load import load_model
from modgap.models.loading.memory import estimate_memory
from modgap.models.loading.reference import load_plain
from tests.tiny import make_clip

TARGETS = r".*language_model.*\.(q_proj|v_proj|down_proj)"


def make_adapter(base: Path, folder: Path, *, seed: int = 0, **options: Any) -> Path:
    """Save a LoRA adapter with random weights (fresh ones would change nothing)."""
    hf = Qwen2AudioForConditionalGeneration.from_pretrained(base)
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": TARGETS, **options})
    wrapped = get_peft_model(hf, config)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                weight.copy_(torch.randn(weight.shape, generator=rng) * 0.15)
    wrapped.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tiny_folder, tmp_path_factory.mktemp("adapter") / "tuned")


@pytest.fixture
def copy(adapter: Path, tmp_path: Path) -> Path:
    """An adapter to damage."""
    return Path(shutil.copytree(adapter, tmp_path / "copy"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def prompts(model: SpeechLM) -> Any:
    return model.prepare(make_clip(), "What is two plus three?", instruction="Say it.")


def logits(model: SpeechLM, prompt: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(model.trunk(**prompt.inputs).last_hidden_state)


@pytest.mark.parametrize(
    "options", [{}, {"modules_to_save": ["lm_head"]}, {"use_dora": True, "use_rslora": True}]
)
def test_logits_are_those_of_peft(
    tiny_folder: Path, tiny_model: SpeechLM, tmp_path: Path, options: dict[str, Any]
) -> None:
    folder = make_adapter(tiny_folder, tmp_path / "tuned", **options)
    model = load_model(folder)
    plain = Qwen2AudioForConditionalGeneration.from_pretrained(tiny_folder)
    reference = PeftModel.from_pretrained(plain, folder).eval()
    pair = prompts(model)
    for prompt in (pair.speech, pair.text):
        with torch.no_grad():
            expected = reference(**prompt.inputs).logits
        torch.testing.assert_close(logits(model, prompt), expected, rtol=1e-5, atol=1e-5)
        assert (logits(tiny_model, prompt) - expected).abs().max() > 0.1


def test_everything_else_works_on_it(adapter: Path) -> None:
    model = load_model(adapter)
    assert model.adapter == "tuned"
    assert model.info()["adapter"] == "tuned"
    assert type(model.hf) is Qwen2AudioForConditionalGeneration
    assert not any(p.requires_grad for p in model.hf.parameters())
    pair = prompts(model)
    runs = Prefill.of(model, pair)
    torch.testing.assert_close(runs.logits[0], logits(model, pair.speech)[0, -1])
    reference = PeftModel.from_pretrained(
        Qwen2AudioForConditionalGeneration.from_pretrained(model.hf.config._name_or_path), adapter
    ).eval()
    made = reference.generate(**pair.speech.inputs, max_new_tokens=6, do_sample=False)
    assert list(model.generate(pair.speech, max_new_tokens=6).token_ids) == (
        made[0, pair.speech.length :].tolist()
    )


def test_base_and_adapter_named_apart(
    adapter: Path, tiny_folder: Path, copy: Path, tiny_model: SpeechLM
) -> None:
    found = load_model(adapter)
    change(copy / "adapter_config.json", base_model_name_or_path="somewhere/else")
    apart = load_model(tiny_folder, adapter=copy)
    assert apart.identity == found.identity != tiny_model.identity
    pair = prompts(apart)
    assert torch.equal(logits(apart, pair.speech), logits(found, pair.speech))


def test_a_base_beside_the_adapter(tiny_folder: Path, copy: Path) -> None:
    shutil.copytree(tiny_folder, copy.parent / "base")
    change(copy / "adapter_config.json", base_model_name_or_path="../base")
    assert load_model(copy).adapter == "copy"


def test_identity_is_of_the_content(adapter: Path, copy: Path) -> None:
    first = load_model(adapter).identity
    change(copy / "adapter_config.json", inference_mode=False, peft_version="0.1")
    assert load_model(copy).identity == first
    change(copy / "adapter_config.json", lora_alpha=9)
    second = load_model(copy).identity
    assert second != first
    weights = load_file(copy / "adapter_model.safetensors")
    weights[min(weights)] += 1e-3
    save_file(weights, copy / "adapter_model.safetensors", metadata={"format": "pt"})
    assert load_model(copy).identity not in (first, second)


def test_the_estimate_counts_the_adapter(adapter: Path, tiny_folder: Path) -> None:
    found, base = estimate_memory(adapter), estimate_memory(tiny_folder)
    assert found.weights == base.weights
    assert found.adapter == (adapter / "adapter_model.safetensors").stat().st_size
    assert found.total == base.total + found.adapter


@pytest.mark.parametrize(
    "targets",
    [
        r"^language_model\.model.*\.(q_proj|v_proj|down_proj)$",  # as ms-swift writes it
        r"^(language_model(?=\.).*\.(q_proj|v_proj|down_proj))$",
    ],
)
def test_an_adapter_made_under_transformers_4(adapter: Path, copy: Path, targets: str) -> None:
    path = copy / "adapter_model.safetensors"
    new, old = "base_model.model.model.language_model.", "base_model.model.language_model.model."
    weights = {k.replace(new, old): v for k, v in load_file(path).items()}
    assert all(k.startswith(old) for k in weights)
    save_file(weights, path, metadata={"format": "pt"})
    change(copy / "adapter_config.json", target_modules=targets)
    expected, found = load_model(adapter), load_model(copy)
    pair = prompts(expected)
    for prompt in (pair.speech, pair.text):
        assert torch.equal(logits(found, prompt), logits(expected, prompt))
    plain = load_plain(found, str(copy), dtype="float32", device="cpu")
    with torch.no_grad():
        theirs = plain(**pair.speech.inputs).logits
    torch.testing.assert_close(logits(found, pair.speech), theirs, rtol=1e-5, atol=1e-5)


def test_what_such_an_adapter_leaves_out_stays_out(copy: Path) -> None:
    path = copy / "adapter_model.safetensors"
    kept = {k: v for k, v in load_file(path).items() if ".layers.0." not in k}
    save_file(kept, path, metadata={"format": "pt"})
    change(
        copy / "adapter_config.json",
        target_modules=r"^language_model\.model.*\.(q_proj|v_proj|down_proj)$",
        exclude_modules=r"language_model\.model\.layers\.0\..*",
    )
    names = [name for name, _ in load_model(copy).hf.named_parameters() if "lora_A" in name]
    assert names
    assert not any(".layers.0." in name for name in names)


def test_names_that_the_encoder_has_too(tiny_folder: Path, adapter: Path, copy: Path) -> None:
    """Bare names for the layers, weights for the decoder's alone: the rest stays as it was."""
    change(copy / "adapter_config.json", target_modules=["q_proj", "v_proj", "down_proj"])
    expected, found = load_model(adapter), load_model(copy)
    assert not any("lora" in n for n, _ in found.hf.model.audio_tower.named_parameters())
    reference = PeftModel.from_pretrained(
        Qwen2AudioForConditionalGeneration.from_pretrained(tiny_folder), copy
    ).eval()
    pair = prompts(expected)
    for prompt in (pair.speech, pair.text):
        assert torch.equal(logits(found, prompt), logits(expected, prompt))
        with torch.no_grad():
            theirs = reference(**prompt.inputs).logits
        torch.testing.assert_close(logits(found, prompt), theirs, rtol=1e-5, atol=1e-5)


# ---- refusals -----------------------------------------------------------------------------------


def refused(name: Any, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(name, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_no_adapter_there(tiny_folder: Path, tmp_path: Path, adapter: Path) -> None:
    assert "adapter_config.json" in refused(tiny_folder, adapter=tmp_path)
    assert "adapter itself" in refused(adapter, adapter=adapter)


def test_damaged_files(copy: Path) -> None:
    for text in ("", "[]", "{}", '{"peft_type"'):
        (copy / "adapter_config.json").write_text(text)
        assert "damaged" in refused(copy)


def test_damaged_weights(copy: Path) -> None:
    path = copy / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    refused(copy)


def test_pickled_weights_are_not_loaded(copy: Path) -> None:
    weights = load_file(copy / "adapter_model.safetensors")
    torch.save(weights, copy / "adapter_model.bin")
    (copy / "adapter_model.safetensors").unlink()
    assert "safetensors" in refused(copy)


def test_a_base_that_is_not_here(copy: Path) -> None:
    change(copy / "adapter_config.json", base_model_name_or_path="./gone/base")
    assert "no folder" in refused(copy)
    change(copy / "adapter_config.json", base_model_name_or_path=None)
    assert "--adapter" in refused(copy)


@pytest.mark.parametrize("what", ["missing", "more", "renamed", "shape", "targets", "unknown"])
def test_an_adapter_of_another_model(copy: Path, what: str) -> None:
    path = copy / "adapter_model.safetensors"
    weights = load_file(path)
    first = min(weights)
    if what == "missing":
        del weights[first]
    elif what == "more":
        weights["base_model.model.other.lora_A.weight"] = torch.zeros(2, 2)
    elif what == "renamed":
        weights = {k.replace("language_model", "tongue_model"): v for k, v in weights.items()}
    elif what == "shape":
        weights[first] = torch.zeros(4, 7)
    elif what == "targets":
        change(copy / "adapter_config.json", target_modules=["nothing_like_it"])
    else:
        change(copy / "adapter_config.json", peft_type="TELEPATHY")
    save_file(weights, path, metadata={"format": "pt"})
    assert "fit" in refused(copy)


def test_adapters_of_the_prompt(tiny_folder: Path, copy: Path) -> None:
    config = PrefixTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    change(copy / "adapter_config.json", peft_type=config.peft_type.value)
    assert "PREFIX_TUNING" in refused(copy)

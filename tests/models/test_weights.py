"""Weights that are not those of the model, and where weights go on their way."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from modgap.core.errors import ModelError
from modgap.models.loading import load as loading
from modgap.models.loading.load import load_model, straight_to
from modgap.models.loading.sizes import Machine
from modgap.models.weights import homeless
from modgap.speech.whisper import load_whisper
from tests.families.build import edit_json
from tests.families.makers import text_model
from tests.tiny_whisper import make_tiny_whisper


@pytest.fixture
def qwen2(tmp_path: Path) -> Path:
    """A text model whose layers have biases."""
    return text_model(tmp_path / "qwen2")


def with_more(folder: Path, **more: torch.Tensor) -> Path:
    path = folder / "model.safetensors"
    save_file({**load_file(path), **more}, path, metadata={"format": "pt"})
    return folder


def refused(folder: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_qwen2_that_says_it_is_a_llama(qwen2: Path) -> None:
    """transformers would leave out every bias of q, k and v, and say so in a log at most."""
    edit_json(qwen2 / "config.json", model_type="llama", architectures=["LlamaForCausalLM"])
    said = refused(qwen2)
    assert "model.layers.0.self_attn.k_proj.bias" in said
    assert "(9, for example" in said  # three layers of three
    assert "config.json" in said


def test_more_layers_than_the_config_says(qwen2: Path) -> None:
    edit_json(qwen2 / "config.json", num_hidden_layers=2, layer_types=["full_attention"] * 2)
    assert "model.layers.2." in refused(qwen2)


def test_a_speech_models_decoder(tiny_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_folder, tmp_path / "copy"))
    name = "language_model.model.layers.1.self_attn.o_proj.bias"
    with_more(copy, **{name: torch.zeros(32)})
    assert "o_proj.bias" in refused(copy)


def test_a_composites_parts(family_folder: Callable[[str], Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(family_folder("modgap_composite"), tmp_path / "copy"))
    with_more(copy / "encoder", **{"model.encoder.layers.0.adapter.weight": torch.zeros(2)})
    assert "layers.0.adapter.weight" in refused(copy)
    shutil.rmtree(copy)
    shutil.copytree(family_folder("modgap_composite"), copy)
    with_more(copy / "llm", **{"model.layers.0.self_attn.o_proj.bias": torch.zeros(32)})
    assert "llm.model.layers.0.self_attn.o_proj.bias" in refused(copy)


def test_a_recogniser(tmp_path: Path) -> None:
    folder = make_tiny_whisper(tmp_path / "whisper")
    path = folder / "model.safetensors"
    weights = load_file(path)
    with_more(folder, **{"model.decoder.layers.0.gate.weight": torch.zeros(2)})
    with pytest.raises(ModelError, match=r"no place for.*layers\.0\.gate"):
        load_whisper(str(folder))
    del weights["model.decoder.layers.0.fc1.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights.*fc1"):
        load_whisper(str(folder))


def test_what_a_model_leaves_out_on_purpose(qwen2: Path) -> None:
    model = load_model(qwen2).hf
    for name in (
        "talker.layers.0.q_proj.weight",
        "score.weight",
        "model.rotary_emb.inv_freq",  # it computes that itself
    ):
        assert homeless(model, [name]) == []
    for name in ("model.layers.9.mlp.up_proj.weight", "model.norm.bias", "lm_head.bias"):
        assert homeless(model, [name]) == [name]
    with_more(qwen2, **{"talker.layers.0.weight": torch.zeros(2)})
    load_model(qwen2)


# ---- where they go ------------------------------------------------------------------------------


class Asked(Exception):
    """What from_pretrained was asked for."""


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU that is not there, up to the moment when weights would be read."""
    gpu = torch.device("cuda:0")
    monkeypatch.setattr(loading, "device_of", lambda _: gpu)

    def stop(where: str, **options: Any) -> Any:
        raise Asked(options)

    family = loading.family_of("tiny", {"model_type": "qwen2_audio"})
    monkeypatch.setattr(family, "load_weights", stop)
    return gpu


def asked(folder: Path, **options: Any) -> dict[str, Any]:
    with pytest.raises(ModelError) as caught:
        load_model(folder, **options)
    cause = caught.value.__cause__
    assert isinstance(cause, Asked), caught.value
    return cause.args[0]


def test_weights_for_a_gpu_go_straight_there(tiny_folder: Path, cuda: torch.device) -> None:
    found = asked(tiny_folder)
    assert found["device_map"] == {"": cuda}
    assert found["dtype"] == torch.bfloat16
    assert asked(tiny_folder, device_map="auto")["device_map"] == "auto"


def test_without_accelerate_the_cpu_must_hold_them(
    tiny_folder: Path, cuda: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "accelerate" else real(name)
    )
    assert asked(tiny_folder)["device_map"] is None
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: cls(1000)))
    with pytest.raises(ModelError, match="does not fit into memory"):
        load_model(tiny_folder)


def test_on_the_cpu_nothing_is_mapped(tiny_folder: Path) -> None:
    assert straight_to(torch.device("cpu")) is None
    assert straight_to(torch.device("cpu"), "8bit") == {"": torch.device("cpu")}
    mapped = load_model(tiny_folder, device_map={"": torch.device("cpu")})
    plain = load_model(tiny_folder)
    assert json.dumps(mapped.info()) == json.dumps(plain.info())
    prompt = plain.text_prompt("two")
    with torch.no_grad():
        assert torch.equal(mapped.hf(**prompt.inputs).logits, plain.hf(**prompt.inputs).logits)

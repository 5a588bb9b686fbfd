"""Weights in 8 and 4 bits: what is asked of bitsandbytes, and what is said without it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from modgap.analysis.functions import analyze
from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.loading import quantized
from modgap.models.loading.load import load_model
from modgap.models.loading.memory import estimate_memory
from tests.tiny import make_clip, make_tiny_checkpoint

HAS_BNB = importlib.util.find_spec("bitsandbytes") is not None
needs_bnb = pytest.mark.skipif(
    not HAS_BNB, reason="bitsandbytes is not installed: pip install bitsandbytes"
)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint whose widths are multiples of 64, which 4 bits want."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("wide"), hidden=64)


@pytest.mark.skipif(HAS_BNB, reason="bitsandbytes is installed")
@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_without_bitsandbytes(tiny_folder: Path, quantize: str) -> None:
    with pytest.raises(ModelError, match="pip install bitsandbytes"):
        load_model(tiny_folder, quantize=quantize)


def test_unknown_ways(tiny_folder: Path) -> None:
    for quantize in ("3bit", "int8", ""):
        with pytest.raises(ModelError, match="8bit or 4bit"):
            load_model(tiny_folder, quantize=quantize)


def test_devices_that_it_has_nothing_for(monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(supported_torch_devices={"cuda"}, __spec__=object())
    monkeypatch.setitem(sys.modules, "bitsandbytes", library)  # as older releases say it
    with pytest.raises(ModelError, match="nothing for cpu devices"):
        quantized.check_quantize("4bit", torch.device("cpu"))
    quantized.check_quantize("4bit", torch.device("cuda"))
    quantized.check_quantize("4bit", None)


def test_a_library_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bitsandbytes.py").write_text("raise RuntimeError('CUDA driver too old')")
    monkeypatch.delitem(sys.modules, "bitsandbytes", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError, match="installed but cannot be used"):
        quantized.check_quantize("8bit", torch.device("cpu"))


def plain(folder: Path, **options: Any) -> Any:
    """What transformers itself makes of it."""
    return transformers.Qwen2AudioForConditionalGeneration.from_pretrained(
        folder,
        dtype=torch.bfloat16,
        device_map={"": "cpu"},
        quantization_config=transformers.BitsAndBytesConfig(**options),
    ).eval()


OPTIONS: dict[str, dict[str, Any]] = {
    "8bit": {"load_in_8bit": True},
    "4bit": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": torch.bfloat16,
    },
}


@needs_bnb
@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_logits_are_those_of_transformers(wide: Path, quantize: str) -> None:
    model = load_model(wide, dtype="bfloat16", device="cpu", quantize=quantize)
    whole = load_model(wide, dtype="bfloat16", device="cpu")
    reference = plain(wide, **OPTIONS[quantize])
    assert model.dtype == torch.bfloat16
    pair = model.prepare(make_clip(), "What is two plus three?")
    for prompt in (pair.speech, pair.text):
        with torch.no_grad():
            expected = reference(**prompt.inputs).logits
            found = model.logits(model.trunk(**prompt.inputs).last_hidden_state)
            exact = whole.logits(whole.trunk(**prompt.inputs).last_hidden_state)
        assert torch.equal(found, expected)
        assert not torch.equal(found, exact)


@needs_bnb
@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_it_is_part_of_identity_and_record(wide: Path, quantize: str) -> None:
    model = load_model(wide, dtype="bfloat16", device="cpu", quantize=quantize)
    whole = load_model(wide, dtype="bfloat16", device="cpu")
    assert model.identity != whole.identity
    assert model.info()["quantization"] == quantize
    assert whole.info()["quantization"] is None
    found = analyze(model, make_clip(), "What is two?", max_new_tokens=2)
    assert found.model["quantization"] == quantize
    assert found.to_dict()["model"]["quantization"] == quantize
    other = analyze(whole, make_clip(), "What is two?", max_new_tokens=2)
    assert found.key != other.key


@needs_bnb
@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_the_estimate_is_what_is_held(wide: Path, quantize: str) -> None:
    model = load_model(wide, dtype="bfloat16", device="cpu", quantize=quantize)
    found = estimate_memory(wide, dtype="bfloat16", quantize=quantize)
    held = sum(p.numel() * p.element_size() for p in model.hf.parameters())
    for module in model.hf.modules():  # and the scales, which are no parameters
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        scale = getattr(getattr(module, "weight", None), "SCB", None)
        held += 0 if state is None else state.absmax.numel() * state.absmax.element_size()
        held += 0 if scale is None else scale.numel() * scale.element_size()
    assert found.weights == held
    assert found.weights == found.ways[quantize]


@needs_bnb
def test_4_bits_on_a_cpu_want_whole_blocks(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="multiple of 64"):
        load_model(tiny_folder, dtype="bfloat16", device="cpu", quantize="4bit")


@needs_bnb
def test_an_adapter_on_quantized_weights(wide: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    from tests.models.test_peft import make_adapter

    adapter = make_adapter(wide, tmp_path / "tuned")
    model = load_model(adapter, dtype="bfloat16", device="cpu", quantize="8bit")
    reference = PeftModel.from_pretrained(plain(wide, load_in_8bit=True), adapter).eval()
    prompt = model.prepare(make_clip(), "What is two?").speech
    with torch.no_grad():
        expected = reference(**prompt.inputs).logits
        found = model.logits(model.trunk(**prompt.inputs).last_hidden_state)
    assert torch.equal(found, expected)


def test_whole_weights_are_unmarked(tiny_model: SpeechLM) -> None:
    assert tiny_model.info()["quantization"] is None
    assert tiny_model.info()["adapter"] is None

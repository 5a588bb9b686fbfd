"""A Llama out of GGUF: weights against transformers' own reader, the tokenizer against a rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from modgap.core.errors import ModelError
from modgap.models.bases import from_gguf
from tests.models.bases.releases import write_gguf


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A tiny random model, quantized as SmolLM2's file is."""
    return write_gguf(tmp_path / "tiny.gguf")


def test_weights_are_what_transformers_reads(file: Path, tmp_path: Path) -> None:
    out = from_gguf.convert(file, tmp_path / "out")
    ours = AutoModelForCausalLM.from_pretrained(out)
    theirs = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    assert ours.dtype == torch.bfloat16
    a, b = ours.state_dict(), theirs.state_dict()
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name].to(torch.bfloat16), rtol=0, atol=0)
    assert ours.config.rms_norm_eps == pytest.approx(theirs.config.rms_norm_eps)
    for name in ("num_key_value_heads", "hidden_size", "eos_token_id"):
        assert getattr(ours.config, name) == getattr(theirs.config, name), name
    assert ours.config.rope_parameters["rope_theta"] == 100_000.0


def test_a_quantized_block_by_hand(file: Path, tmp_path: Path) -> None:
    """Q4_1: 32 numbers are d q + m, d and m in float16, the first 16 q in the low halves."""
    import gguf

    out = from_gguf.convert(file, tmp_path / "out")
    weight = AutoModelForCausalLM.from_pretrained(out).state_dict()[
        "model.layers.0.mlp.gate_proj.weight"
    ]
    tensors = {t.name: t for t in gguf.GGUFReader(file).tensors}
    block = tensors["blk.0.ffn_gate.weight"].data.reshape(-1)[:20].astype(np.uint8)
    d, m = block[:4].view(np.float16).astype(np.float64)
    q = np.concatenate([block[4:] & 15, block[4:] >> 4])
    found = weight[0, :32].double().numpy()
    # bfloat16 keeps eight bits of a number; a step of the quantization is far larger.
    np.testing.assert_allclose(found, d * q + m, rtol=2**-8)
    assert np.abs(found - (d * q + m)).max() < d / 10


def test_the_tokenizer_takes_digits_one_by_one(file: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(from_gguf.convert(file, tmp_path / "out"))
    assert tokenizer.tokenize("the 12<|im_end|>") == ["the", "Ġ", "1", "2", "<|im_end|>"]
    assert tokenizer.decode(tokenizer("the 12!")["input_ids"]) == "the 12!"
    assert tokenizer.eos_token == "<|im_end|>"
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "the"}], tokenize=False)
    assert asked == "<|im_start|>the<|im_end|>"


def test_other_files_are_told(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:200])
    with pytest.raises(ModelError, match="get it again"):
        from_gguf.convert(file, tmp_path / "out")
    file.write_bytes(data.replace(b"smollm", b"qwen22", 1))
    with pytest.raises(ModelError, match="only SmolLM's"):
        from_gguf.convert(file, tmp_path / "out")

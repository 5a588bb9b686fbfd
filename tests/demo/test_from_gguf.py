"""A Llama out of GGUF: weights against transformers' own reader, the tokenizer against a rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoModelForCausalLM, AutoTokenizer

from modgap.core.errors import ModelError
from modgap.demo import from_gguf

gguf = pytest.importorskip("gguf")

WIDTH, LAYERS, HEADS, KV, INNER = 64, 2, 4, 2, 96
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A tiny random model, quantized as SmolLM2's file is."""
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*special, *sorted(ByteLevel.alphabet()), "th", "the", "12"]
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_rope_freq_base(100_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(special) + [1] * (len(tokens) - len(special)))
    writer.add_token_merges(["t h", "th e", "1 2"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    rng = np.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), WIDTH), "output_norm": (WIDTH,)}
    for i in range(LAYERS):
        key = WIDTH * KV // HEADS
        shapes |= {
            f"blk.{i}.attn_norm": (WIDTH,), f"blk.{i}.ffn_norm": (WIDTH,),
            f"blk.{i}.attn_q": (WIDTH, WIDTH), f"blk.{i}.attn_k": (key, WIDTH),
            f"blk.{i}.attn_v": (key, WIDTH), f"blk.{i}.attn_output": (WIDTH, WIDTH),
            f"blk.{i}.ffn_gate": (INNER, WIDTH), f"blk.{i}.ffn_up": (INNER, WIDTH),
            f"blk.{i}.ffn_down": (WIDTH, INNER),
        }  # fmt: skip
    kinds = gguf.GGMLQuantizationType
    for name, shape in shapes.items():
        values = rng.normal(0.0, 0.3, shape).astype(np.float32)
        kind = kinds.F32 if len(shape) == 1 else kinds.Q4_1
        kind = kinds.Q8_0 if name == "token_embd" else kind
        data = values if kind == kinds.F32 else gguf.quants.quantize(values, kind)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


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
    with pytest.raises(ModelError, match="fetch it again"):
        from_gguf.convert(file, tmp_path / "out")
    file.write_bytes(data.replace(b"smollm", b"qwen22", 1))
    with pytest.raises(ModelError, match="only SmolLM's"):
        from_gguf.convert(file, tmp_path / "out")

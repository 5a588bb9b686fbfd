"""Parts of a tiny random checkpoint: a tokenizer, a text model's settings, weights; and a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from modgap.audio.clip import Clip, load_clip

#: What the tokenizer learns its merges from.
SENTENCES = [
    "You are a helpful assistant.",
    "system user assistant Audio 1: ",
    "What is the capital of France? The capital of France is Paris.",
    "Which number comes after the one you hear?",
    "The quick brown fox jumps over the lazy dog. The answer is B.",
    "What is two plus three? Two plus three is five.",
]
LLM = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}


def make_tokenizer(special: list[str], eos: str, pad: str | None = None) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a family's special tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=400,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=special,
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=pad or eos,
        eos_token=eos,
        additional_special_tokens=[t for t in special if t not in (eos, pad)],
        clean_up_tokenization_spaces=False,
    )


def text_config(tokenizer: Any, **more: Any) -> dict[str, Any]:
    """Settings of a text model, 32 wide, with the tokenizer's ids; `more` overrides them."""
    return {
        **LLM,
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **more,
    }


def fill(model: Any, seed: int = 0, std: float = 0.15) -> Any:
    """Random weights that are far enough from zero for edits to show."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=rng) * std
            norm = "norm" in name.rsplit(".", 2)[-2] and name.endswith("weight")
            weight.copy_(1 + noise if norm else noise)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.fill_(1.0)
    return model.eval()


def save(folder: Path, model: Any, tokenizer: Any, extractor: Any = None) -> Path:
    """Config, weights, tokenizer, and the extractor's settings."""
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(folder)
    if extractor is not None:
        extractor.save_pretrained(folder)
    return folder


def make_clip(seconds: float = 1.5, *, rate: int = 16000, seed: int = 0) -> Clip:
    """Make a clip that changes all the time: gliding tones under an envelope, and some noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    tones = sum(
        np.sin(2 * np.pi * (f * t + rng.uniform(20, 90) * t**2)) for f in rng.uniform(120, 1200, 4)
    )
    wave = 0.1 * tones * (1 + np.sin(2 * np.pi * 3 * t + seed)) + 0.01 * rng.standard_normal(len(t))
    return load_clip(wave.astype(np.float32), rate=rate, name=f"tones-{seed}")

"""What the tiny checkpoints share: a tokenizer, random weights, folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

from tests.tiny import SENTENCES

MELS, WINDOW = 16, 10
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


def llm(tokenizer: Any, **more: Any) -> dict[str, Any]:
    """The text model's settings."""
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


def whisper_features(**more: Any) -> WhisperFeatureExtractor:
    """Mel features in windows of 10 s."""
    return WhisperFeatureExtractor(feature_size=MELS, chunk_length=WINDOW, **more)


def edit_json(path: Path, **values: Any) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

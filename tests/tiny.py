"""A tiny random Qwen2-Audio checkpoint, saved as a user's folder would be."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    WhisperFeatureExtractor,
)

from modgap.testing.tiny import SENTENCES, make_clip
from modgap.testing.tiny import make_tokenizer as made_tokenizer

__all__ = ["SENTENCES", "make_clip", "make_tiny_checkpoint", "make_tokenizer"]

# The template of the released checkpoints (transformers' processing_qwen2_audio.py), Apache-2.0.
CHAT_TEMPLATE = (
    "{% set audio_count = namespace(value=0) %}{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}"
    "{% if 'audio' in content or 'audio_url' in content or message['type'] == 'audio'"
    " or content['type'] == 'audio' %}"
    "{% set audio_count.value = audio_count.value + 1 %}"
    "Audio {{ audio_count.value }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
AUDIO = ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the special tokens of Qwen2-Audio."""
    return made_tokenizer(SPECIAL + AUDIO, "<|im_end|>", "<|endoftext|>")


def make_tiny_checkpoint(
    folder: str | Path,
    seed: int = 0,
    *,
    chunk_length: int = 10,
    dtype: torch.dtype = torch.float32,
    hidden: int = 32,
    layers: int = 4,
    encoder_layers: int = 2,
    mels: int = 16,
) -> Path:
    """Save a random checkpoint that takes clips of up to `chunk_length` seconds.

    The weights have a standard deviation of 0.15, without which every token would be as likely as
    any other and edits of the hidden states would look inert.
    """
    tokenizer = make_tokenizer()
    audio_id = tokenizer.convert_tokens_to_ids("<|AUDIO|>")
    config = Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "d_model": hidden,
            "encoder_layers": encoder_layers,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 3 * hidden,
            "num_mel_bins": mels,
            "max_source_positions": 50 * chunk_length,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 2 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "tie_word_embeddings": False,
        },
        audio_token_index=audio_id,
    )
    model = Qwen2AudioForConditionalGeneration(config)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=rng) * 0.15
            weight.copy_(1 + noise if name.endswith("norm.weight") else noise)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    processor = Qwen2AudioProcessor(
        feature_extractor=WhisperFeatureExtractor(feature_size=mels, chunk_length=chunk_length),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )
    folder = Path(folder)
    model.to(dtype).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder

"""The small Qwen2-Audio: its configuration, and a path through it that skips the padding.

transformers pads every clip to the full window (10 s here); most clips are two seconds long. For
training and evaluation the functions below run the very same modules on batches that are as long
as their longest clip. A test proves that both give the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn


@dataclass(frozen=True)
class Shape:
    """Sizes of the family's models (or of a micro model in tests)."""

    width: int = 128
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 320
    encoder_layers: int = 3
    encoder_feed_forward: int = 384
    mels: int = 80
    positions: int = 500


def text_config(shape: Shape, vocabulary: int, pad_id: int, end_id: int) -> Any:
    """Configuration of the text LLM."""
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=vocabulary, hidden_size=shape.width, intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads, max_position_embeddings=512, tie_word_embeddings=True,
        pad_token_id=pad_id, bos_token_id=None, eos_token_id=end_id, use_cache=True,
    )  # fmt: skip


def build_text(shape: Shape, prompts: Any, seed: int) -> Any:
    """A fresh text LLM (``Qwen2ForCausalLM``)."""
    from transformers import Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = text_config(shape, len(prompts.tokenizer), prompts.pad_id, prompts.end_id)
    return Qwen2ForCausalLM(config)


def build_speech(shape: Shape, prompts: Any, seed: int) -> Any:
    """A fresh speech LLM (``Qwen2AudioForConditionalGeneration``) with sinusoid positions."""
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioEncoderConfig,
        Qwen2AudioForConditionalGeneration,
    )

    torch.manual_seed(seed)
    audio = Qwen2AudioEncoderConfig(
        num_mel_bins=shape.mels, encoder_layers=shape.encoder_layers,
        encoder_attention_heads=shape.heads, encoder_ffn_dim=shape.encoder_feed_forward,
        d_model=shape.width, max_source_positions=shape.positions,
    )  # fmt: skip
    # Fields of the base class, which its own signature does not list.
    common: dict[str, Any] = {
        "tie_word_embeddings": True,
        "pad_token_id": prompts.pad_id,
        "eos_token_id": prompts.end_id,
    }
    config = Qwen2AudioConfig(
        audio_config=audio,
        text_config=text_config(shape, len(prompts.tokenizer), prompts.pad_id, prompts.end_id),
        audio_token_index=prompts.audio_id,
        **common,
    )
    model = Qwen2AudioForConditionalGeneration(config)
    with torch.no_grad():
        table = model.model.audio_tower.embed_positions.weight
        table.copy_(sinusoids(shape.positions, shape.width))
    return model


def sinusoids(length: int, channels: int) -> Tensor:
    """Whisper's fixed positions, shape (length, channels)."""
    step = math.log(10_000) / (channels // 2 - 1)
    inverse = torch.exp(-step * torch.arange(channels // 2, dtype=torch.float32))
    angle = torch.arange(length, dtype=torch.float32)[:, None] * inverse[None]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def speech_positions(frames: Tensor) -> Tensor:
    """Speech positions of clips with so many mel frames (25 a second)."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def encode(tower: nn.Module, mel: Tensor, frames: Tensor) -> Tensor:
    """Run the audio encoder on clips padded to the longest of the batch only.

    Parameters
    ----------
    tower : Qwen2AudioEncoder
    mel : Tensor, shape (B, T, mels)
        Each row holds at least two true frames beyond the clip's end, as far as T allows: the
        convolutions look that far.
    frames : Tensor, shape (B,)
        Mel frames of each clip (what the processor's mask counts).

    Returns
    -------
    Tensor, shape (B, P, width)
        Row b is valid up to ``speech_positions(frames)[b]``.
    """
    t: Any = tower
    x = fn.gelu(t.conv1(mel.transpose(1, 2)))
    x = fn.gelu(t.conv2(x)).transpose(1, 2)
    length = x.shape[1]
    x = x + t.embed_positions.weight[:length]
    halves = (frames - 1) // 2 + 1
    keep = torch.arange(length, device=x.device)[None, :] < halves[:, None]
    mask = keep[:, None, None, :].expand(-1, 1, length, -1)
    for layer in t.layers:
        x = layer(x, mask)
    x = t.avg_pooler(x.transpose(1, 2)).transpose(1, 2)
    return t.layer_norm(x)


def last_states(decoder: nn.Module, embeddings: Tensor) -> Tensor:
    """Final-normed states of right-padded rows.

    No mask is needed: causal attention never looks at the padding on the right.
    """
    out: Any = decoder(inputs_embeds=embeddings, use_cache=False)
    return out.last_hidden_state


def splice(embeddings: Tensor, where: Tensor, features: Tensor, counts: Tensor) -> Tensor:
    """Put each clip's valid features at the placeholders of its row.

    Parameters
    ----------
    embeddings : Tensor, shape (B, S, d)
    where : Tensor of bool, shape (B, S)
    features : Tensor, shape (B, P, d)
    counts : Tensor, shape (B,)
        Valid positions of each clip; equals the row's placeholders.
    """
    valid = torch.arange(features.shape[1], device=features.device)[None] < counts[:, None]
    return embeddings.masked_scatter(where[..., None], features[valid])

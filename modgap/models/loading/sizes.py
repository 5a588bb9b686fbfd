"""Bytes of weights and of what a clip takes beside them, by arithmetic on a config."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from modgap.core.errors import ModelError
from modgap.models.loading.hardware import Machine
from modgap.models.loading.quantized import QUANTIZATIONS, quantized_bytes, skipped

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

PROMPT_TOKENS = 64  # of a chat template around the content, and of an instruction
NEW_TOKENS = 48  # of an answer; the default of the settings


def clip_bytes(text: Any, positions: int, tokens: int, itemsize: int) -> dict[str, int]:
    """What the analysis of a clip holds at most beside the weights, part by part.

    With L layers of width d, MLP width f, G key-value heads of size h, vocabulary V, b bytes a
    number, T_s speech positions and T_t text tokens, S_s = T_s + 64 and S_t = T_t + 64 positions of
    the prompts, and 48 tokens of an answer:

    - states: (L + 1) (S_s + T_t) d b; all levels of both, as interventions keep them. An analysis
      alone keeps those of the text, and of the speech one level at a time.
    - cache: 2 L G h (S_s + S_t + 48) b; keys and values of both prompts.
    - logits: 2 * 4 V; one position's, and their log-probabilities, in float32.
    - matrices: 2 (L + 1) T_s T_t * 4; similarity and distance in float32.
    - activations: S_s (6 d + 3 f) b; within one layer of a pass.

    See `encoder_bytes` for the audio encoder. Not counted is what libraries take for themselves (a
    CUDA context: some 500 MB).

    Parameters
    ----------
    text : PretrainedConfig
        Of the text decoder.
    positions, tokens : int
        T_s and T_t.
    itemsize : int
        b.
    """
    layers, d = int(text.num_hidden_layers), int(text.hidden_size)
    heads = int(text.num_attention_heads)
    groups = int(getattr(text, "num_key_value_heads", None) or heads)
    size = int(getattr(text, "head_dim", None) or d // heads)
    width = getattr(text, "intermediate_size", None) or 4 * d
    width = max(width) if isinstance(width, list | tuple) else int(width)
    speech, words = positions + PROMPT_TOKENS, tokens + PROMPT_TOKENS
    return {
        "states": (layers + 1) * (speech + tokens) * d * itemsize,
        "cache": 2 * layers * groups * size * (speech + words + NEW_TOKENS) * itemsize,
        "logits": 2 * 4 * int(text.vocab_size),
        "matrices": 2 * (layers + 1) * positions * tokens * 4,
        "activations": speech * (6 * d + 3 * width) * itemsize,
    }


def encoder_bytes(hf: Any, seconds: float, itemsize: int) -> int:
    """What the audio encoder holds at most within one layer: N (6 d + 3 f) b + 4 N^2.

    N frames of 20 ms (at least the encoder's fixed window, where it has one and does not hear the
    clip alone), width d, MLP width f, b bytes a number, and a float32 mask; 0 where the config
    names no encoder.

    Parameters
    ----------
    hf : transformers model
        On any device, "meta" too.
    seconds : float
        Of the clip.
    itemsize : int
        b.
    """
    config = (
        getattr(hf.config, "audio_config", None)
        or getattr(hf.config, "encoder_config", None)
        or getattr(getattr(hf, "encoder", None), "config", None)
    )
    d = _first(config, "d_model", "hidden_size", "hidden_dim")
    f = _first(config, "encoder_ffn_dim", "intermediate_size") or 4 * d
    alone = getattr(getattr(hf, "settings", None), "hears", "window") == "clip"
    window = 0 if alone else _first(config, "max_source_positions")
    frames = max(math.ceil(50 * seconds), window) if d else 0
    return frames * (6 * d + 3 * f) * itemsize + 4 * frames**2


def _first(config: Any, *names: str) -> int:
    """The first of these that a config says, else 0."""
    return next((int(v) for n in names if (v := getattr(config, n, None))), 0)


def plain_options(options: dict[str, Any]) -> dict[str, Any]:
    """What a config's ``from_pretrained`` takes of a model's options."""
    return {k: v for k, v in options.items() if k != "trust_remote_code"}


def weight_bytes(hf: Any, dtype: torch.dtype = torch.bfloat16) -> dict[str, int]:
    """Bytes of the weights in each way to hold them; `dtype` is that of what is not quantized."""
    count = sum(p.numel() for p in hf.parameters())
    skip = skipped(hf)
    return {
        "float32": 4 * count,
        "bfloat16": 2 * count,
        **{way: quantized_bytes(hf, way, skip, dtype) for way in QUANTIZATIONS},
    }


def refuse_too_large(
    name: str,
    family: type[SpeechLM],
    where: str,
    options: dict[str, Any],
    dtype: torch.dtype,
    quantize: str | None,
) -> None:
    """Raise if the weights are larger than the CPU's memory.

    There an operating system ends the process without a word; a GPU says by itself that it is full.

    Raises
    ------
    ModelError
        With the numbers, and what to do.
    """
    try:
        hf = family.skeleton(where, plain_options(options))
    except Exception:  # what is wrong with the config is from_pretrained's to say
        return
    if getattr(hf.config, "quantization_config", None) is not None:
        return
    ways = weight_bytes(hf, dtype)
    count = sum(p.numel() for p in hf.parameters())
    needed = ways[quantize] if quantize else count * dtype.itemsize
    free = Machine.here().ram
    if needed <= free:
        return
    fitting = [way for way, size in ways.items() if size < needed and size <= free]
    advice = (
        f"load it with {'quantize' if fitting[0] in QUANTIZATIONS else 'dtype'} {fitting[0]}"
        if fitting
        else "choose a smaller model, or spread it with a device map"
    )
    raise ModelError(
        f"{name} does not fit into memory: its weights take {gigabytes(needed)}, and "
        f"{gigabytes(free)} are free. To run it, {advice}."
    )


def gigabytes(count: float) -> str:
    """Bytes for people: 17 GB, 4.2 GB, 9.4 MB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            value = count / size
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
    return f"{count:.0f} B"

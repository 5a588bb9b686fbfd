"""Weights as files, read, written and merged: what the family's folders are put together from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from modgap.core.errors import ModelError
from modgap.core.files import write_atomic


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: dict[str, str]) -> None:
    """Write a safetensors file in one atomic move."""
    held = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_atomic(path, save(held, meta))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file."""
    with safe_open(path, framework="pt") as handle:
        return {k: handle.get_tensor(k) for k in handle.keys()}, handle.metadata() or {}  # noqa: SIM118


def load_named(model: Any, tensors: dict[str, Tensor]) -> Any:
    """Copy tensors into a model by parameter name; unknown names are an error."""
    parameters = dict(model.named_parameters())
    unknown = set(tensors) - set(parameters) - {"lm_head.weight"}
    if unknown:
        raise ModelError(f"These weights do not belong to the model: {sorted(unknown)[:3]}")
    with torch.no_grad():
        for name, value in tensors.items():
            if name in parameters:
                parameters[name].copy_(value)
    return model


def merge_lora(
    weights: dict[str, Tensor], delta: dict[str, Tensor], scale: float
) -> dict[str, Tensor]:
    """Add the adapters of ``delta`` to ``weights`` and take over its other tensors.

    Parameters
    ----------
    weights : dict of str to Tensor
        Parameters of the speech LLM by name; not changed.
    delta : dict of str to Tensor
        Trained tensors; ``X.lora_A.default.weight`` (r, in) and ``X.lora_B.default.weight``
        (out, r) belong to ``X.weight`` (out, in).
    scale : float

    Returns
    -------
    dict of str to Tensor
        float32.
    """
    out = {k: v.float() for k, v in weights.items()}
    for name, value in delta.items():
        if ".lora_A." in name:
            target = name.split(".lora_A.")[0] + ".weight"
            b = delta[name.replace(".lora_A.", ".lora_B.")].float()
            out[target] = out[target] + scale * (b @ value.float())
        elif ".lora_B." not in name:
            out[name] = value.float()
    return out


def text_as_speech(text: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of the text LLM's tensors as they are inside the speech LLM.

    The text LLM's head is tied to its embeddings; the speech LLM has a head of its own.
    """
    named = {
        "model.language_model." + k.removeprefix("model."): v
        for k, v in text.items()
        if k != "lm_head.weight"
    }
    return named | {"lm_head.weight": text["model.embed_tokens.weight"]}

"""Weights in 8 or 4 bits, by bitsandbytes: what it needs, and what is asked of it.

What transformers' own integration leaves in 16 bits stays there: embeddings, norms, convolutions
and the head. Hidden states are in the model's dtype as ever; only the weights are rounded.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import torch
from torch import nn

from modgap.core.errors import ModelError

QUANTIZATIONS = ("8bit", "4bit")
INSTALL = "pip install bitsandbytes"
#: Values that share one float32 scale in 4 bits, and what the blocks of a row must come out even on
#: a CPU for.
BLOCK = 64


def check_quantize(quantize: str | None, device: torch.device | None = None) -> None:
    """Raise unless the weights can be quantized so, on this machine.

    Parameters
    ----------
    quantize : "8bit", "4bit" or None
    device : torch.device, optional
        Where the model will be; None for a device map, which bitsandbytes judges itself.

    Raises
    ------
    ModelError
        An unknown way, bitsandbytes is missing, or it has nothing for this kind of device.
    """
    if quantize is None:
        return
    if quantize not in QUANTIZATIONS:
        raise ModelError(f"quantize is {' or '.join(QUANTIZATIONS)}, not {quantize!r}.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(f"Weights in {quantize[0]} bits need bitsandbytes: {INSTALL}")
    try:
        supported = importlib.import_module("bitsandbytes").supported_torch_devices
    except Exception as err:  # a library that does not fit the GPU's driver fails in many ways
        raise ModelError(
            f"bitsandbytes is installed but cannot be used here ({type(err).__name__}): install "
            f"the build for this machine ({INSTALL}), or load the model without quantization."
        ) from err
    if device is not None and device.type not in supported:
        raise ModelError(
            f"bitsandbytes has nothing for {device.type} devices (only for "
            f"{', '.join(sorted(supported))}): load the model in bfloat16 instead."
        )


def quantization_config(quantize: str | None, dtype: torch.dtype) -> Any | None:
    """What ``from_pretrained`` takes as ``quantization_config``; None for whole weights.

    4 bits are NF4 (Dettmers et al. 2023, arXiv 2305.14314) computed in `dtype`; 8 bits are LLM.int8
    (Dettmers et al. 2022, arXiv 2208.07339).
    """
    if quantize is None:
        return None
    from transformers import BitsAndBytesConfig

    if quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )


def quantized_bytes(module: nn.Module, quantize: str, skip: list[str], dtype: torch.dtype) -> int:
    """Bytes of a model's weights once its linear layers are quantized.

    8 bits: one byte a weight and one float32 a row. 4 bits: half a byte a weight and one float32 a
    block of `BLOCK`. Everything else counts in `dtype`.

    Parameters
    ----------
    module : nn.Module
        On any device, "meta" too.
    quantize : "8bit" or "4bit"
    skip : list of str
        Names of the modules that stay whole, as transformers takes them.
    dtype : torch.dtype
    """
    from transformers.quantizers.quantizers_utils import should_convert_module

    total, inside = 0, set()
    for name, layer in module.named_modules():
        if not isinstance(layer, nn.Linear) or not should_convert_module(name, skip):
            continue
        weight = layer.weight
        if id(weight) in inside:
            continue
        inside.add(id(weight))
        n = weight.numel()
        if quantize == "8bit":
            total += n + 4 * layer.out_features
        else:
            total += (n + 1) // 2 + 4 * -(-n // BLOCK)
    rest = sum(p.numel() for p in module.parameters() if id(p) not in inside)
    return total + rest * dtype.itemsize


def skipped(module: nn.Module) -> list[str]:
    """Names of the modules that transformers does not quantize in this model."""
    from transformers import PreTrainedModel
    from transformers.quantizers.base import get_keys_to_not_convert

    if isinstance(module, PreTrainedModel):
        return list(get_keys_to_not_convert(module))
    # A composite: only its text model is loaded by transformers.
    inner = {n: m for n, m in module.named_children() if isinstance(m, PreTrainedModel)}
    llm = inner.pop("llm", None)
    whole = [name for name, _ in module.named_children() if name != "llm"]
    if llm is None:
        return whole
    return [*whole, *(f"llm.{name}" for name in get_keys_to_not_convert(llm))]


def check_widths(module: nn.Module, device: torch.device) -> None:
    """Raise where 4 bits would fail in the first pass: on a CPU, rows of no whole blocks."""
    if device.type != "cpu":
        return
    skip = skipped(module)
    from transformers.quantizers.quantizers_utils import should_convert_module

    for name, layer in module.named_modules():
        odd = isinstance(layer, nn.Linear) and layer.in_features % BLOCK
        if odd and should_convert_module(name, skip):
            raise ModelError(
                f"4 bits on a CPU need layers whose width is a multiple of {BLOCK}; {name} has "
                f"{layer.in_features}. Use 8bit, or a GPU."
            )

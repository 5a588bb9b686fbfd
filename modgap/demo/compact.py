"""Trained weights in few bits: what the family's files in the repository hold.

A matrix is kept as whole numbers of a few bits and one scale for each of its rows; a snapshot as
what it is away from the end of its run, which is small and needs fewer bits still. Vectors (norms,
biases) stay in 16 bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from modgap.core.errors import ModelError
from modgap.demo.checkpoints import read_tensors, write_tensors

__all__ = ["Bits", "read_compact", "write_compact"]

Bits = Literal[4, 8]
_SCALE = ".scale"
_META = "compact"


def write_compact(
    path: Path,
    tensors: Mapping[str, Tensor],
    bits: Bits,
    reference: Mapping[str, Tensor] | None = None,
) -> None:
    """Write tensors as whole numbers of `bits` bits, in one atomic move.

    Parameters
    ----------
    path : Path
        A safetensors file.
    tensors : mapping of str to Tensor
        Of two dimensions or more are rounded, the others kept in float16.
    bits : 4 or 8
    reference : mapping of str to Tensor, optional
        What the difference is kept from: the tensors that `read_compact` will be given again.
    """
    held: dict[str, Tensor] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in tensors.items():
        value = tensor.float()
        if reference is not None:
            value = value - reference[name].float()
        if value.ndim < 2:
            held[name] = value.half()
            continue
        rows = value.flatten(1)
        most = 2 ** (bits - 1) - 1
        scale = rows.abs().amax(1, keepdim=True) / most
        whole = (rows / scale.clamp_min(torch.finfo(torch.float32).tiny)).round().to(torch.int8)
        held[name] = whole if bits == 8 else _pairs(whole)
        held[name + _SCALE] = scale[:, 0]
        shapes[name] = list(value.shape)
    told = {"bits": bits, "shapes": shapes, "difference": reference is not None}
    write_tensors(path, held, {_META: json.dumps(told)})


def read_compact(path: Path, reference: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Read what `write_compact` has written.

    Parameters
    ----------
    path : Path
    reference : mapping of str to Tensor, optional
        What it was written with.

    Returns
    -------
    dict of str to Tensor
        float32, in the shapes that were written.

    Raises
    ------
    ModelError
        No such file, damaged, or the reference is lacking.
    """
    try:
        held, meta = read_tensors(path)
        told = json.loads(meta[_META])
    except Exception as problem:  # safetensors has errors of its own
        raise ModelError(
            f"{path} cannot be read ({problem}): reinstall modgap, or check MODGAP_DEMO_WEIGHTS."
        ) from problem
    if told["difference"] and reference is None:
        raise ModelError(f"{path} holds a difference: give the weights that it is away from.")
    out: dict[str, Tensor] = {}
    for name, tensor in held.items():
        if name.endswith(_SCALE):
            continue
        value = tensor.float()
        if name in told["shapes"]:
            shape = told["shapes"][name]
            count = int(torch.tensor(shape[1:]).prod())
            whole = tensor if told["bits"] == 8 else _unpaired(tensor, count)
            value = (whole.float() * held[name + _SCALE][:, None]).reshape(shape)
        if told["difference"] and reference is not None:
            value = value + reference[name].float()
        out[name] = value
    return out


def _pairs(whole: Tensor) -> Tensor:
    """Numbers from -7 to 7 (rows, n), int8, two to a byte: (rows, ceil(n / 2)), uint8."""
    up = (whole + 8).to(torch.uint8)
    if up.shape[1] % 2:
        up = torch.nn.functional.pad(up, (0, 1))
    return up[:, 0::2] | (up[:, 1::2] << 4)


def _unpaired(packed: Tensor, count: int) -> Tensor:
    both = torch.stack([packed & 15, packed >> 4], -1).flatten(1)[:, :count]
    return both.to(torch.int8) - 8

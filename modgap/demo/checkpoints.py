"""Weights as files, read and written: what the family's folders are put together from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from modgap.core.files import write_atomic


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: dict[str, str]) -> None:
    """Write a safetensors file in one atomic move."""
    held = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    write_atomic(path, save(held, meta))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file."""
    with safe_open(path, framework="pt") as handle:
        return {k: handle.get_tensor(k) for k in handle.keys()}, handle.metadata() or {}  # noqa: SIM118

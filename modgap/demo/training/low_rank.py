"""Low-rank adapters in training, written for speed on a CPU.

peft's own layers take their input to the adapters' 32 bit and back, twice in each of 210 linear
layers; here everything but the trained matrices is in 16 bit. What is saved is in peft's format.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modgap.demo.compose import SCALE, TARGETS

__all__ = ["LowRank", "add_low_rank"]


class LowRank(nn.Module):
    """A frozen linear layer and a low-rank addition to it.

    Parameters
    ----------
    base : nn.Linear
        Without a bias.
    rank : int
    """

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.lora_A = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        low = functional.linear(x, self.lora_A.to(x.dtype)).flatten(0, -2)
        up = (SCALE * self.lora_B).to(x.dtype)
        return torch.addmm(y.flatten(0, -2), low, up.T).view_as(y)


def add_low_rank(model: Any, rank: int, seed: int) -> Any:
    """Wrap a text model's linear layers in place; only the additions are trained."""
    torch.manual_seed(seed)
    model.requires_grad_(False)
    for layer in model.get_decoder().layers:
        for part in (layer.self_attn, layer.mlp):
            for name in TARGETS:
                if hasattr(part, name):
                    setattr(part, name, LowRank(getattr(part, name), rank))
    return model

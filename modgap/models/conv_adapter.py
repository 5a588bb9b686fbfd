"""The composite's larger adapter: stacked frames, convolutions and transformer layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modgap.core.errors import ModelError

__all__ = ["ConvTransformerAdapter"]

_NEAR = 7  # positions that a layer's convolution sees
_GROUPS = 8


class ConvTransformerAdapter(nn.Module):
    """Stacked frames to positions of the text model, each of which hears the whole clip.

    Parameters
    ----------
    inputs : int
        Width of the encoder's frames times how many of them a position holds.
    width : int
        Of the layers.
    outputs : int
        Width of the text model.
    layers, heads : int
    inner : int
        Width between the two linear layers of a layer.
    dropout : float
        In training.
    read : int
        Embeddings that are read at each position beforehand. With any, a position is a mixture: of
        them, of what the layers make, and of one vector for "nothing new", as long as which what
        the layers make is scaled: CTC by cosine would leave its length free, and an LLM's layers
        hardly change positions that are many times as long as its embeddings.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        *,
        layers: int = 2,
        heads: int = 8,
        inner: int | None = None,
        dropout: float = 0.0,
        read: int = 0,
    ) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(inputs)
        self.linear_in = nn.Linear(inputs, width)
        self.conv = nn.Conv1d(width, width, 3, padding=1, groups=_GROUPS)
        self.layers = nn.ModuleList(
            _Layer(width, heads, inner or 3 * width, dropout) for _ in range(layers)
        )
        self.norm_out = nn.LayerNorm(width)
        self.linear_out = nn.Linear(width, outputs)
        self.mix = nn.Linear(width, 2 + read) if read else None
        self.blank = nn.Parameter(torch.zeros(outputs)) if read else None
        # How sharply a position tells tokens apart (logarithm), and how much nothing new counts.
        self.sharpness = nn.Parameter(torch.tensor(3.5)) if read else None
        self.often = nn.Parameter(torch.tensor(0.0)) if read else None

    @classmethod
    def of_weights(cls, weights: Mapping[str, Tensor], heads: int) -> ConvTransformerAdapter:
        """The adapter whose weights these are; their shapes say all its sizes but the heads.

        Raises
        ------
        ModelError
            A weight is missing, of another shape, or too many.
        """
        try:
            width, inputs = weights["linear_in.weight"].shape
            outputs = weights["linear_out.weight"].shape[0]
            numbers = {int(m[1]) for m in (re.match(r"layers\.(\d+)\.", n) for n in weights) if m}
            inner = weights["layers.0.fc1.weight"].shape[0] if numbers else None
            if width % heads or width % _GROUPS:
                raise ModelError(
                    f"The composite's adapter is {width} wide, which {heads} heads do not divide: "
                    "check heads in config.json."
                )
            read = weights["mix.weight"].shape[0] - 2 if "mix.weight" in weights else 0
            made = cls(
                inputs, width, outputs, layers=len(numbers), heads=heads, inner=inner, read=read
            )
            made.load_state_dict(dict(weights), assign=True)
        except KeyError as problem:
            raise ModelError(
                f"The composite's adapter.safetensors lacks {problem.args[0]}."
            ) from problem
        except RuntimeError as problem:  # torch's list of names and shapes that do not fit
            first = str(problem).splitlines()[1].strip()
            raise ModelError(
                f"The composite's adapter.safetensors does not fit: {first}"
            ) from problem
        return made

    @property
    def widths(self) -> tuple[int, int]:
        """Values of the stacked frames, and of a position."""
        return self.linear_in.in_features, self.linear_out.out_features

    def forward(
        self, stacked: Tensor, mask: Tensor | None = None, read: Tensor | None = None
    ) -> Tensor:
        """Positions of stacked frames.

        Parameters
        ----------
        stacked : Tensor, shape (B, n, inputs)
        mask : Tensor of bool, shape (B, n), optional
            Which positions there are; None: all.
        read : Tensor, shape (B, n, read, outputs), optional
            What was read at each position, where the adapter mixes it in.

        Returns
        -------
        Tensor, shape (B, n, outputs)
        """
        return self.positions(self.layer_states(stacked, mask)[-1], read)

    def layer_states(self, stacked: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """What goes into the first layer, and what comes out of each, (B, n, width) each."""
        x = self.linear_in(self.norm_in(stacked))
        states = [x + functional.gelu(_convolved(self.conv, x, mask))]
        for layer in self.layers:
            states.append(layer(states[-1], mask))
        return states

    def positions(self, states: Tensor, read: Tensor | None = None) -> Tensor:
        """Positions (B, n, outputs) of the last layer's states (B, n, width)."""
        x = self.norm_out(states)
        made = self.linear_out(x)
        if self.mix is None or self.blank is None or read is None:
            return made
        made = functional.normalize(made, dim=-1) * self.blank.norm()
        shares = self.mix(x).softmax(-1)
        mixed = shares[..., :1] * self.blank + shares[..., 1:2] * made
        return mixed + (shares[..., 2:, None] * read.to(made.dtype)).sum(-2)

    def in_words(self, made: Tensor, table: Tensor, count: int) -> Tensor:
        """Positions put together of the text model's own embeddings: those that they point to.

        Each becomes the mean of its `count` nearest embeddings and of "nothing new", weighted by a
        softmax of cosines as sharp as CTC has learned it (LegoSLM, Ma et al. 2025). A CTC by cosine
        is content with a position that is a little nearer to the right token than to others; a text
        model reads what is an embedding.

        Parameters
        ----------
        made : Tensor, shape (B, n, outputs)
            Of `positions`.
        table : Tensor, shape (V, outputs)
            Embeddings of the tokens that may be said.
        count : int

        Returns
        -------
        Tensor, shape (B, n, outputs), float32
        """
        assert self.blank is not None
        assert self.sharpness is not None
        assert self.often is not None
        made, blank = functional.normalize(made.float(), dim=-1), self.blank.float()
        with torch.no_grad():
            lengths = torch.linalg.vector_norm(table, dim=-1, dtype=torch.float32)
            near = (made.to(table.dtype) @ table.T).float() / lengths
            nearest = near.topk(min(count, len(table)), -1).indices
        options = table[nearest].float()
        options = torch.cat([blank.expand(*options.shape[:2], 1, -1), options], 2)
        near = (functional.normalize(options, dim=-1) * made[:, :, None]).sum(-1)
        odds = near * self.sharpness.float().exp()
        odds = torch.cat([odds[..., :1] + self.often.float(), odds[..., 1:]], -1)
        return (odds.softmax(-1)[..., None] * options).sum(-2)


class _Layer(nn.Module):
    """Convolution along the positions, self-attention, and two linear layers, each on a norm."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_conv = nn.LayerNorm(width)
        self.near = nn.Conv1d(width, width, _NEAR, padding=_NEAR // 2, groups=width)
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_inner = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + _convolved(self.near, self.norm_conv(x), mask)
        x = x + self.dropout(self._attention(self.norm_attention(x), mask))
        inner = functional.gelu(self.fc1(self.norm_inner(x)))
        return x + self.dropout(self.fc2(inner))

    def _attention(self, x: Tensor, mask: Tensor | None) -> Tensor:
        size, n, width = x.shape
        q, k, v = self.qkv(x).view(size, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Written out: on a CPU the fused one's backward pass takes several times as long.
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
        y = scores.softmax(-1).to(v.dtype) @ v
        return self.out(y.transpose(1, 2).reshape(size, n, width))


def _convolved(conv: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """A convolution along the positions (B, n, width), for which those that are not there are 0."""
    if mask is not None:
        x = x * mask[..., None].to(x.dtype)
    return torch.transpose(conv(x.transpose(1, 2)), 1, 2)

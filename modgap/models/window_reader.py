"""What a Whisper's decoder reads in short windows of its encoder's frames, at every position.

A window-level Q-Former (SALMONN, Tang et al. 2024) whose weights are Whisper's decoder's, as DiVA's
(Held et al. 2024): at each position of the prompt the decoder begins anew and sees nothing but the
frames of a window. Its state is close to the first word that is said there; where a window asks for
more, it goes on with its own likeliest token for a token or two, since a word of several tokens is
told by the first alone. These go to the positions after, where they are said. No position knows
what was read at another one. Through Whisper's own head a state also tells tokens; as the text
model's embeddings, weighted by their shares, they are what the adapter may pass on (mixtures of the
LLM's embeddings by a recogniser's posteriors: LegoSLM, Ma et al. 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from modgap.core.errors import ModelError

__all__ = ["Window", "WindowRead", "WindowReader"]

_PREFIX = "model.decoder."
#: What makes the decoder's states about as loud as the encoder's frames, which lie beside them.
QUIET = 0.125
#: Frames before and after the beginning of a position, and how many tokens are read there.
Window = tuple[int, int, int]


class WindowRead(NamedTuple):
    """What is read at the positions of a clip.

    Attributes
    ----------
    states : Tensor, shape (1, n, reads * d)
        Of the decoder, `QUIET`; a read is a token of a window.
    numbers : Tensor of int64, shape (n, reads, k)
        The likeliest of the shared tokens.
    shares : Tensor of float32, shape (n, reads, k)
        Their shares among themselves; zero before a window's later tokens can have been said.
    """

    states: Tensor
    numbers: Tensor
    shares: Tensor


class WindowReader(nn.Module):
    """Whisper's decoder on windows.

    Parameters
    ----------
    config : WhisperConfig
    windows : sequence of (int, int, int)
        Frames before and after the beginning of a position that it sees, and tokens that it reads.
    prompt : sequence of int
        Tokens that the decoder begins with.
    shared : int
        Tokens that it tells and goes on with.
    """

    start: Tensor
    places: Tensor
    tokens: Tensor

    def __init__(
        self,
        config: Any,
        windows: Sequence[Window],
        prompt: Sequence[int],
        shared: int = 0,
    ) -> None:
        from transformers.models.whisper.modeling_whisper import WhisperDecoderLayer

        super().__init__()
        self.windows, self.prompt = tuple(windows), tuple(prompt)
        self.heads = int(config.decoder_attention_heads)
        self.layers = nn.ModuleList(
            WhisperDecoderLayer(config, n) for n in range(config.decoder_layers)
        )
        self.layer_norm = nn.LayerNorm(config.d_model)
        later = max((count for *_, count in self.windows), default=1) - 1
        self.register_buffer("start", torch.zeros(len(self.prompt), config.d_model))
        self.register_buffer("places", torch.zeros(later, config.d_model))
        self.register_buffer("tokens", torch.zeros(shared, config.d_model))

    @classmethod
    def load(
        cls, file: Path, config: dict[str, Any], windows: Sequence[Window],
        prompt: Sequence[int], dtype: torch.dtype, shared: Tensor | None = None,
    ) -> WindowReader:  # fmt: skip
        """Read the decoder out of a whole Whisper checkpoint; `shared` are its ids of `tokens`.

        Raises
        ------
        ModelError
            The checkpoint holds no decoder of this size.
        """
        from safetensors import safe_open
        from transformers import WhisperConfig

        whisper: Any = WhisperConfig.from_dict(config)
        made = cls(whisper, windows, prompt, 0 if shared is None else len(shared))
        weights = {}
        try:
            with safe_open(file, framework="pt") as held:
                for name in held.keys():  # noqa: SIM118
                    part = name.removeprefix(_PREFIX)
                    if name.startswith(_PREFIX) and part.startswith(("layers.", "layer_norm.")):
                        weights[part] = held.get_tensor(name)
                tokens = held.get_slice(f"{_PREFIX}embed_tokens.weight")
                places = held.get_slice(f"{_PREFIX}embed_positions.weight")
                begin = torch.cat([tokens[token : token + 1] for token in made.prompt]).float()
                size, later = len(begin), len(made.places)
                weights["start"] = begin + places[:size].float()
                weights["places"] = places[size : size + later].float()
                weights["tokens"] = made.tokens
                if shared is not None:
                    weights["tokens"] = tokens[: int(shared.max()) + 1][shared.long()].float()
            made.load_state_dict(weights)
        except Exception as problem:  # safetensors' and torch's own kinds
            raise ModelError(
                "The composite reads windows with Whisper's decoder, which its encoder folder does "
                f"not hold: take the whole checkpoint ({str(problem).splitlines()[0][:200]})."
            ) from problem
        return made.to(dtype).eval().requires_grad_(False)

    def forward(self, frames: Tensor, positions: int, stack: int, count: int = 0) -> WindowRead:
        """Read the windows.

        Parameters
        ----------
        frames : Tensor, shape (1, T, d)
            Of the encoder.
        positions : int
        stack : int
            Frames of a position.
        count : int
            Tokens to tell of each read.
        """
        sound, device = frames[0], frames.device
        begins = torch.arange(positions, device=device)[:, None] * stack
        crossed = [
            (layer.encoder_attn.k_proj(sound), layer.encoder_attn.v_proj(sound))
            for layer in self._decoder
        ]
        states, numbers, shares = [], [], []
        for before, after, tokens in self.windows:
            at = begins + torch.arange(-before, after, device=device)
            there = ((at >= 0) & (at < len(sound)))[:, None, None, :]
            at = at.clamp(0, len(sound) - 1)
            seen = [(keys[at], values[at], there) for keys, values in crossed]
            past: list[Any] = [None] * len(seen)
            x = self.start.expand(positions, -1, -1)
            for step in range(tokens):
                state = self._step(x, seen, past)
                odds = (state @ self.tokens.T).float()
                if step + 1 < tokens:
                    x = (self.tokens[odds.argmax(-1)] + self.places[step])[:, None]
                likely, number = odds.topk(count, -1)
                states.append(_later(state, step))
                numbers.append(_later(number, step))
                shares.append(_later(likely.softmax(-1), step))
        read = QUIET * torch.cat(states, -1)[None]
        return WindowRead(read, torch.stack(numbers, 1), torch.stack(shares, 1))

    @property
    def _decoder(self) -> list[Any]:
        return list(self.layers)

    def _step(self, x: Tensor, seen: Sequence[tuple[Tensor, ...]], past: list[Any]) -> Tensor:
        """The state (n, d) after the tokens (n, s, d) that follow those of `past`."""
        size = x.shape[1]
        causal = torch.ones(size, size, dtype=torch.bool, device=x.device).tril()
        for k, layer in enumerate(self._decoder):
            own, other = layer.self_attn, layer.encoder_attn
            y = layer.self_attn_layer_norm(x)
            keys, values = own.k_proj(y), own.v_proj(y)
            if past[k] is not None:
                keys, values = (torch.cat(p, 1) for p in zip(past[k], (keys, values), strict=True))
                causal = torch.ones(size, keys.shape[1], dtype=torch.bool, device=x.device)
            past[k] = (keys, values)
            x = x + own.out_proj(self._attend(own.q_proj(y), keys, values, causal))
            y = other.q_proj(layer.encoder_attn_layer_norm(x))
            x = x + other.out_proj(self._attend(y, *seen[k]))
            x = x + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(x))))
        return self.layer_norm(x[:, -1])

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Attention of (n, a, d) over (n, b, d)."""
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return y.transpose(1, 2).flatten(2)


def _later(x: Tensor, by: int) -> Tensor:
    """Rows (n, ...) moved to so many positions later; the first are zero."""
    return torch.cat([torch.zeros_like(x[:by]), x[: max(0, len(x) - by)]]) if by else x

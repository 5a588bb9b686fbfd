"""What a Whisper's decoder reads in short windows of its encoder's frames, at every position.

A window-level Q-Former (SALMONN, Tang et al. 2024) whose weights are Whisper's decoder's, as DiVA's
(Held et al. 2024): at each position of the prompt the decoder begins anew and sees nothing but the
frames of a window. Its state is close to the first word that is said there. Nothing is decoded: no
position knows what was read at another one. Through Whisper's own head a state also tells tokens;
as the text model's embeddings, weighted by their shares, they are what the adapter may pass on
(mixtures of the LLM's embeddings by a recogniser's posteriors: LegoSLM, Ma et al. 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modgap.core.errors import ModelError

__all__ = ["WindowReader"]

_PREFIX = "model.decoder."
#: What makes the decoder's states about as loud as the encoder's frames, which lie beside them.
QUIET = 0.125


class WindowReader(nn.Module):
    """Whisper's decoder on windows.

    Parameters
    ----------
    config : WhisperConfig
    windows : sequence of (int, int)
        Frames before and after the beginning of a position that it sees; one state each.
    prompt : sequence of int
        Tokens that the decoder begins with.
    shared : int
        Tokens that `words` chooses among.
    """

    start: Tensor
    tokens: Tensor

    def __init__(
        self,
        config: Any,
        windows: Sequence[tuple[int, int]],
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
        self.register_buffer("start", torch.zeros(len(self.prompt), config.d_model))
        self.register_buffer("tokens", torch.zeros(shared, config.d_model))

    @classmethod
    def load(
        cls, file: Path, config: dict[str, Any], windows: Sequence[tuple[int, int]],
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
                weights["start"] = begin + places[: len(begin)].float()
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

    def forward(self, frames: Tensor, positions: int, stack: int) -> Tensor:
        """States of the windows.

        Parameters
        ----------
        frames : Tensor, shape (1, T, d)
            Of the encoder.
        positions : int
        stack : int
            Frames of a position.

        Returns
        -------
        Tensor, shape (1, positions, windows * d)
        """
        sound, device = frames[0], frames.device
        begins = torch.arange(positions, device=device)[:, None] * stack
        places, there = [], []
        for before, after in self.windows:
            at = begins + torch.arange(-before, after, device=device)
            there.append(((at >= 0) & (at < len(sound)))[:, None, None, :])
            places.append(at.clamp(0, len(sound) - 1))
        states = [self.start.expand(positions, -1, -1)] * len(self.windows)
        size = len(self.prompt)
        causal = torch.ones(size, size, dtype=torch.bool, device=device).tril()
        for part in self.layers:
            layer: Any = part
            own, other = layer.self_attn, layer.encoder_attn
            keys, values = other.k_proj(sound), other.v_proj(sound)
            for n, x in enumerate(states):
                y = layer.self_attn_layer_norm(x)
                y = self._attend(own.q_proj(y), own.k_proj(y), own.v_proj(y), causal)
                x = x + own.out_proj(y)
                y = other.q_proj(layer.encoder_attn_layer_norm(x))
                y = self._attend(y, keys[places[n]], values[places[n]], there[n])
                x = x + other.out_proj(y)
                y = functional.gelu(layer.fc1(layer.final_layer_norm(x)))
                states[n] = x + layer.fc2(y)
        return QUIET * torch.cat([self.layer_norm(x[:, -1]) for x in states], -1)[None]

    def words(self, states: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The likeliest of the shared tokens at each position, and their shares among themselves.

        Parameters
        ----------
        states : Tensor, shape (1, n, windows * d)
            Of `forward`.
        count : int

        Returns
        -------
        numbers : Tensor of int64, shape (n, windows, count)
            Of the shared tokens.
        shares : Tensor of float32, shape (n, windows, count)
        """
        read = states[0].unflatten(-1, (len(self.windows), -1)) / QUIET
        odds, numbers = (read @ self.tokens.T).float().topk(count, -1)
        return numbers, odds.softmax(-1)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """Attention of (n, a, d) over (n, b, d)."""
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return y.transpose(1, 2).flatten(2)

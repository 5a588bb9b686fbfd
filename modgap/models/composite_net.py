"""A speech encoder, an adapter and any causal text model, joined at the input embeddings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from modgap.core.errors import ModelError
from modgap.models.conv_adapter import ConvTransformerAdapter

ACTIVATIONS = ("relu", "gelu", "silu", "swiglu")


@dataclass(frozen=True)
class CompositeConfig:
    """The settings in a composite's ``config.json``.

    Attributes
    ----------
    stack : int
        Encoder frames (of 20 ms) that one position of the prompt holds, side by side.
    adapter : "linear" or "conv_transformer"
        What makes positions of the stacked frames: `StackAdapter` or `ConvTransformerAdapter`.
    heads : int
        Attention heads of a "conv_transformer".
    activation : "relu", "gelu", "silu" or "swiglu"
        Between the adapter's two linear layers; of a swiglu the second half is the gate.
    norm_eps : float
        Of the adapter's RMS norms, where its weights have any.
    last : "pad" or "drop"
        What becomes of frames at the end that fill no position.
    hears : "clip" or "window"
        Whether the encoder gets the clip alone or the clip and silence up to its whole window.
    positions : "clip" or "window"
        Whether the silence's positions stay out of the prompt or are in it, as padding.
    windows : tuple of (int, int, int)
        Frames before and after the beginning of a position in which Whisper's decoder reads what
        the adapter gets beside the stacked frames, and how many tokens it reads there
        (`WindowReader`); none by default.
    prompt : tuple of int
        Tokens that the decoder begins with there.
    words : int
        How many likeliest tokens of each read the adapter gets as the text model's embeddings,
        weighted by their shares; which tokens both models have is in ``words.safetensors``.
    nearest : int
        Of how many nearest embeddings of the text model, among those of the tokens that both models
        have, a position is put together (`ConvTransformerAdapter.in_words`); 0: of none.
    lora : "apart" or "merged"
        Whether a LoRA stays beside the weights, or is added to them when they are loaded.
    before, after : str
        What stands around the clip in the user's turn.
    source : str
        The project whose checkpoint it is made of (ultravox, llama-omni, llama-omni2), or empty.
    """

    stack: int
    adapter: Literal["linear", "conv_transformer"] = "linear"
    heads: int = 8
    activation: Literal["relu", "gelu", "silu", "swiglu"] = "gelu"
    norm_eps: float = 1e-6
    last: Literal["pad", "drop"] = "drop"
    hears: Literal["clip", "window"] = "window"
    positions: Literal["clip", "window"] = "clip"
    windows: tuple[tuple[int, int, int], ...] = ()
    prompt: tuple[int, ...] = ()
    words: int = 0
    nearest: int = 0
    lora: Literal["apart", "merged"] = "apart"
    before: str = ""
    after: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        allowed = {
            "adapter": ("linear", "conv_transformer"),
            "activation": ACTIVATIONS,
            "last": ("pad", "drop"),
            "hears": ("clip", "window"),
            "positions": ("clip", "window"),
            "lora": ("apart", "merged"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ModelError(f"{name} in the composite's config.json is one of {values}.")
        if not isinstance(self.stack, int) or self.stack < 1:
            raise ModelError("stack in the composite's config.json is a whole number from 1 on.")
        if not isinstance(self.heads, int) or self.heads < 1:
            raise ModelError("heads in the composite's config.json is a whole number from 1 on.")
        try:
            windows = tuple((int(b), int(a), int(count)) for b, a, count in self.windows)
        except (TypeError, ValueError) as problem:
            raise ModelError(
                "windows in the composite's config.json is a list of three numbers each: frames "
                "before, frames after, tokens to read."
            ) from problem
        if not all(0 <= b <= 1500 and 0 < a <= 1500 and 0 < n <= 8 for b, a, n in windows):
            raise ModelError(
                "A window in the composite's config.json has 0 to 1,500 frames before the "
                "position, 1 to 1,500 after, and 1 to 8 tokens."
            )
        if windows and not self.prompt:
            raise ModelError(
                "A composite with windows needs a prompt in its config.json: the tokens that "
                "Whisper's decoder begins with."
            )
        if not isinstance(self.words, int) or self.words < 0 or (self.words and not windows):
            raise ModelError(
                "words in the composite's config.json is a number of tokens, of windows that there "
                "are."
            )
        if (
            not isinstance(self.nearest, int)
            or self.nearest < 0
            or (self.nearest and not self.words)
        ):
            raise ModelError(
                "nearest in the composite's config.json is a number of embeddings, of tokens that "
                "words are chosen among."
            )
        if any(count > 1 for *_, count in windows) and not self.words:
            raise ModelError(
                "A composite whose windows read several tokens needs words in its config.json: "
                "the decoder goes on with one of them."
            )
        object.__setattr__(self, "windows", windows)
        object.__setattr__(self, "prompt", tuple(int(token) for token in self.prompt))
        if self.positions == "window" and self.hears == "clip":
            raise ModelError('A composite with positions "window" also hears the "window".')

    @property
    def reads(self) -> int:
        """How many tokens are read at each position."""
        return sum(count for *_, count in self.windows)

    @classmethod
    def read(cls, values: dict[str, Any]) -> CompositeConfig:
        """Take the settings out of a config.json."""
        known = {f.name for f in fields(cls)}
        if "stack" not in values:
            raise ModelError("The composite's config.json does not say how many frames stack up.")
        return cls(**{k: v for k, v in values.items() if k in known})

    def to_json(self) -> str:
        """The config.json of such a composite."""
        return json.dumps({"model_type": "modgap_composite", **asdict(self)}, indent=2)


class StackAdapter(nn.Module):
    """Stacked frames through two linear layers, with RMS norms where the weights have them.

    Parameters
    ----------
    weights : dict of str to Tensor
        ``linear1.weight`` (h, stack * d), ``linear2.weight`` (d_llm, h or h / 2), and where there
        are any ``linear1.bias``, ``linear2.bias``, ``norm_in.weight``, ``norm_mid.weight``,
        ``norm_out.weight``.
    config : CompositeConfig
    """

    def __init__(self, weights: dict[str, Tensor], config: CompositeConfig) -> None:
        super().__init__()
        self.config = config
        self.linear1: Any
        self.linear2: Any
        self.norm_in: Any
        self.norm_mid: Any
        self.norm_out: Any
        left = dict(weights)
        for name in ("linear1", "linear2"):
            weight, bias = left.pop(f"{name}.weight", None), left.pop(f"{name}.bias", None)
            if weight is None:
                raise ModelError(f"The composite's adapter.safetensors lacks {name}.weight.")
            layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
            layer.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
            setattr(self, name, layer)
        for name in ("norm_in", "norm_mid", "norm_out"):
            weight = left.pop(f"{name}.weight", None)
            norm: nn.Module = nn.Identity()
            if weight is not None:
                norm = nn.RMSNorm(len(weight), eps=config.norm_eps)
                norm.load_state_dict({"weight": weight})
            setattr(self, name, norm)
        if left:
            raise ModelError(
                f"The composite's adapter.safetensors holds {sorted(left)[0]}, which no part of "
                "this adapter is."
            )

    @property
    def widths(self) -> tuple[int, int]:
        """Values of the stacked frames, and of a position."""
        return self.linear1.in_features, self.linear2.out_features

    def forward(self, stacked: Tensor) -> Tensor:
        """Positions (B, n, d_llm) of stacked frames (B, n, stack * d)."""
        x = self.linear1(self.norm_in(stacked))
        if self.config.activation == "swiglu":
            x, gate = x.chunk(2, dim=-1)
            x = functional.silu(gate) * x
        else:
            x = getattr(functional, self.config.activation)(x)
        return self.norm_out(self.linear2(self.norm_mid(x)))


def make_adapter(
    weights: dict[str, Tensor], config: CompositeConfig
) -> StackAdapter | ConvTransformerAdapter:
    """The adapter of the kind that the settings name, with these weights."""
    if config.adapter == "conv_transformer":
        return ConvTransformerAdapter.of_weights(weights, config.heads)
    return StackAdapter(weights, config)


def stack(frames: Tensor, config: CompositeConfig) -> Tensor:
    """Frames (B, T, d) side by side: (B, n, stack * d)."""
    k = config.stack
    over = frames.shape[1] % k
    if over and config.last == "pad":
        frames = functional.pad(frames, (0, 0, 0, k - over))
    elif over:
        frames = frames[:, :-over]
    return frames.reshape(len(frames), -1, k * frames.shape[2])


class Composite(nn.Module):
    """What `SpeechLM` needs of a transformers model, with the text model's own parts behind it."""

    def __init__(
        self, encoder: Any, adapter: Any, llm: Any, settings: CompositeConfig,
        reader: Any = None, shared: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.shared = shared
        self.encoder, self.reader, self.adapter, self.llm = encoder, reader, adapter, llm
        self.settings = settings
        self.config, self.generation_config = llm.config, llm.generation_config

    @property
    def dtype(self) -> torch.dtype:
        return self.llm.dtype

    @property
    def base_model(self) -> Any:
        """Called as transformers' base models are: states, no logits."""
        return self._states

    def get_decoder(self) -> Any:
        return self.llm.get_decoder()

    def get_input_embeddings(self) -> Any:
        return self.llm.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        return self.llm.get_output_embeddings()

    def speech(self, input_features: Tensor) -> Tensor:
        """Positions (n, d_llm) of mel features (1, mels, frames), padding silence included."""
        frames = encode(self.encoder, input_features)
        stacked = stack(frames, self.settings)
        if self.reader is None:
            return self.adapter(stacked)[0]
        count = 0 if self.shared is None else self.settings.words
        read = self.reader(frames, stacked.shape[1], self.settings.stack, count)
        stacked = torch.cat([stacked, read.states], -1)
        if self.shared is None:
            return self.adapter(stacked)[0]
        embedding = self.get_input_embeddings()
        ids = self.shared[read.numbers.to(self.shared.device)].to(embedding.weight.device)
        embeds = embedding(ids).to(stacked.device)
        words = (embeds.float() * read.shares[..., None]).sum(-2)[None].to(stacked.dtype)
        made = self.adapter(stacked, None, words)
        if not self.settings.nearest:
            return made[0]
        table = embedding.weight[self.shared.to(embedding.weight.device)].to(stacked.device)
        return self.adapter.in_words(made, table, self.settings.nearest)[0].to(made.dtype)

    def embed(
        self, input_ids: Tensor, input_features: Tensor | None, speech_mask: Tensor | None
    ) -> Tensor:
        """Embeddings (1, S, d_llm) of ids, with speech where `speech_mask` (1, <= S) says so."""
        embeds = self.get_input_embeddings()(input_ids)
        if input_features is None or speech_mask is None:
            return embeds
        speech = self.speech(input_features)
        at = speech_mask[0].nonzero()[:, 0].to(embeds.device)
        embeds = embeds.clone()
        embeds[0, at] = speech[: len(at)].to(embeds.device, embeds.dtype)
        return embeds

    def _states(
        self,
        input_ids: Tensor,
        input_features: Tensor | None = None,
        speech_mask: Tensor | None = None,
        **inputs: Any,
    ) -> Any:
        embeds = self.embed(input_ids, input_features, speech_mask)
        return self.llm.base_model(inputs_embeds=embeds, **inputs)

    def forward(
        self,
        input_ids: Tensor,
        input_features: Tensor | None = None,
        speech_mask: Tensor | None = None,
        **inputs: Any,
    ) -> Any:
        """As the text model's own forward; shapes as for `embed`."""
        embeds = self.embed(input_ids, input_features, speech_mask)
        return self.llm(inputs_embeds=embeds, **inputs)


def encode(encoder: Any, mel: Tensor) -> Tensor:
    """Frames (1, T, d) of a Whisper encoder, which itself takes nothing but its whole window.

    The same computation on the positions that there are: a frame attends to no silence that was
    not given.
    """
    x = functional.gelu(encoder.conv1(mel))
    x = functional.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.embed_positions.weight[: x.shape[1]]
    for layer in encoder.layers:
        out = layer(x, None)
        x = out[0] if isinstance(out, tuple) else out
    return encoder.layer_norm(x)


def load_encoder(file: Path, config: dict[str, Any], dtype: torch.dtype) -> Any:
    """The encoder of a Whisper checkpoint, whole or by itself."""
    from safetensors.torch import load_file
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    if config.get("model_type") != "whisper":
        raise ModelError("The composite's encoder folder has to hold a Whisper checkpoint.")
    encoder: Any = WhisperEncoder(WhisperConfig.from_dict(config))
    weights = {}
    for name, weight in load_file(file).items():
        short = name.removeprefix("model.")
        if not short.startswith(("decoder.", "proj_out.")):
            weights[short.removeprefix("encoder.")] = weight
    missing, extra = encoder.load_state_dict(weights, strict=False)
    if missing:
        raise ModelError(
            f"The composite's encoder lacks weights ({len(missing)}, for example {missing[0]}): "
            "take the encoder's files from the Whisper checkpoint it was trained on."
        )
    if extra:
        raise ModelError(
            f"The composite's encoder holds weights that Whisper's has no place for ({len(extra)}, "
            f"for example {extra[0]}): take its config.json from the same checkpoint."
        )
    return encoder.to(dtype)

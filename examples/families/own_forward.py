"""A speech model with code of its own, whose forward merges the clip into the prompt by itself.

As a lab would have it: one file with the model and with what modgap needs to know of it. Run

    modgap analyze clip.wav --transcript "..." --model FOLDER --family own_forward.py

`test_own_forward.py` beside it makes a tiny checkpoint and passes modgap's suite with it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
import transformers
from torch import nn
from transformers.modeling_outputs import CausalLMOutputWithPast

import modgap
from modgap.models.template import chatml

# ---- the lab's own code: modgap asks nothing of it but a forward with a cache -------------------


class MyConfig(transformers.PretrainedConfig):
    """A stack of spectrum frames a position, a linear layer, and a Qwen2."""

    model_type = "my_speech_model"
    sub_configs: ClassVar[dict[str, Any]] = {"text_config": transformers.Qwen2Config}

    def __init__(
        self,
        text_config: Any = None,
        bins: int = 80,
        frames: int = 4,
        slot_id: int = 0,
        **more: Any,
    ) -> None:
        given = text_config if isinstance(text_config, dict) else {}
        self.text_config = (
            text_config
            if isinstance(text_config, transformers.Qwen2Config)
            else transformers.Qwen2Config(**given)
        )
        self.bins, self.frames, self.slot_id = bins, frames, slot_id
        super().__init__(**more)


class MyModel(transformers.PreTrainedModel, transformers.GenerationMixin):
    """Spectra in the place of the slots, then the text model."""

    config_class = MyConfig
    _no_split_modules: ClassVar[list[str]] = ["Qwen2DecoderLayer"]

    def __init__(self, config: MyConfig) -> None:
        super().__init__(config)
        text = config.text_config
        self.projector = nn.Linear(config.bins * config.frames, text.hidden_size)
        self.language_model = transformers.Qwen2Model(text)
        self.head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def get_decoder(self) -> nn.Module:
        return self.language_model

    def forward(
        self, input_ids: Any = None, spectra: Any = None, labels: Any = None, **inputs: Any
    ) -> CausalLMOutputWithPast:
        embeds = self.get_input_embeddings()(input_ids)
        if spectra is not None:
            at = (input_ids == self.config.slot_id).unsqueeze(-1)
            embeds = embeds.masked_scatter(at, self.projector(spectra).to(embeds.dtype))
        out = self.language_model(inputs_embeds=embeds, **inputs)
        return CausalLMOutputWithPast(
            logits=self.head(out.last_hidden_state),
            past_key_values=out.past_key_values,
            hidden_states=out.hidden_states,
        )


class Spectra:
    """What it hears: log magnitudes of 10 ms, `frames` side by side."""

    def __init__(
        self, bins: int = 80, frames: int = 4, sampling_rate: int = 16000, **_: Any
    ) -> None:
        self.bins, self.frames, self.sampling_rate = bins, frames, sampling_rate

    @classmethod
    def from_pretrained(cls, where: str, **options: Any) -> Spectra:
        read, _ = transformers.PretrainedConfig.get_config_dict(where, **options)
        return cls(**{k: read[k] for k in ("bins", "frames") if k in read})

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def __call__(self, wave: np.ndarray) -> torch.Tensor:
        hop = self.sampling_rate // 100
        whole = len(wave) // (hop * self.frames) * self.frames
        blocks = np.asarray(wave[: whole * hop], dtype=np.float32).reshape(whole, hop)
        size = np.abs(np.fft.rfft(blocks * np.hanning(hop), axis=1))[:, : self.bins]
        log = np.log(np.maximum(size, 1e-3)).astype(np.float32)
        return torch.from_numpy(log).reshape(1, -1, self.bins * self.frames)


# ---- what modgap needs to know ------------------------------------------------------------------


class MyFamily(modgap.SpeechLM):
    """The adapter: where the model is, what it hears, and where that stands in the prompt."""

    model_type = "my_speech_model"  # what config.json says
    model_class = MyModel
    extractor_class = Spectra
    chat_template = chatml("<|clip|>", "You are a helpful assistant.")
    merges_in_forward = True  # else passes would go to a base_model below the forward
    max_seconds = None

    @property
    def placeholder(self) -> int:
        return int(self.hf.config.slot_id)

    @property
    def seconds_per_position(self) -> float:
        return self.extractor.frames / 100

    def encode_audio(self, wave: np.ndarray) -> modgap.AudioInput:
        spectra = self.extractor(wave)
        return modgap.AudioInput.of({"spectra": spectra}, self.placeholder, spectra.shape[1])


ADAPTER = MyFamily

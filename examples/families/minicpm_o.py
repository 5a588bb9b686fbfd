"""MiniCPM-o 2.6. NOT RUN with the released files: run `modgap check` with them first.

The checkpoint brings code of its own, written for transformers 4.44 and for a vocoder that hearing
does not need. This file runs none of it. The parts that hear are stock ones under the checkpoint's
names: a Whisper encoder (`apm`), two linear layers with a ReLU between them, a mean of every two
frames, and a Qwen2 (`llm`); what sees and speaks (`vpm`, `resampler`, `tts`) is left out.

Written after what the published code does (openbmb/MiniCPM-o-2_6, `modeling_minicpmo.py` and
`processing_minicpmo.py`):

- a frame of the encoder sees its own second of sound and those before it (`audio_chunk_length`);
- the prompt has each second between marks of its own, 25 positions of 40 ms each, which are filled
  with ``<unk>`` (`chat` calls this `chunk_input`, and has it on);
- the clip and typed text stand on lines of their own, there is no system text by itself, and an
  answer to a clip begins behind ``<|tts_bos|>``;
- longer clips are encoded in pieces of 30 s, of which this file takes one.

`test_minicpm_o.py` runs it with tiny weights under the same names.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
import transformers
from torch import nn
from transformers.models.whisper.modeling_whisper import WhisperEncoder

import modgap
from modgap.models.processor import Parts, hub_options

CLIP = "(<audio>./</audio>)"
START, END, SLOT = "<|audio_start|>", "<|audio_end|>", "<unk>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if not loop.first %}{{ '\n' }}{% endif %}"
    "{% if part['type'] == 'audio' %}" + CLIP + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>"
    "{% endif %}"
)


class MiniCPMOConfig(transformers.PretrainedConfig):
    """The checkpoint's config.json, which has the text model's settings at its top."""

    model_type = "minicpmo"
    sub_configs: ClassVar[dict[str, Any]] = {
        "text_config": transformers.Qwen2Config,
        "audio_config": transformers.WhisperConfig,
    }

    def __init__(
        self,
        text_config: Any = None,
        audio_config: Any = None,
        audio_pool_step: int = 2,
        audio_chunk_length: float = 1.0,
        **more: Any,
    ) -> None:
        if not isinstance(text_config, transformers.Qwen2Config):
            known = transformers.Qwen2Config().to_dict().keys() - {"model_type"}
            given = text_config or {k: v for k, v in more.items() if k in known}
            text_config = transformers.Qwen2Config(**given)
        if not isinstance(audio_config, transformers.WhisperConfig):
            audio_config = transformers.WhisperConfig(**(audio_config or {}))
        self.text_config, self.audio_config = text_config, audio_config
        self.audio_pool_step, self.audio_chunk_length = audio_pool_step, audio_chunk_length
        shared: dict[str, Any] = {"tie_word_embeddings": text_config.tie_word_embeddings}
        super().__init__(**shared)


class Projector(nn.Module):
    """From the encoder's width to the text model's."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(inner, outer), nn.Linear(outer, outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear2(torch.relu(self.linear1(x)))


class MiniCPMO(transformers.PreTrainedModel, transformers.GenerationMixin):
    """What of the checkpoint hears and answers."""

    config_class = MiniCPMOConfig
    _no_split_modules = ["Qwen2DecoderLayer", "WhisperEncoderLayer"]  # noqa: RUF012, as below
    _keys_to_ignore_on_load_unexpected = [r"^vpm\.", r"^resampler\.", r"^tts\."]  # noqa: RUF012

    def __init__(self, config: MiniCPMOConfig) -> None:
        super().__init__(config)
        self.llm = transformers.Qwen2ForCausalLM(config.text_config)
        self.apm = WhisperEncoder(config.audio_config)
        width = config.audio_config.d_model
        self.audio_projection_layer = Projector(width, config.text_config.hidden_size)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.llm.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.llm.lm_head

    def get_decoder(self) -> nn.Module:
        return self.llm.model

    def hear(self, mel: torch.Tensor) -> torch.Tensor:
        """(1, mels, frames) to (1, positions, d)."""
        gelu = nn.functional.gelu
        x = gelu(self.apm.conv2(gelu(self.apm.conv1(mel)))).transpose(1, 2)
        x = x + self.apm.embed_positions.weight[: x.shape[1]]
        second = torch.arange(x.shape[1], device=x.device) // int(
            50 * self.config.audio_chunk_length
        )
        later = second[None, :] > second[:, None]
        mask = torch.zeros(later.shape, dtype=x.dtype, device=x.device)
        mask = mask.masked_fill(later, float("-inf"))[None, None]
        for layer in self.apm.layers:
            x = layer(x, mask)
        x = self.audio_projection_layer(self.apm.layer_norm(x)).transpose(1, 2)
        return nn.functional.avg_pool1d(x, self.config.audio_pool_step).transpose(1, 2)

    def forward(
        self, input_ids: Any = None, audio_features: Any = None, speech_at: Any = None, **more: Any
    ) -> Any:
        embeds = self.get_input_embeddings()(input_ids)
        if audio_features is not None and speech_at is not None and input_ids.shape[1] > 1:
            heard = self.hear(audio_features)[0].to(embeds.dtype)
            embeds = embeds.index_copy(1, speech_at[0], heard[None])
        return self.llm(inputs_embeds=embeds, **more)


class MiniCPMOFamily(modgap.SpeechLM):
    """The adapter."""

    model_type = "minicpmo"
    model_class = MiniCPMO
    merges_in_forward = True
    max_seconds = 30.0
    frames_per_position = 4
    slot_before, slot_after = START, END
    audio_slot = CLIP
    checkpoints: ClassVar[dict[str, str]] = {
        "openbmb/MiniCPM-o-2_6": "MiniCPM-o 2.6, 8B, wants a GPU",
    }

    @classmethod
    def refusal(cls, config: dict[str, Any]) -> str | None:
        if str(config.get("version", "2.6")) != "2.6":
            return "this file is for MiniCPM-o 2.6; later ones have another text model and prompt"
        return None

    @classmethod
    def load_processor(cls, where: str, options: dict[str, Any]) -> Any:
        # The tokenizer's own class, code of the checkpoint's, only names its marks.
        kind = transformers.PreTrainedTokenizerFast
        tokenizer = kind.from_pretrained(where, **hub_options(options))
        return Parts(tokenizer, transformers.WhisperFeatureExtractor(), TEMPLATE)

    @property
    def placeholder(self) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(SLOT))

    def encode_audio(self, wave: np.ndarray) -> modgap.AudioInput:
        batch = self.extractor(
            wave, sampling_rate=self.sampling_rate, padding="max_length",
            return_attention_mask=True, return_tensors="pt",
        )  # fmt: skip
        frames = int(batch["attention_mask"].sum())
        step = self.hf.config.audio_pool_step
        n = ((frames - 1) // 2 + 1 - step) // step + 1
        each = int(50 * self.hf.config.audio_chunk_length) // step
        between = [int(self.tokenizer.convert_tokens_to_ids(mark)) for mark in (END, START)]
        ids: list[int] = []
        content: list[int] = []
        for position in range(n):
            if position and position % each == 0:
                ids += between
            content.append(len(ids))
            ids.append(self.placeholder)
        features = {"audio_features": batch["input_features"][..., :frames]}
        return modgap.AudioInput(features, ids, content)

    def _placed(self, audio: modgap.AudioInput, start: int, length: int) -> dict[str, torch.Tensor]:
        # By their places: typed words may hold an <unk>, too.
        at = torch.tensor([audio.content]) + start
        return {**audio.features, "speech_at": at}


ADAPTER = MiniCPMOFamily

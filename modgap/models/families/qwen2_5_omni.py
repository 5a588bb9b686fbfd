"""Qwen2.5-Omni, its thinker: a Whisper-like encoder with block attention and a Qwen2.5 decoder.

The talker and the vocoder, which say the answer aloud, are not loaded.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from modgap.models.base import SpeechLM
from modgap.models.prompt import AudioInput
from modgap.models.template import chatml
from modgap.models.vendor import VendorPrompt


class Qwen25Omni(SpeechLM):
    """The adapter of ``Qwen2_5OmniThinkerForConditionalGeneration``."""

    model_type = "qwen2_5_omni"
    model_class = "Qwen2_5OmniThinkerForConditionalGeneration"
    chat_template = chatml("<|audio_bos|><|AUDIO|><|audio_eos|>", "You are a helpful assistant.")
    system_in_parts = True
    vendor = VendorPrompt(
        system="You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable "
        "of perceiving auditory and visual inputs, as well as generating text and speech.",
        source="the model card",
    )
    frames_per_position = 4  # the stride of two convolutions and the mean of two frames
    checkpoints: ClassVar[dict[str, str]] = {
        "Qwen/Qwen2.5-Omni-7B": "Qwen2.5-Omni, 7B, the thinker, wants a GPU",
        "Qwen/Qwen2.5-Omni-3B": "Qwen2.5-Omni, 3B, the thinker, wants a GPU",
    }

    @property
    def max_seconds(self) -> float:
        return float(self.extractor.chunk_length)

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class."""
        # Silence behind the clip, as the processor pads it, and no more than a frame can see.
        batch = self.extractor(
            wave,
            sampling_rate=self.sampling_rate,
            padding="max_length",
            max_length=len(wave) + 2 * self.extractor.n_fft,
            return_attention_mask=True,
            return_tensors="pt",
        )
        frames = int(batch["attention_mask"].sum())
        features = {
            "input_features": batch["input_features"][..., :frames],
            "feature_attention_mask": torch.ones(1, frames, dtype=torch.long),
        }
        return AudioInput.of(features, self.placeholder, ((frames - 1) // 2 - 1) // 2 + 1)


ADAPTER = Qwen25Omni

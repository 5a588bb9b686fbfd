"""Phi-4-multimodal: a conformer encoder, a projector and a Phi-4-mini decoder, with a speech LoRA.

The clip is merged inside the decoder, before its first layer. The speech adapter of the folder
``speech-lora`` is on for both prompts until `use_lora` says otherwise, and recorded.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.prompt import AudioInput
from modgap.models.vendor import VendorPrompt

_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Phi4Multimodal(SpeechLM):
    """The adapter of ``Phi4MultimodalForCausalLM``."""

    model_type = "phi4_multimodal"
    model_class = "Phi4MultimodalForCausalLM"
    extractor_class = "Phi4MultimodalFeatureExtractor"
    chat_template = _TEMPLATE
    one_string = True
    vendor = VendorPrompt(text_adapter=False, source="modeling_phi4mm.py, input mode LANGUAGE")
    adapter_folder = "speech-lora"
    weight_folders = ("speech-lora",)
    checkpoints: ClassVar[dict[str, str]] = {
        "microsoft/Phi-4-multimodal-instruct": (
            "Phi-4-multimodal, 5.6B, revision refs/pr/70, wants a GPU"
        ),
    }
    max_seconds = None

    @property
    def placeholder(self) -> int:
        return int(self.hf.config.audio_config.audio_token_id)

    @property
    def seconds_per_position(self) -> float:
        fe = self.extractor
        strides = fe.audio_compression_rate * fe.audio_downsample_rate
        return strides * fe.hop_length / self.sampling_rate

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class."""
        batch = self.extractor(wave, sampling_rate=self.sampling_rate, return_tensors="pt")
        features = {k: batch[k] for k in ("audio_input_features", "audio_embed_sizes")}
        return AudioInput.of(features, self.placeholder, int(batch["audio_embed_sizes"]))


ADAPTER = Phi4Multimodal

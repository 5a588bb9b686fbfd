"""Gemma 4 12B: frames of 40 ms of raw sound, projected straight into the decoder."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.prompt import AudioInput
from modgap.models.vendor import VendorPrompt


class Gemma4Unified(SpeechLM):
    """The adapter of ``Gemma4UnifiedForConditionalGeneration``."""

    model_type = "gemma4_unified"
    model_class = "Gemma4UnifiedForConditionalGeneration"
    extractor_class = "Gemma4UnifiedAudioFeatureExtractor"
    checkpoints: ClassVar[dict[str, str]] = {
        "google/gemma-4-12B-it": "Gemma 4, 12B, no audio encoder, wants a GPU",
    }
    vendor = VendorPrompt(audio_first=False, source="the model card: audio after the text")
    max_seconds = 30.0  # of 750 positions, the most that its processor names

    def __init__(self, hf: Any, processor: Any, **kwargs: Any) -> None:
        super().__init__(hf, processor, **kwargs)
        # The processor, not the template, writes what stands around the placeholders.
        name = self.tokenizer.convert_ids_to_tokens
        self.slot_before = str(name(hf.config.boa_token_id))
        self.slot_after = str(name(hf.config.eoa_token_index))

    @property
    def frame(self) -> int:
        """Samples in a position."""
        return int(self.hf.config.audio_config.audio_samples_per_token)

    @property
    def seconds_per_position(self) -> float:
        return self.frame / self.sampling_rate

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class."""
        batch = self.extractor(wave, sampling_rate=self.sampling_rate, return_tensors="pt")
        features = {k: batch[k] for k in ("input_features", "input_features_mask")}
        return AudioInput.of(features, self.placeholder, int(batch["input_features_mask"].sum()))


ADAPTER = Gemma4Unified

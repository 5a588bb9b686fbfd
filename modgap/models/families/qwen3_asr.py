"""Qwen3-ASR: the encoder of Qwen3-Omni before a Qwen3 decoder, tuned to transcribe."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.families.qwen3_omni_moe import chunk_times
from modgap.models.prompt import AudioInput
from modgap.models.template import chatml


class Qwen3ASR(SpeechLM):
    """The adapter of ``Qwen3ASRForConditionalGeneration``."""

    model_type = "qwen3_asr"
    model_class = "Qwen3ASRForConditionalGeneration"
    extractor_class = "Qwen3ASRFeatureExtractor"
    chat_template = chatml("<|audio_start|><|audio_pad|><|audio_end|>")
    frames_per_position = 8
    checkpoints: ClassVar[dict[str, str]] = {
        "Qwen/Qwen3-ASR-1.7B-hf": "Qwen3-ASR, 1.7B, a recogniser",
        "Qwen/Qwen3-ASR-0.6B-hf": "Qwen3-ASR, 0.6B, a recogniser",
    }
    max_seconds = None

    @classmethod
    def refusal(cls, config: dict[str, Any]) -> str | None:
        """See the base class; the first release is in the layout of Qwen's own code."""
        if "thinker_config" in config:
            return (
                "this release is in the layout of Qwen's own package. Load the one whose name ends "
                "in -hf, as in Qwen/Qwen3-ASR-1.7B-hf"
            )
        return None

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class; the mel frames are padded to whole chunks, the positions are not."""
        window = int(self.hf.config.audio_config.n_window)
        batch = self.extractor(
            wave,
            sampling_rate=self.sampling_rate,
            padding=True,
            return_attention_mask=True,
            n_window=window,
            return_tensors="pt",
        )
        mask = batch["attention_mask"]
        second = self.extractor.hop_length / self.sampling_rate
        times = chunk_times(int(mask.sum()), 2 * window) * second
        features = {"input_features": batch["input_features"], "input_features_mask": mask}
        return AudioInput.of(features, self.placeholder, len(times), times=times)


ADAPTER = Qwen3ASR

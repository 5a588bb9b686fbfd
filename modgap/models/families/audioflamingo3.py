"""Audio Flamingo 3: a Whisper encoder in windows of 30 s and a Qwen2.5 decoder."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.processor import chunked
from modgap.models.prompt import AudioInput
from modgap.models.template import chatml


class AudioFlamingo3(SpeechLM):
    """The adapter of ``AudioFlamingo3ForConditionalGeneration``."""

    model_type = "audioflamingo3"
    model_class = "AudioFlamingo3ForConditionalGeneration"
    chat_template = chatml("<sound>", "You are a helpful assistant.")
    frames_per_position = 4
    checkpoints: ClassVar[dict[str, str]] = {
        "nvidia/audio-flamingo-3-hf": "Audio Flamingo 3, 8B, wants a GPU",
    }
    max_seconds = 600.0

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class."""
        batch = chunked(self.extractor, wave)
        mask = batch["attention_mask"]
        features = {"input_features": batch["input_features"], "input_features_mask": mask}
        n = ((int(mask.sum()) - 1) // 2 - 1) // 2 + 1
        return AudioInput.of(features, self.placeholder, n)


ADAPTER = AudioFlamingo3

"""Voxtral: a Whisper encoder in windows of 30 s, four frames to a position, and a Llama decoder.

Every started window fills 375 positions, so most of a short clip's are padding silence; they are
in the prompt, as in training, but they are not speech positions.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.prompt import AudioInput

_TEMPLATE = (
    "<s>{% for message in messages %}{% if message['role'] == 'user' %}[INST]"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}[BEGIN_AUDIO][AUDIO]"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}[/INST]{% endif %}{% endfor %}"
)


class Voxtral(SpeechLM):
    """The adapter of ``VoxtralForConditionalGeneration``; needs no mistral-common."""

    model_type = "voxtral"
    model_class = "VoxtralForConditionalGeneration"
    chat_template = _TEMPLATE
    frames_per_position = 8
    checkpoints: ClassVar[dict[str, str]] = {
        "mistralai/Voxtral-Mini-3B-2507": "Voxtral Mini, 3B, wants a GPU",
        "mistralai/Voxtral-Small-24B-2507": "Voxtral Small, 24B",
    }
    max_seconds = None

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class; the whole clip is scaled as one and then cut into windows."""
        batch = self.extractor(
            wave,
            sampling_rate=self.sampling_rate,
            padding=True,
            truncation=False,
            pad_to_multiple_of=self.extractor.n_samples,
            return_tensors="pt",
        )
        mels, frames = batch["input_features"].shape[1:]
        windows = batch["input_features"].reshape(mels, -1, self.extractor.nb_max_frames)
        features = {"input_features": windows.transpose(0, 1)}
        samples = self.seconds_per_position * self.sampling_rate
        n = math.ceil(len(wave) / samples)
        return AudioInput.of(features, self.placeholder, n, frames // 8 - n)


ADAPTER = Voxtral

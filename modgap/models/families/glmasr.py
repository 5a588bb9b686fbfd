"""GLM-ASR: a Whisper-like encoder in windows of 30 s and a Llama decoder, tuned to transcribe.

The placeholder is the tokenizer's padding token, so spans are known by position, never by id.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.processor import chunked
from modgap.models.prompt import AudioInput

# As released: behind a clip the user's turn is opened once more, with or without words in it.
_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}"
    "<|begin_of_audio|><|pad|><|end_of_audio|><|user|>{% if not loop.last %}{{ '\n' }}{% endif %}"
    "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


class GlmAsr(SpeechLM):
    """The adapter of ``GlmAsrForConditionalGeneration``."""

    model_type = "glmasr"
    model_class = "GlmAsrForConditionalGeneration"
    chat_template = _TEMPLATE
    frames_per_position = 8
    checkpoints: ClassVar[dict[str, str]] = {
        "zai-org/GLM-ASR-Nano-2512": "GLM-ASR Nano, 1.5B, a recogniser",
    }
    max_seconds = 655.0

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class."""
        batch = chunked(self.extractor, wave)
        mask = batch["attention_mask"]
        features = {"input_features": batch["input_features"], "input_features_mask": mask}
        n = ((int(mask.sum()) - 1) // 2 + 1) // 4
        return AudioInput.of(features, self.placeholder, n)


ADAPTER = GlmAsr

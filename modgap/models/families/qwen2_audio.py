"""Qwen2-Audio: a Whisper encoder, a linear projector and a Qwen2 decoder.

The clip is padded to the encoder's fixed window and only its own frames are pooled, in fours, into
positions of the prompt, so no position holds mere padding silence.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.prompt import AudioInput


class Qwen2Audio(SpeechLM):
    """The adapter of ``Qwen2AudioForConditionalGeneration``."""

    model_type = "qwen2_audio"
    model_class = "Qwen2AudioForConditionalGeneration"
    processor_class = "Qwen2AudioProcessor"
    plain_decoder = True
    tested = "runs the embedded models; the released weights were never run here"
    checkpoints: ClassVar[dict[str, str]] = {
        "Qwen/Qwen2-Audio-7B-Instruct": "Qwen2-Audio, 7B, instruction-tuned; 17 GB, wants a GPU",
    }

    def __init__(self, hf: Any, processor: Any, **kwargs: Any) -> None:
        super().__init__(hf, processor, **kwargs)
        self.encoder = hf.model.audio_tower
        convolutions = self.encoder.conv1.stride[0] * self.encoder.conv2.stride[0]
        window = self.encoder.config.max_source_positions * convolutions
        if self.extractor.nb_max_frames != window:
            raise ModelError(
                f"The feature extractor pads clips to {self.extractor.nb_max_frames} frames, but "
                f"the audio encoder takes {window}: its chunk_length and the encoder's "
                "max_source_positions do not fit each other."
            )
        pooled = self.encoder.avg_pooler.stride
        self._frames_per_position = convolutions * (
            pooled[0] if isinstance(pooled, tuple) else pooled
        )

    @property
    def max_seconds(self) -> float:
        return self.extractor.n_samples / self.sampling_rate

    @property
    def seconds_per_position(self) -> float:
        return self._frames_per_position * self.extractor.hop_length / self.sampling_rate

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class; the placeholders are counted as the model itself counts them."""
        batch = self.extractor(
            wave,
            sampling_rate=self.sampling_rate,
            padding="max_length",
            return_attention_mask=True,
            return_tensors="pt",
        )
        mask = batch["attention_mask"]
        _, lengths = self.encoder._get_feat_extract_output_lengths(mask.sum(-1))
        features = {"input_features": batch["input_features"], "feature_attention_mask": mask}
        return AudioInput.of(features, self.placeholder, int(lengths))


ADAPTER = Qwen2Audio

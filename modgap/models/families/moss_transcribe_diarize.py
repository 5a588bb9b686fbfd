"""MOSS-Transcribe-Diarize: a Whisper encoder, four frames to a position, a Qwen3 decoder.

Every two seconds the number of seconds stands between the speech positions, in digits: the speech
of a longer clip is not one stretch of the prompt. The digits are no speech positions.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.prompt import AudioInput
from modgap.models.template import chatml


class MossTranscribeDiarize(SpeechLM):
    """The adapter of ``MossTranscribeDiarizeForConditionalGeneration``."""

    model_type = "moss_transcribe_diarize"
    model_class = "MossTranscribeDiarizeForConditionalGeneration"
    processor_class = "MossTranscribeDiarizeProcessor"
    chat_template = chatml("<|audio_start|><|audio_pad|><|audio_end|>")
    checkpoints: ClassVar[dict[str, str]] = {
        "hf-audio/MOSS-Transcribe-Diarize-HF": "MOSS-Transcribe-Diarize, 0.9B, a recogniser",
    }
    max_seconds = None

    @property
    def seconds_per_position(self) -> float:
        merged = 2 * self.hf.config.audio_merge_size
        return merged * self.extractor.hop_length / self.sampling_rate

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class; positions and digits as the processor writes them."""
        batch = self.extractor(wave, sampling_rate=self.sampling_rate, return_tensors="pt")
        merge = self.hf.config.audio_merge_size
        frames = (batch["input_features_mask"].sum(-1) - 1) // 2 + 1
        n = int(((frames + merge - 1) // merge).sum())
        ids, content = [], []
        every = self.processor.time_marker_every_seconds
        rate = self.processor.audio_tokens_per_second
        step = int(rate * every)
        for i in range(n):
            if step and i and i % step == 0:
                ids += self.chat.content(str(i // step * every))[0]
            content.append(len(ids))
            ids.append(self.placeholder)
        if step and n % step == 0 and n // step * every <= int(n / rate):
            ids += self.chat.content(str(n // step * every))[0]
        features = {k: batch[k] for k in ("input_features", "input_features_mask", "padding_mask")}
        return AudioInput(features, ids, content)


ADAPTER = MossTranscribeDiarize

"""Qwen3-Omni, its thinker: an encoder in chunks of 1 s and a mixture-of-experts decoder.

Each second of sound gives 13 positions: twelve of 80 ms and one of the 40 ms that are left. The
talker and the vocoder are not loaded.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.prompt import AudioInput
from modgap.models.template import chatml


class Qwen3Omni(SpeechLM):
    """The adapter of ``Qwen3OmniMoeThinkerForConditionalGeneration``."""

    model_type = "qwen3_omni_moe"
    model_class = "Qwen3OmniMoeThinkerForConditionalGeneration"
    chat_template = chatml("<|audio_start|><|audio_pad|><|audio_end|>")
    system_in_parts = True
    frames_per_position = 8
    checkpoints: ClassVar[dict[str, str]] = {
        "Qwen/Qwen3-Omni-30B-A3B-Instruct": "Qwen3-Omni, 30B (3B active), the thinker",
    }
    max_seconds = None

    @property
    def chunk_frames(self) -> int:
        """Mel frames that the encoder takes at a time."""
        return 2 * int(self.hf.config.audio_config.n_window)

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class."""
        batch = self.extractor(
            wave,
            sampling_rate=self.sampling_rate,
            padding=True,
            truncation=False,
            return_attention_mask=True,
            return_tensors="pt",
        )
        frames = int(batch["attention_mask"].sum())
        features = {
            "input_features": batch["input_features"],
            "feature_attention_mask": batch["attention_mask"],
        }
        second = self.extractor.hop_length / self.sampling_rate
        times = chunk_times(frames, self.chunk_frames) * second
        return AudioInput.of(features, self.placeholder, len(times), times=times)


def chunk_times(frames: int, chunk: int) -> np.ndarray:
    """Mel frames [start, end) of each position: three strides of 2 within chunks, rounded up.

    Parameters
    ----------
    frames : int
        Of the clip.
    chunk : int
        Frames of a whole chunk; each begins anew.

    Returns
    -------
    int64 ndarray (n, 2)
    """
    rows = []
    for begin in range(0, frames, chunk):
        here = min(chunk, frames - begin)
        starts = np.arange(0, here, 8)
        rows.append(begin + np.stack([starts, np.minimum(starts + 8, here)], axis=1))
    return np.concatenate(rows)


ADAPTER = Qwen3Omni

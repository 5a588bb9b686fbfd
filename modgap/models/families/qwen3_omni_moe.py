"""Qwen3-Omni, its thinker: an encoder in chunks of 1 s and a mixture-of-experts decoder.

Each second of sound gives 13 positions: twelve of 80 ms and one of the 40 ms that are left. The
talker and the vocoder are not loaded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.processor import hub_options
from modgap.models.prompt import AudioInput
from modgap.models.template import chatml
from modgap.models.vendor import VendorPrompt

#: In the whole's config.json: the Instruct checkpoints can say their answers, the Thinking not.
_TALKS = "enable_audio_output"


class Qwen3Omni(SpeechLM):
    """The adapter of ``Qwen3OmniMoeThinkerForConditionalGeneration``."""

    model_type = "qwen3_omni_moe"
    model_class = "Qwen3OmniMoeThinkerForConditionalGeneration"
    chat_template = chatml("<|audio_start|><|audio_pad|><|audio_end|>")
    system_in_parts = True
    vendor = VendorPrompt(
        decoding={"do_sample": False},
        source="QwenLM/Qwen3-Omni, README.md, Setting for Evaluation: greedy, no system text, the "
        "text behind the clip",
    )
    frames_per_position = 8
    checkpoints: ClassVar[dict[str, str]] = {
        "Qwen/Qwen3-Omni-30B-A3B-Instruct": "Qwen3-Omni, 30B (3B active), the thinker",
    }
    max_seconds = None

    def __init__(self, hf: Any, processor: Any, **kwargs: Any) -> None:
        super().__init__(hf, processor, **kwargs)
        if not getattr(hf.config, _TALKS, True):
            # Thinking checkpoints, which have no talker, decode by their generation_config.
            self.vendor = replace(self.vendor, decoding={})

    @classmethod
    def load_weights(cls, where: str, **options: Any) -> tuple[Any, dict[str, Any]]:
        """See the base class; the thinker's config keeps whether the whole can talk."""
        hf, report = super().load_weights(where, **options)
        whole, _ = type(hf.config).get_config_dict(where, **hub_options(options))
        setattr(hf.config, _TALKS, bool(whole.get(_TALKS, True)))
        return hf, report

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

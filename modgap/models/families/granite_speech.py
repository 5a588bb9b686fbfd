"""Granite Speech: a conformer encoder, a Q-Former over blocks of 0.3 s, and a Granite decoder.

Three positions stand for each block, and each of them sees the whole block. The released
checkpoints have a LoRA adapter that transformers' ``generate`` switches on for speech and off for
text, and leaves so; here it is on for both prompts until `use_lora` says otherwise, and recorded.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch

from modgap.models.base import SpeechLM
from modgap.models.processor import extractor_settings, load_parts
from modgap.models.prompt import AudioInput
from modgap.models.vendor import VendorPrompt

_TEMPLATE = (
    "{% for message in messages %}<|start_of_role|>{{ message['role'] }}<|end_of_role|>"
    "{{ message['content'] }}<|end_of_text|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start_of_role|>assistant<|end_of_role|>{% endif %}"
)


class GraniteSpeech(SpeechLM):
    """The adapter of ``GraniteSpeechForConditionalGeneration``."""

    model_type = "granite_speech"
    model_class = "GraniteSpeechForConditionalGeneration"
    chat_template = _TEMPLATE
    one_string = True
    vendor = VendorPrompt(
        # With the date of the card's example, without which its template would add the day's.
        system="Knowledge Cutoff Date: April 2024.\nToday's Date: December 19, 2024.\n"
        "You are Granite, developed by IBM. You are a helpful AI assistant",
        text_adapter=False,
        source="the model card's example; transformers' generate, which switches the adapter",
    )
    checkpoints: ClassVar[dict[str, str]] = {
        "ibm-granite/granite-speech-3.3-2b": "Granite Speech 3.3, 2B, wants a GPU",
        "ibm-granite/granite-speech-3.3-8b": "Granite Speech 3.3, 8B, wants a GPU",
        "ibm-granite/granite-4.0-1b-speech": "Granite 4.0 Speech, 1B",
    }
    max_seconds = None

    @classmethod
    def load_processor(cls, where: str, options: dict[str, Any]) -> Any:
        """See the base class; transformers' own extractor would need torchaudio."""
        return load_parts(where, options, GraniteMel, cls.chat_template)

    @property
    def block(self) -> tuple[int, int]:
        """Encoder frames of a block, and its positions."""
        config = self.hf.config
        return config.window_size, config.window_size // config.downsample_rate

    @property
    def seconds_per_position(self) -> float:
        frames, positions = self.block
        return 2 * frames * self.extractor.hop_length / self.sampling_rate / positions

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class; each position's time is its block's."""
        features = self.extractor(wave)
        frames, positions = self.block
        blocks = math.ceil(features.shape[1] / frames)
        seconds = positions * self.seconds_per_position
        start = np.repeat(np.arange(blocks) * seconds, positions)
        return AudioInput.of(
            {"input_features": features},
            self.placeholder,
            blocks * positions,
            times=np.stack([start, start + seconds], axis=1),
        )


class GraniteMel:
    """Log mel features in pairs of frames, as ``GraniteSpeechFeatureExtractor`` makes them.

    That class computes them with torchaudio's ``MelSpectrogram``, whose published wheels do not
    load beside a CPU build of torch: a power spectrogram (reflected edges, Hann window) through
    triangular filters on the HTK mel scale without normalisation.
    """

    def __init__(
        self,
        sampling_rate: int = 16000,
        n_fft: int = 512,
        win_length: int = 400,
        hop_length: int = 160,
        n_mels: int = 80,
        **_: Any,
    ) -> None:
        from transformers.audio_utils import mel_filter_bank

        self.sampling_rate = sampling_rate
        self.n_fft, self.win_length, self.hop_length = n_fft, win_length, hop_length
        self.n_mels = n_mels
        filters = mel_filter_bank(n_fft // 2 + 1, n_mels, 0.0, sampling_rate / 2, sampling_rate)
        self.filters = torch.from_numpy(filters).float()

    @classmethod
    def from_pretrained(cls, where: str, **options: Any) -> GraniteMel:
        """Read the settings of a checkpoint."""
        read = extractor_settings(where, options)
        return cls(**{**read.get("melspec_kwargs", {}), **read})

    def to_dict(self) -> dict[str, Any]:
        """The settings."""
        return {k: v for k, v in vars(self).items() if k != "filters"}

    def __call__(self, wave: np.ndarray) -> torch.Tensor:
        """Features (1, frames, 2 * n_mels) of a float32 wave; a frame is 20 ms."""
        spectrum = torch.stft(
            torch.from_numpy(np.asarray(wave, dtype=np.float32)),
            self.n_fft,
            self.hop_length,
            self.win_length,
            torch.hann_window(self.win_length, dtype=torch.float32),
            pad_mode="reflect",
            return_complex=True,
        )
        mel = (spectrum.abs() ** 2).T @ self.filters
        log = mel.clamp_min(1e-10).log10()
        log = torch.maximum(log, log.max() - 8.0) / 4 + 1
        return log[: len(log) // 2 * 2].reshape(1, -1, 2 * self.n_mels)


ADAPTER = GraniteSpeech

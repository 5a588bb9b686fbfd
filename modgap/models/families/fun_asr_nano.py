"""Fun-ASR-Nano: stacked Kaldi features, a memory-block encoder, a Qwen3 decoder; transcribes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch

from modgap.models.base import SpeechLM
from modgap.models.processor import extractor_settings, load_parts
from modgap.models.prompt import AudioInput
from modgap.models.template import chatml


class FunAsrNano(SpeechLM):
    """The adapter of ``FunAsrNanoForConditionalGeneration``."""

    model_type = "fun_asr_nano"
    model_class = "FunAsrNanoForConditionalGeneration"
    chat_template = chatml("<|object_ref_start|>", "You are a helpful assistant.")
    checkpoints: ClassVar[dict[str, str]] = {
        "FunAudioLLM/Fun-ASR-Nano-2512-hf": "Fun-ASR-Nano, 0.8B, a recogniser",
    }
    max_seconds = None

    @classmethod
    def load_processor(cls, where: str, options: dict[str, Any]) -> Any:
        """See the base class; transformers' own extractor would need torchaudio."""
        return load_parts(where, options, KaldiFeatures, cls.chat_template)

    @property
    def seconds_per_position(self) -> float:
        return self.extractor.stride_lfr * self.extractor.frame_shift / 1000

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class."""
        features = self.extractor(wave)
        mask = torch.ones(features.shape[:2], dtype=torch.long)
        inputs = {"input_features": features, "input_features_mask": mask}
        return AudioInput.of(inputs, self.placeholder, features.shape[1])


class KaldiFeatures:
    """Stacked log mel features, as ``FunAsrNanoFeatureExtractor`` makes them with torchaudio.

    Kaldi's filter bank (frames without their mean, preemphasis 0.97, mel filters from 20 Hz), then
    `num_frames_lfr` frames side by side, one such stack for every `stride_lfr` frames.
    """

    def __init__(
        self,
        feature_size: int = 80,
        sampling_rate: int = 16000,
        frame_length: int = 25,
        frame_shift: int = 10,
        num_frames_lfr: int = 7,
        stride_lfr: int = 6,
        window: str = "hamming",
        **_: Any,
    ) -> None:
        self.feature_size, self.sampling_rate, self.window = feature_size, sampling_rate, window
        self.frame_length, self.frame_shift = frame_length, frame_shift
        self.num_frames_lfr, self.stride_lfr = num_frames_lfr, stride_lfr

    @classmethod
    def from_pretrained(cls, where: str, **options: Any) -> KaldiFeatures:
        """Read the settings of a checkpoint."""
        return cls(**extractor_settings(where, options))

    def to_dict(self) -> dict[str, Any]:
        """The settings."""
        return dict(vars(self))

    def __call__(self, wave: np.ndarray) -> torch.Tensor:
        """Features (1, n, feature_size * num_frames_lfr) of a float32 wave."""
        from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

        length = self.sampling_rate * self.frame_length // 1000
        size = 2 ** int(np.ceil(np.log2(length)))
        filters = mel_filter_bank(
            size // 2 + 1,
            self.feature_size,
            20.0,
            self.sampling_rate / 2,
            self.sampling_rate,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
        mel = spectrogram(
            np.asarray(wave, dtype=np.float64),
            window_function(length, self.window, periodic=False),
            frame_length=length,
            hop_length=self.sampling_rate * self.frame_shift // 1000,
            fft_length=size,
            power=2.0,
            center=False,
            preemphasis=0.97,
            mel_filters=filters,
            log_mel="log",
            mel_floor=float(np.finfo(np.float32).eps),
            remove_dc_offset=True,
        ).T
        k, stride = self.num_frames_lfr, self.stride_lfr
        n = -(-len(mel) // stride)
        left = (k - 1) // 2
        right = max(k - 1 - left, (n - 1) * stride + k - left - len(mel))
        padded = np.pad(mel, ((left, right), (0, 0)), mode="edge")
        stacked = [padded[i * stride : i * stride + k].ravel() for i in range(n)]
        return torch.from_numpy(np.stack(stacked).astype(np.float32))[None]


ADAPTER = FunAsrNano

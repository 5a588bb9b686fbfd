"""Gemma 3n: a conformer encoder, four streams of states in a decoder whose last layers share keys.

Three things set it apart. A layer's states are four streams (AltUp), of which it works on the
first; a level here is that stream, the last level what all four are merged to before the norm, and
an edit changes the first stream alone. As in Gemma 4's E models, the last layers take keys and
values from earlier ones, and every layer has an input of its own made of the token ids. And the
vision tower, which needs timm, is not loaded: a stand-in without weights takes its place.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np

from modgap.models.base import SpeechLM
from modgap.models.families.gemma4 import Gemma4
from modgap.models.prompt import AudioInput
from modgap.models.vendor import VendorPrompt

_STREAMS = "the first of its four streams of states is changed, the others are not."


class Gemma3n(Gemma4):
    """The adapter of ``Gemma3nForConditionalGeneration``."""

    model_type = "gemma3n"
    model_class = "Gemma3nForConditionalGeneration"
    extractor_class = "Gemma3nAudioFeatureExtractor"
    streamed = True
    vendor = VendorPrompt()  # the order of Gemma 4's card is not said of it
    checkpoints: ClassVar[dict[str, str]] = {
        "google/gemma-3n-E2B-it": "Gemma 3n E2B, with restrictions, wants a GPU",
        "google/gemma-3n-E4B-it": "Gemma 3n E4B, with restrictions, wants a GPU",
    }
    max_seconds = 30.0

    def __init__(self, hf: Any, processor: Any, **kwargs: Any) -> None:
        SpeechLM.__init__(self, hf, processor, **kwargs)
        self.stream = int(self.decoder.config.altup_active_idx)
        name = self.tokenizer.convert_ids_to_tokens
        self.slot_before = "\n\n" + str(name(hf.config.boa_token_id))
        self.slot_after = str(name(hf.config.eoa_token_id)) + "\n\n"

    @classmethod
    def own_config(cls, where: str, options: dict[str, Any]) -> dict[str, Any]:
        """See the base class; the clip's model alone, without the vision tower."""
        import transformers

        kind = transformers.Gemma3nConfig
        read, _ = kind.get_config_dict(where, **options)
        vision = dict(read.pop("vision_config", None) or {})
        sizes = ("hidden_size", "vocab_size", "vocab_offset", "rms_norm_eps")
        config = kind(**{k: v for k, v in read.items() if k not in ("model_type", "_commit_hash")})
        config.vision_config = _blind()(**{k: vision[k] for k in sizes if k in vision})
        return {"config": config}

    @property
    def resumable(self) -> bool:
        return False

    @property
    def seconds_per_position(self) -> float:
        return self._frames_per_position * self.extractor.hop_length / self.sampling_rate

    @property
    def _frames_per_position(self) -> int:
        audio = self.hf.config.audio_config
        strides = [int(stride[0]) for stride in audio.sscp_conv_stride_size]
        return int(np.prod(strides)) * int(audio.conf_reduction_factor)

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """See the base class; there are always as many positions, those beyond the clip padding."""
        batch = self.extractor([wave], return_tensors="pt")
        features = {k: batch[k] for k in ("input_features", "input_features_mask")}
        heard = features["input_features_mask"][0, :: self._frames_per_position]
        n, total = int(heard.sum()), int(self.hf.config.audio_soft_tokens_per_image)
        return AudioInput.of(features, self.placeholder, n, total - n)

    def support(self) -> dict[str, str | None]:
        """See the base class."""
        found = super().support()
        if not self.shared:
            found["edit_every_level"] = None
        return found

    @property
    def notes(self) -> tuple[str, ...]:
        return (*super().notes, f"Gemma 3n: a level is its first stream; by an edit, {_STREAMS}")


@functools.cache
def _blind() -> Any:
    """The config of a vision tower without weights, known to transformers by its model."""
    import transformers

    class BlindConfig(transformers.Gemma3nVisionConfig):
        model_type = "modgap_no_vision"

    class Blind(transformers.PreTrainedModel):
        config_class = BlindConfig
        _keys_to_ignore_on_load_unexpected = [r"vision_tower\."]  # noqa: RUF012, as the base has it

        def __init__(self, config: BlindConfig) -> None:
            super().__init__(config)
            self.post_init()

    transformers.AutoModel.register(BlindConfig, Blind)
    return BlindConfig


ADAPTER = Gemma3n

"""A causal text model by itself: the base that a speech language model was made from.

For the accuracy of the base (method, section 5). It takes typed prompts and no clips.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from modgap.audio.clip import Clip
from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.processor import Parts, load_parts
from modgap.models.prompt import AudioInput, Prompt, TooLong
from modgap.models.skeleton import bare
from modgap.models.template import Frame
from modgap.models.vendor import Style, VendorPrompt

_REASON = "This is a text model: it takes typed prompts and no clips."
_SPEECH = (
    *("speech", "speech_times", "cosine", "euclidean", "aps", "monotonicity", "pad_content"),
    *("edit", "edit_every_level", "angle", "length", "both", "patch", "mean", "random", "map"),
    *("patching", "markers_keep"),
)


class TextLM(SpeechLM):
    """The adapter of every ``AutoModelForCausalLM`` whose layers are a plain stack."""

    model_type = "text"
    model_class = "AutoModelForCausalLM"
    unsupported: ClassVar[dict[str, str]] = dict.fromkeys(_SPEECH, _REASON)
    max_seconds = None

    def __init__(self, hf: Any, processor: Any, **kwargs: Any) -> None:
        super().__init__(hf, processor, **kwargs)
        self.text_type = str(hf.config.model_type)

    @classmethod
    def load_processor(cls, where: str, options: dict[str, Any]) -> Parts:
        """See the base class."""
        return load_parts(where, options)

    @classmethod
    def skeleton(cls, where: str, options: dict[str, Any]) -> Any:
        """See the base class."""
        return text_skeleton(where, options)

    @property
    def sampling_rate(self) -> int:
        return 16_000  # for clips that are shown beside its answers

    @property
    def seconds_per_position(self) -> float:
        return 0.0

    def info(self) -> dict[str, Any]:
        """See the base class."""
        nothing = dict.fromkeys(("sampling_rate", "max_seconds", "seconds_per_position"))
        return {**super().info(), **nothing, "text_type": self.text_type}

    def speech_prompt(
        self,
        clip: Clip,
        *,
        instruction: str = "",
        system: str | None = None,
        too_long: TooLong = "fail",
        style: Style = "plain",
    ) -> Prompt:
        """Refuse the clip.

        Raises
        ------
        ModelError
        """
        raise ModelError(
            f"{self.name} is a text model ({self.text_type}) and takes no clip: ask it with text, "
            "or name a speech language model."
        )

    def encode_audio(self, wave: np.ndarray) -> AudioInput:
        """Never reached: `speech_prompt` refuses first."""
        raise ModelError(f"{self.name}: {_REASON}")

    def _audio_frame(
        self, instruction: str, system: str | None, vendor: VendorPrompt | None
    ) -> tuple[Frame, dict[str, str]]:
        return self._plain_frame(instruction, system, vendor)  # there are no markers to keep


def text_skeleton(where: str, options: dict[str, Any]) -> Any:
    """A causal text model without weights, whichever class its config names."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(where, **options)
    return bare(transformers.AutoModelForCausalLM.from_config, config)


ADAPTER = TextLM

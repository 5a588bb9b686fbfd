"""Music Flamingo: Audio Flamingo 3 with the time of each position turned into its features."""

from __future__ import annotations

from typing import ClassVar

from modgap.models.families.audioflamingo3 import AudioFlamingo3
from modgap.models.template import chatml

# With the release's own spelling.
_SYSTEM = (
    "You are Music Flamingo, a multimodal assistant for language and music. On each turn you "
    "receive an audio clip which contains music and optional text, you will receive at least one "
    "or both; use your world knowledge and reasoning to help the user with any task. Interpret the "
    "entirety of the content any input music--regardlenss of whether the user calls it audio, "
    "music, or sound."
)


class MusicFlamingo(AudioFlamingo3):
    """The adapter of ``MusicFlamingoForConditionalGeneration``."""

    model_type = "musicflamingo"
    model_class = "MusicFlamingoForConditionalGeneration"
    chat_template = chatml("<sound>", _SYSTEM)
    slot_before = "<|sound_bos|>"
    slot_after = "<|sound_eos|>"
    checkpoints: ClassVar[dict[str, str]] = {
        "nvidia/music-flamingo-2601-hf": "Music Flamingo, 8B, wants a GPU",
    }
    max_seconds = 1200.0


ADAPTER = MusicFlamingo

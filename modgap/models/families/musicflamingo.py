"""Music Flamingo: Audio Flamingo 3 with the time of each position turned into its features."""

from __future__ import annotations

from typing import ClassVar

from modgap.models.families.audioflamingo3 import AudioFlamingo3


class MusicFlamingo(AudioFlamingo3):
    """The adapter of ``MusicFlamingoForConditionalGeneration``."""

    model_type = "musicflamingo"
    model_class = "MusicFlamingoForConditionalGeneration"
    slot_before = "<|sound_bos|>"
    slot_after = "<|sound_eos|>"
    checkpoints: ClassVar[dict[str, str]] = {
        "nvidia/music-flamingo-2601-hf": "Music Flamingo, 8B, wants a GPU",
    }
    max_seconds = 1200.0


ADAPTER = MusicFlamingo

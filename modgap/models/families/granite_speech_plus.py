"""Granite Speech Plus: Granite Speech whose projector also sees inner layers of the encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from modgap.models.families.granite_speech import GraniteSpeech


class GraniteSpeechPlus(GraniteSpeech):
    """The adapter of ``GraniteSpeechPlusForConditionalGeneration``."""

    model_type = "granite_speech_plus"
    model_class = "GraniteSpeechPlusForConditionalGeneration"
    vendor = replace(
        GraniteSpeech.vendor,
        separator=" ",
        source="its page in transformers' documentation (granite_speech_plus); "
        "ibm-granite/granite-speech, granite_speech/prompts.py",
    )
    checkpoints: ClassVar[dict[str, str]] = {
        "ibm-granite/granite-speech-4.1-2b-plus": "Granite Speech 4.1 Plus, 2B",
    }


ADAPTER = GraniteSpeechPlus

"""Speech language models behind one interface."""

from modgap.models.base import Generation, Prompt, PromptPair, SpeechLM
from modgap.models.loading import ModelEntry, list_models, load_model

__all__ = [
    "Generation",
    "ModelEntry",
    "Prompt",
    "PromptPair",
    "SpeechLM",
    "list_models",
    "load_model",
]

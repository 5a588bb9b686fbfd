"""Which prompts a run's numbers are of, in words for pages and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modgap.evaluation.runs.run_settings import stated

__all__ = ["prompts_note"]

_SAID = {
    "keep": "with the audio markers around the words",
    "drop": "as it would be typed, without audio markers",
}
_BY = {
    "plain": "plain, the same for all families",
    "vendor": "of each model's publisher",
    "voicebench": "as VoiceBench asks each model that it has a wrapper for, the others plainly",
}


def prompts_note(run: Mapping[str, Any]) -> str:
    """Some sentences on the prompts that a run.json states.

    >>> prompts_note({"settings": {"markers": "keep"}})[:46]
    'Accuracy on text: with the audio markers aroun'
    """
    said = run.get("settings")
    found = stated(said if isinstance(said, dict) else {})
    answered, paired = (
        _SAID.get(str(found.get(name, "keep")), "unknown") for name in ("text_markers", "markers")
    )
    text = f"Accuracy on text: {answered}; similarity, KL and interventions: the same prompt."
    if answered != paired:
        text = (
            f"Accuracy on text: {answered}. Similarity, KL and interventions: against the text "
            f"{paired}."
        )
    prompt, decoding = found["prompt"], found["decoding"]
    if prompt != "plain" or decoding != "greedy":
        text += f" Prompt: {_BY.get(str(prompt), 'unknown')}; decoding: {decoding}."
    if found.get("transcribed"):
        text += " The pipeline's text model is told that the words are transcribed speech."
    return text

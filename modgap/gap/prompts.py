"""Which prompts a run's numbers are of, in words for pages and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modgap.evaluation.runs.record import stated

__all__ = ["prompts_note"]

_SAID = {
    "keep": "with the audio markers around the words",
    "drop": "as it would be typed, without audio markers",
}


def prompts_note(run: Mapping[str, Any]) -> str:
    """One or two sentences on the prompts that a run.json states.

    >>> prompts_note({"settings": {"markers": "keep"}})[:46]
    'Accuracy on text: with the audio markers aroun'
    """
    said = run.get("settings")
    found = stated(said if isinstance(said, dict) else {})
    answered, paired = (
        _SAID.get(str(found.get(name, "keep")), "unknown") for name in ("text_markers", "markers")
    )
    if answered == paired:
        return f"Accuracy on text: {answered}; similarity, KL and interventions: the same prompt."
    return (
        f"Accuracy on text: {answered}. Similarity, KL and interventions: against the text "
        f"{paired}."
    )

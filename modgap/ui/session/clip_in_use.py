"""The clip in use, and its words."""

from __future__ import annotations

import math

from modgap.audio.clip import Clip
from modgap.core.errors import ModgapError
from modgap.ui.examples import Example, example
from modgap.ui.server.service import service
from modgap.ui.session import asking, inputs
from modgap.ui.session.model_in_use import longest_clip
from modgap.ui.session.state import ClipRef, visit

MAX_TRANSCRIPT = 4000
MAX_INSTRUCTION = 1000


def use_clip(ref: ClipRef, transcript: str = "", instruction: str = "") -> None:
    """Make a clip the one in use, with its words; the result shown before goes.

    Raises
    ------
    AudioError
        When it cannot be decoded; the session is unchanged then.
    """
    seconds = _whole(service().clip(ref.data, ref.name))
    drop_clip()
    visit().clip, inputs.TRIM.value = ref, (0.0, min(seconds, longest_clip()))
    inputs.TRANSCRIPT.value = transcript[:MAX_TRANSCRIPT]
    inputs.INSTRUCTION.value = instruction[:MAX_INSTRUCTION]


def use_example(chosen: Example) -> None:
    """Make a shipped clip the one in use."""
    try:
        ref = ClipRef("example", chosen.id, chosen.path.name, chosen.path.read_bytes())
        use_clip(ref, chosen.transcript, chosen.instruction)
    except (ModgapError, OSError) as problem:
        visit().error = f"The example {chosen.title} cannot be read: {problem}"


def drop_clip() -> None:
    """Back to the empty page; what was being computed for the clip stops."""
    asking.cancel(main_only=True)
    here = visit()
    here.clip = here.shown = None
    here.forget_remarks()
    inputs.TRIM.drop()


def whole_seconds() -> float:
    """Length of the whole clip in use."""
    ref = visit().clip
    assert ref is not None
    return _whole(service().clip(ref.data, ref.name))


def clip() -> Clip | None:
    """The chosen part of the clip in use.

    Raises
    ------
    AudioError
        When that part cannot be used: too short, or silent.
    """
    ref = visit().clip
    if ref is None:
        return None
    start, end = inputs.TRIM.get((0.0, math.inf))
    whole = (start, end) == (0.0, whole_seconds()) or math.isinf(end)
    return service().clip(ref.data, ref.name, None if whole else (start, end))


def transcript() -> str:
    """What is said in the clip, as typed; blank ones are empty."""
    words = inputs.TRANSCRIPT.get("") or ""
    return words if words.strip() else ""


def instruction() -> str:
    """The question or task that is typed in both prompts."""
    return inputs.INSTRUCTION.get("") or ""


def reference() -> str | None:
    """The right answer, where it is known: for an example or a question with its own words."""
    ref = visit().clip
    known: ClipRef | Example | None = ref
    if ref is None or ref.source != "question":
        known = example(ref.id) if ref and ref.source == "example" else None
    if known is None or instruction() != known.instruction:
        return None
    return known.reference


def _whole(clip: Clip) -> float:
    """Length in hundredths of a second: the steps of the slider."""
    return round(clip.seconds, 2)

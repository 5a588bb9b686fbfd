"""The clip in use, and its words."""

from __future__ import annotations

import math
from typing import Any

from modgap.analysis.examples import Example, example
from modgap.audio.clip import Clip
from modgap.core.errors import AudioError, ModgapError
from modgap.ui.server.service import service
from modgap.ui.session import asking, inputs
from modgap.ui.session.model_in_use import longest_clip
from modgap.ui.session.state import ClipRef, visit

MAX_TRANSCRIPT = 4000
MAX_INSTRUCTION = 1000


def use_clip(ref: ClipRef, transcript: str = "", instruction: str = "") -> None:
    """Make a clip the one in use, with its words; the result shown before goes.

    Where the mean of its channels cannot be used (they cancel each other) the first one is taken.

    Raises
    ------
    AudioError
        When it cannot be decoded; the session is unchanged then.
    """
    channel, notice = 0, ""
    try:
        found = service().clip(ref.data, ref.name)
    except AudioError as problem:
        found = service().clip(ref.data, ref.name, channel=1)
        if found.channels == 1:
            raise
        channel, notice = 1, f"{problem} Channel 1 is taken here; choose beside the part to use."
    drop_clip()
    here = visit()
    here.clip, here.notice = ref, notice
    inputs.TRIM.value = 0.0, min(_whole(found), longest_clip())
    inputs.CHANNEL.value = channel
    inputs.TRANSCRIPT.value = transcript[:MAX_TRANSCRIPT]
    here.words_of, here.cutting = (inputs.TRANSCRIPT.value, (0.0, _whole(found))), False
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
    here.drafting, here.draft = "", None
    inputs.TRIM.drop()
    inputs.CHANNEL.drop()


def whole_seconds() -> float:
    """Length of the whole clip in use."""
    return _whole(_decoded())


def channels() -> int:
    """How many channels the file of the clip in use has."""
    return _decoded().channels


def _decoded() -> Clip:
    """The whole clip in use, by its first channel where the chosen ones cancel each other."""
    ref = visit().clip
    assert ref is not None
    try:
        return service().clip(ref.data, ref.name, channel=inputs.CHANNEL.get(0) or None)
    except AudioError:
        return service().clip(ref.data, ref.name, channel=1)


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
    part = None if whole else (start, end)
    return service().clip(ref.data, ref.name, part, inputs.CHANNEL.get(0) or None)


def part(start: float, end: float) -> Clip:
    """Another part of the clip in use (s).

    Raises
    ------
    AudioError
        It cannot be used.
    """
    ref = visit().clip
    assert ref is not None
    whole = (start, end) == (0.0, whole_seconds())
    return service().clip(
        ref.data, ref.name, None if whole else (start, end), inputs.CHANNEL.get(0) or None
    )


def used() -> dict[str, Any]:
    """What of the file is used, as `load_clip` takes it: ``channel``, ``start``, ``end`` (s)."""
    found: dict[str, Any] = {}
    if inputs.CHANNEL.get(0):
        found["channel"] = inputs.CHANNEL.value
    start, end = inputs.TRIM.get((0.0, math.inf))
    if math.isfinite(end) and (start, end) != (0.0, whole_seconds()):
        found |= {"start": start, "end": end}
    return found


def source_of(sha256: str) -> dict[str, Any] | None:
    """The file of the clip in use and what of it is used, if its sound has this hash.

    Returns
    -------
    dict or None
        ``kind``, ``file``, ``file_sha256`` (`ClipRef.file_sha256`), then what `used` says.
    """
    ref = visit().clip
    try:
        found = clip()
    except ModgapError:
        return None
    if ref is None or found is None or found.sha256 != sha256:
        return None
    return {"kind": ref.source, "file": ref.name, "file_sha256": ref.file_sha256, **used()}


def transcript() -> str:
    """What is said in the clip, as typed; blank ones are empty."""
    words = inputs.TRANSCRIPT.get("") or ""
    return words if words.strip() else ""


def drafted_by(words: str) -> str | None:
    """The recogniser that wrote these words, while nobody has checked them; else None."""
    draft = visit().draft
    return draft.by if draft is not None and draft.text == words else None


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

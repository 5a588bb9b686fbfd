"""Clips that are longer than a model takes: refused, or heard up to its limit, with a note."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modgap.core.errors import AudioError
from modgap.core.settings import check_too_long

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.models.prompt import TooLong
    from modgap.models.prompting import PromptMaker

__all__ = ["cut_notes", "is_beyond", "seconds_heard"]


def is_beyond(model: PromptMaker, clip: Clip) -> bool:
    """Whether a clip is longer than a model takes."""
    return model.max_seconds is not None and clip.seconds > model.max_seconds + 1e-6


def seconds_heard(model: PromptMaker, clip: Clip, too_long: TooLong) -> float:
    """How much of a clip a model hears (s).

    Raises
    ------
    AudioError
        It is longer than the model takes, and not to be cut.
    SettingsError
        `too_long` is neither "fail" nor "cut".
    """
    check_too_long(too_long)
    if not is_beyond(model, clip):
        return clip.seconds
    assert model.max_seconds is not None
    if too_long == "fail":
        raise AudioError(
            f"The clip lasts {clip.seconds:.2f} s, but {model.name} takes at most "
            f"{model.max_seconds:g} s. Choose a part of it with start and end, "
            f"for example start=0, end={model.max_seconds:g}, or let it be cut there "
            "(too_long cut)."
        )
    return model.max_seconds


def cut_notes(model: PromptMaker, clip: Clip, too_long: TooLong) -> tuple[str, ...]:
    """What a reader of results should know of a clip that was cut; nothing of any other."""
    if too_long != "cut" or not is_beyond(model, clip):
        return ()
    heard = seconds_heard(model, clip, too_long)
    return (
        f"The clip lasts {clip.seconds:.2f} s, of which the model heard the first {heard:g} s, all "
        f"that it takes ({heard / clip.seconds:.0%}); the transcript is whole.",
    )

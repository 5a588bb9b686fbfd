"""The session that a command's words name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.cli.inputs import read_clip, read_transcript

if TYPE_CHECKING:
    from modgap.analysis.session import Session
    from modgap.cli.model_options import ModelOptions


def session_of(
    clip: Path,
    channel: int | None,
    transcript: str,
    how: ModelOptions,
    cache: bool,
    **settings: Any,
) -> Session:
    """Read the transcript and the sound, then load the model: seconds are spent last."""
    words = read_transcript(transcript)
    sound = read_clip(clip, channel=channel)
    model = how.load()
    from modgap.analysis.session import Session
    from modgap.store.cache import default_store

    return Session(model, sound, words, store=default_store() if cache else None, **settings)

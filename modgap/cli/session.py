"""The session that a command's words name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.cli.inputs import read_clip, read_transcript
from modgap.core.errors import SettingsError

if TYPE_CHECKING:
    from modgap.analysis.session import Session
    from modgap.cli.model_options import ModelOptions

NO_WORDS = (
    "This compares with the words of the clip: give a transcript (--transcript), or let them be "
    "heard (--heard-by own). Only modgap intervene with a map on all positions needs none."
)


@dataclass(frozen=True)
class HeardBy:
    """Words that are not known yet: whoever `by` names is to hear them in the clip."""

    by: str


def words_of(transcript: str | None, heard_by: str | None) -> str | HeardBy | None:
    """What ``--transcript`` and ``--heard-by`` say; None: neither.

    Raises
    ------
    SettingsError
        Both are given, or the transcript cannot be read.
    """
    if heard_by is None:
        return None if transcript is None else read_transcript(transcript)
    if transcript is not None:
        raise SettingsError("--heard-by is in the place of --transcript: leave one of them out.")
    return HeardBy(heard_by)


def session_of(
    clip: Path,
    channel: int | None,
    words: str | HeardBy | None,
    how: ModelOptions,
    cache: bool,
    *,
    start: float | None = None,
    end: float | None = None,
    **settings: Any,
) -> Session:
    """Read the sound, then load the model: seconds are spent last; `words` as of `words_of`.

    `settings` are single ones of `AnalysisSettings`, checked before anything is read.
    """
    from modgap.core.settings import AnalysisSettings

    chosen = AnalysisSettings(**settings)
    sound = read_clip(clip, channel=channel, start=start, end=end)
    model = how.load()
    from modgap.analysis.heard import heard
    from modgap.analysis.session import Session
    from modgap.store.cache import default_store

    store = default_store() if cache else None
    if isinstance(words, HeardBy):
        words = heard(model, sound, words.by, too_long=chosen.too_long, store=store)
    return Session(model, sound, words, chosen, store=store)

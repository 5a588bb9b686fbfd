"""Whether alignment paths land in the word, over many clips: behind `modgap words --data`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modgap.analysis.session import Session
from modgap.analysis.word_hits import WordHits, word_hits
from modgap.core.errors import ModgapError, SettingsError
from modgap.evaluation.data.word_clips import known_clips, sounds
from modgap.speech.base import EMBEDDED
from modgap.speech.recognizers import load_recognizer
from modgap.speech.word_times import word_times

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.models.base import SpeechLM
    from modgap.speech.words import WordTimes
    from modgap.store.cache import Store

__all__ = ["KNOWN", "spoken_words", "word_hits_over"]

log = logging.getLogger(__name__)

#: The "aligner" that need not align: the synthesizer says itself when it says each word.
KNOWN = "espeak"


def spoken_words(
    data: str,
    aligner: str = EMBEDDED,
    *,
    limit: int | None = None,
    device: str = "auto",
    store: Store | None = None,
    progress: Progress | None = None,
) -> list[tuple[str, Clip, WordTimes]]:
    """Clips of a data set with the times of their words.

    What cannot be aligned is left out, with a warning in the log.

    Parameters
    ----------
    data : str
        ``demo``, ``demo:noisy``, ..., or a manifest with ``audio`` (or ``file``) and
        ``transcript``.
    aligner : str
        A recogniser's name, or with ``demo:robot`` "espeak": the synthesizer's own account.
    limit : int, optional
        Only so many clips.
    device : str
        Of the aligner.
    store : Store, optional
        A cache to look for times in and to keep them in.
    progress : callable (fraction, note), optional

    Returns
    -------
    list of (name, Clip, WordTimes)

    Raises
    ------
    SettingsError
        The data or the aligner cannot be used, or do not go together.
    """
    if aligner == KNOWN:
        if data != "demo:robot":
            raise SettingsError(
                "Only --data demo:robot is spoken by espeak-ng, which knows its words."
            )
        return known_clips(limit or 200)
    ears = load_recognizer(aligner, device=device)
    found = []
    items = sounds(data, limit)
    for n, (name, load, said) in enumerate(items):
        if progress is not None:
            progress(n / len(items), f"clip {n + 1} of {len(items)}")
        try:
            clip = load()
            found.append((name, clip, word_times(clip, said, ears, store=store)))
        except ModgapError as problem:
            log.warning("%s is left out: %s", name, problem)
    return found


def word_hits_over(
    model: SpeechLM,
    spoken: Sequence[tuple[str, Clip, WordTimes]],
    *,
    store: Store | None = None,
    progress: Progress | None = None,
) -> list[WordHits]:
    """Hold a model's paths against the words of many clips; `hits_summary` pools them.

    Parameters
    ----------
    model : SpeechLM
    spoken : sequence of (name, Clip, WordTimes)
        From `spoken_words`. A clip that cannot be measured is left out, with a warning in the log.
    store : Store, optional
        A cache of analyses; a clip analysed before is not run again.
    progress : callable (fraction, note), optional

    Raises
    ------
    SettingsError
        No clip could be measured.
    """
    found = []
    for n, (name, clip, times) in enumerate(spoken):
        if progress is not None:
            progress(n / len(spoken), f"clip {n + 1} of {len(spoken)}")
        try:
            session = Session(model, clip, times.transcript, answers=False, store=store)
            found.append(word_hits(session.analyze(), times))
        except ModgapError as problem:
            log.warning("%s is left out: %s", name, problem)
    if not found:
        raise SettingsError("No clip could be measured; the warnings above say why.")
    return found

"""When each word is said, kept by content: forced alignment as a yardstick from outside."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from modgap.errors import StoreError
from modgap.recognition import Recognizer, WordTimes
from modgap.settings import check_text, digest

if TYPE_CHECKING:
    from modgap.audio import Clip
    from modgap.progress import Progress
    from modgap.store import Store

__all__ = ["WordTimes", "word_times"]

log = logging.getLogger(__name__)

VERSION = 1  # raised whenever the same input would give other times


def word_times(
    clip: Clip,
    transcript: str,
    aligner: Recognizer | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
) -> WordTimes:
    """Find when each word of a transcript is said in a clip.

    Parameters
    ----------
    clip : Clip
    transcript : str
    aligner : Recognizer, optional
        From `load_recognizer`; pocketsphinx by default.
    store : Store, optional
        A cache to look in first and to keep the result in.
    progress : callable (fraction, note), optional

    Returns
    -------
    WordTimes

    Raises
    ------
    ModgapError
        The transcript holds no words, or it is not what is said in the clip.

    Examples
    --------
    >>> clip = modgap.load_clip("a.wav")                                        # doctest: +SKIP
    >>> modgap.word_times(clip, "what she said").table()                        # doctest: +SKIP
    """
    check_text("transcript", transcript)
    if aligner is None:
        from modgap.recognition import load_recognizer

        aligner = load_recognizer()
    key = digest("words", VERSION, aligner.identity, clip.sha256, transcript)
    record = None if store is None else store.get(key)
    if record is not None and store is not None:
        try:
            return WordTimes.from_record(record)
        except StoreError as problem:
            store.reject(key, str(problem))
    found = aligner.align(clip, transcript, progress=progress)
    if store is not None:
        try:
            store.put(key, found.record())
        except StoreError as problem:
            log.warning("The word times were not kept. %s", problem)
    return found

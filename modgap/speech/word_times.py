"""When each word is said, kept by content: forced alignment as a yardstick from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modgap.core.settings import check_text, digest
from modgap.speech.recognizers import Recognizer
from modgap.speech.words import WordTimes
from modgap.store.lookup import kept

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.store.cache import Store

__all__ = ["WordTimes", "word_times"]

VERSION = 2  # raised whenever the same input would give other times


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
        From `load_recognizer`; Whisper tiny.en by default.
    store : Store, optional
        A cache to look in first and to keep the result in.
    progress : callable (fraction, note), optional

    Returns
    -------
    WordTimes

    Raises
    ------
    ModgapError
        The transcript holds no words, it or the clip is too long, or the aligner's files are
        neither here nor to be had.

    Examples
    --------
    >>> clip = modgap.load_clip("a.wav")                                        # doctest: +SKIP
    >>> modgap.word_times(clip, "what she said").table()                        # doctest: +SKIP
    """
    check_text("transcript", transcript)
    if aligner is None:
        from modgap.speech.recognizers import load_recognizer

        aligner = load_recognizer()
    key = digest("words", VERSION, aligner.identity, clip.sha256, transcript)
    return kept(
        store,
        key,
        lambda: aligner.align(clip, transcript, progress=progress),
        WordTimes.record,
        WordTimes.from_record,
    )

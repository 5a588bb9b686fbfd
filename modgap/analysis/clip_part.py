"""A part of a clip with its part of the words: who trims the sound trims the transcript, too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modgap.core.errors import SettingsError
from modgap.speech.word_times import word_times

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.speech.words import WordTimes
    from modgap.store.cache import Store

__all__ = ["ClipPart", "cut_clip", "cut_words"]


@dataclass(frozen=True)
class ClipPart:
    """A part of a clip.

    Attributes
    ----------
    clip : Clip
    transcript : str
        What is said in it.
    left_out : tuple of str
        Words of the whole that are said elsewhere.
    """

    clip: Clip
    transcript: str
    left_out: tuple[str, ...]


def cut_words(
    words: WordTimes, start: float = 0.0, end: float = math.inf
) -> tuple[str, tuple[str, ...]]:
    """The part of a transcript that is said from `start` to `end` (seconds).

    A word is in the part if half of its time is, at least. Marks go with the word before them.

    Returns
    -------
    transcript : str
        From the first such word to the last, as written.
    left_out : tuple of str
        The other words whose time is known.

    Raises
    ------
    SettingsError
        No word is said there.
    """
    begin, stop = words.times.T
    inside = np.minimum(stop, end) - np.maximum(begin, start)
    length = stop - begin
    kept = np.where(length > 0, inside >= length / 2, (start <= begin) & (begin < end))
    if not kept.any():
        raise SettingsError("No word is said in this part of the clip: choose a wider one.")
    first, last = np.flatnonzero(kept)[[0, -1]]
    here = 0 if first == 0 else int(words.spans[first, 0])
    there = len(words.transcript) if last + 1 == len(kept) else int(words.spans[last + 1, 0])
    inside_text = words.transcript[here:there].strip()
    left = (*words.words[:first], *words.words[last + 1 :])
    return inside_text, left


def cut_clip(
    clip: Clip,
    transcript: str,
    start: float = 0.0,
    end: float | None = None,
    *,
    words: WordTimes | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> ClipPart:
    """A part of a clip, with the words that are said in it.

    Parameters
    ----------
    clip : Clip
        The whole.
    transcript : str
        What is said in the whole clip.
    start, end : float, optional
        Seconds.
    words : WordTimes, optional
        When each word of the whole is said; `modgap.word_times` by default.
    store : Store, optional
        A cache for the word times.
    progress : callable (fraction, note), optional

    Raises
    ------
    SettingsError
        No word is said in the part, or the words are those of another transcript.
    AudioError
        The part cannot be used.
    ModgapError
        The words cannot be found in the clip.

    Examples
    --------
    >>> part = modgap.cut_clip(clip, "what is two plus three", end=1.0)         # doctest: +SKIP
    >>> modgap.analyze(model, part.clip, part.transcript)                       # doctest: +SKIP
    """
    sound = clip.trim(start, end)  # a part that cannot be used is told before any work
    found = words or word_times(clip, transcript, store=store, progress=progress)
    if found.transcript != transcript:
        raise SettingsError("The word times are those of another transcript.")
    text, left = cut_words(found, start, math.inf if end is None else end)
    return ClipPart(sound, text, left)

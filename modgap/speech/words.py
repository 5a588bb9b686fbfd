"""The words of a transcript, and when each of them is said."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from modgap.core.errors import ModgapError, SettingsError, StoreError
from modgap.store.record import Record

# A number with its separators, letters with apostrophes inside, or a sign that is read out. What
# hyphens join counts as several words: a reader says them one after the other.
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|[%&+=@$€£]")


@dataclass(frozen=True)
class Word:
    """A word of a transcript: ``transcript[start:end] == text``."""

    text: str
    start: int
    end: int


def split_words(transcript: str) -> tuple[Word, ...]:
    """The words that a reader of the transcript says, in order.

    >>> [w.text for w in split_words("It's 1,905 lower-case letters.")]
    ["It's", '1,905', 'lower', 'case', 'letters']
    """
    return tuple(Word(m[0], m.start(), m.end()) for m in _WORD.finditer(transcript))


def words_of(transcript: str) -> tuple[Word, ...]:
    """The words to align, or SettingsError if there are none."""
    words = split_words(transcript)
    if not words:
        raise SettingsError("The transcript holds no words to look for in the clip.")
    return words


@dataclass(frozen=True, eq=False)
class WordTimes:
    """When the words of a transcript are said.

    Attributes
    ----------
    transcript : str
    source : str
        Who says so, such as ``"whisper-tiny.en"``.
    words : tuple of W str
        As they stand in the transcript; a word whose time is not known is left out.
    spans : int64 ndarray (W, 2)
        Offsets: ``transcript[start:end] == word``.
    times : float64 ndarray (W, 2)
        Start and end in seconds.
    scores : float64 ndarray (W,)
        The aligner's own measure of how well each word fits (higher is better; only to be compared
        within one aligner); NaN where it gives none.

    Raises
    ------
    ModgapError
        Parts that do not fit each other: shapes, spans that are not the words, times that end
        before they begin.
    """

    transcript: str
    source: str
    words: tuple[str, ...]
    spans: np.ndarray
    times: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        w = len(self.words)
        if (self.spans.shape, self.times.shape, self.scores.shape) != ((w, 2), (w, 2), (w,)):
            raise ModgapError(f"{w} words need spans and times of shape ({w}, 2), and {w} scores.")
        if any(
            self.transcript[a:b] != word
            for word, (a, b) in zip(self.words, self.spans.tolist(), strict=True)
        ):
            raise ModgapError("The spans of the words do not fit the transcript.")
        t = self.times
        if not np.isfinite(t).all() or (t < 0).any() or (t[:, 0] > t[:, 1]).any():
            raise ModgapError("A word must begin at 0 s or later and end no earlier than that.")

    def of_tokens(self, spans: np.ndarray) -> np.ndarray:
        """The word that each text token is a part of.

        Parameters
        ----------
        spans : int ndarray (T_t, 2)
            Offsets of the tokens in the same transcript.

        Returns
        -------
        int64 ndarray (T_t,)
            Index of the word that shares most characters with the token (the first of several);
            -1 for a token without any, such as a full stop.
        """
        spans = np.asarray(spans).reshape(-1, 2)
        if not len(self.words) or not len(spans):
            return np.full(len(spans), -1, np.int64)
        start = np.maximum(spans[:, None, 0], self.spans[None, :, 0])
        end = np.minimum(spans[:, None, 1], self.spans[None, :, 1])
        shared = np.maximum(end - start, 0)
        return np.where(shared.max(1) > 0, shared.argmax(1), -1).astype(np.int64)

    def table(self) -> pd.DataFrame:
        """One row per word: ``word``, ``span_start``, ``span_end``, ``start``, ``end``,
        ``score``."""
        return pd.DataFrame(
            {
                "word": pd.array(list(self.words), dtype="str"),
                "span_start": self.spans[:, 0],
                "span_end": self.spans[:, 1],
                "start": self.times[:, 0],
                "end": self.times[:, 1],
                "score": self.scores,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """In JSON's terms."""
        rows = self.table().to_dict("records")
        for row in rows:
            row["score"] = None if row["score"] != row["score"] else row["score"]
        return {"source": self.source, "transcript": self.transcript, "words": rows}

    def record(self) -> Record:
        """As an entry of the cache."""
        arrays = {"spans": self.spans, "times": self.times, "scores": self.scores}
        meta = {"kind": "words", "transcript": self.transcript, "source": self.source}
        return Record(arrays, {}, meta | {"words": list(self.words)})

    @classmethod
    def from_record(cls, record: Record) -> WordTimes:
        """The times that `record` was made of.

        Raises
        ------
        StoreError
            The record is not one of word times.
        """
        try:
            arrays, meta = record.arrays, record.meta
            if meta["kind"] != "words":
                raise ValueError("it is of another kind")
            return cls(
                meta["transcript"],
                meta["source"],
                tuple(meta["words"]),
                *(arrays[name] for name in ("spans", "times", "scores")),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise StoreError(f"This record holds no word times ({problem}).") from problem


def timed(
    transcript: str,
    source: str,
    words: tuple[Word, ...],
    times: Any,
    scores: Any,
    seconds: float,
) -> WordTimes:
    """`WordTimes` of words with their times, cut to the length of the clip."""
    return WordTimes(
        transcript,
        source,
        tuple(word.text for word in words),
        np.array([(w.start, w.end) for w in words], np.int64).reshape(-1, 2),
        np.clip(np.array(times, np.float64).reshape(-1, 2), 0.0, seconds),
        np.array(scores, np.float64).reshape(-1),
    )


def moved(times: WordTimes, seconds: float) -> WordTimes:
    """The same words that much later."""
    return replace(times, times=times.times + seconds)

"""How a recogniser's words differ from those that were said."""

from __future__ import annotations

from dataclasses import dataclass

from modgap.scoring.words import comparable_words

__all__ = ["Change", "WordErrors", "word_errors"]


@dataclass(frozen=True)
class Change:
    """One stretch of the two word sequences.

    kind : "equal", "substitute", "delete" (said, not heard) or "insert" (heard, not said)
    said, heard : the words of this stretch
    """

    kind: str
    said: tuple[str, ...]
    heard: tuple[str, ...]


@dataclass(frozen=True)
class WordErrors:
    """Word errors of a transcript against the words that were said.

    Attributes
    ----------
    rate : float or None
        (substitutions + deletions + insertions) / words; may exceed 1. None where no word was said.
    words : int
        Words that were said; characters, in scripts without spaces.
    substitutions, deletions, insertions : int
    changes : tuple of Change
        Both sequences from the first word to the last.
    """

    rate: float | None
    words: int
    substitutions: int
    deletions: int
    insertions: int
    changes: tuple[Change, ...]


def word_errors(said: str, heard: str) -> WordErrors:
    """Count word errors with jiwer, after one normalisation of both texts.

    NFKC, lower case, no punctuation (apostrophes inside words stay), hyphens as blanks, and the
    numbers from zero to twenty as digits (`words.comparable_words`). Nothing else is made
    equal: "forty two" and "42" differ, so do "colour" and "color". Scripts without spaces between
    words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) are counted by characters, each as a word.

    Parameters
    ----------
    said, heard : str
        What was said, and what was recognised.

    Examples
    --------
    >>> word_errors("Two and three?", "to and 3").rate
    0.3333333333333333
    >>> word_errors("今天天气好。", "今天天很好").rate
    0.2
    """
    reference, hypothesis = comparable_words(said), comparable_words(heard)
    if not reference:
        extra = (Change("insert", (), tuple(hypothesis)),) if hypothesis else ()
        return WordErrors(None, 0, 0, 0, len(hypothesis), extra)
    import jiwer

    found = jiwer.process_words([" ".join(reference)], [" ".join(hypothesis)])
    changes = tuple(
        Change(
            str(c.type),
            tuple(reference[c.ref_start_idx : c.ref_end_idx]),
            tuple(hypothesis[c.hyp_start_idx : c.hyp_end_idx]),
        )
        for c in found.alignments[0]
    )
    return WordErrors(
        float(found.wer),
        len(reference),
        int(found.substitutions),
        int(found.deletions),
        int(found.insertions),
        changes,
    )

"""A part of a clip with its words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modgap
from modgap.analysis.clip_part import cut_words
from modgap.core.errors import AudioError, SettingsError
from modgap.speech.words import WordTimes, split_words
from tests.even_words import even_words
from tests.tiny import make_clip

SAID = "It's late, so: go home. Now!"  # It's late so go home Now


def times(*ends: tuple[float, float]) -> WordTimes:
    words = split_words(SAID)
    return WordTimes(
        SAID, "hand", tuple(w.text for w in words), np.array([(w.start, w.end) for w in words]),
        np.array(ends, float), np.full(len(words), np.nan),
    )  # fmt: skip


WORDS = times((0, 1), (1, 2), (2, 2.4), (3, 3.5), (3.5, 4.5), (5, 6))


@pytest.mark.parametrize(
    ("start", "end", "text", "left"),
    [
        (0, 9, SAID, ()),
        (0, 2.1, "It's late,", ("so", "go", "home", "Now")),
        (0.5, 1.5, "It's late,", ("so", "go", "home", "Now")),  # half of a word is enough
        (0.6, 1.4, None, ()),
        (2, 4.2, "so: go home.", ("It's", "late", "Now")),
        (4.9, 9, "Now!", ("It's", "late", "so", "go", "home")),
        (4.5, 5, None, ()),
    ],
)
def test_the_words_of_a_part(
    start: float, end: float, text: str | None, left: tuple[str, ...]
) -> None:
    if text is None:
        with pytest.raises(SettingsError, match="No word is said"):
            cut_words(WORDS, start, end)
    else:
        assert cut_words(WORDS, start, end) == (text, left)


@given(st.floats(0, 5), st.floats(0.5, 6))
def test_no_word_is_lost_or_made_up(start: float, end: float) -> None:
    try:
        text, left = cut_words(WORDS, start, end)
    except SettingsError:
        return
    kept = [w.text for w in split_words(text)]
    whole = list(WORDS.words)
    assert sorted(kept + list(left)) == sorted(whole)
    at = next(n for n in range(len(whole)) if whole[n : n + len(kept)] == kept)
    for word, (a, b) in zip(whole[at:], WORDS.times[at : at + len(kept)], strict=False):
        assert min(b, end) - max(a, start) >= (b - a) / 2 - 1e-9, word


def test_sound_and_words_are_cut_together() -> None:
    clip = make_clip(2.0)
    said = "one two three four"
    words = even_words(said, 2.0)
    part = modgap.cut_clip(clip, said, 0.5, 1.5, words=words)
    assert part.transcript == "two three"
    assert part.left_out == ("one", "four")
    assert part.clip == clip.trim(0.5, 1.5)
    whole = modgap.cut_clip(clip, said, words=words)
    assert (whole.clip, whole.transcript, whole.left_out) == (clip, said, ())
    with pytest.raises(SettingsError, match="another transcript"):
        modgap.cut_clip(clip, "other", words=words)
    with pytest.raises(AudioError):
        modgap.cut_clip(clip, said, 1.5, 1.2, words=words)

"""Word times out of attention: the path, the lateness, and the silences that no word is said in."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from modgap.speech.attention import FRAME, LATE, TAIL, silent, times_of_words, token_starts

RATE = 16_000


@given(st.integers(1, 4), st.integers(2, 9), st.integers(2, 40), st.integers(0, 10**6))
def test_token_starts_against_scipy_and_librosa(
    heads: int, tokens: int, frames: int, seed: int
) -> None:
    weights = np.random.default_rng(seed).random((heads, tokens, frames))
    weights /= weights.sum(-1, keepdims=True)
    rows = slice(1, None)
    ours = token_starts(weights, rows)
    normed = (weights - weights.mean(1, keepdims=True)) / weights.std(1, keepdims=True)
    smooth = np.stack([median_filter(h, size=(1, 7), mode="reflect") for h in normed])
    _, path = librosa.sequence.dtw(C=-smooth.mean(0)[rows])
    path = path[::-1]
    theirs = [min(f for k, f in path if k == row) for row in range(tokens - 1)]
    assert ours.tolist() == theirs
    assert ours[0] == 0
    assert (np.diff(ours) >= 0).all()


def test_attention_along_the_diagonal() -> None:
    weights = np.full((2, 5, 50), 1e-3)
    for k in range(5):
        weights[:, k, 10 * k : 10 * k + 10] = 0.1
    assert token_starts(weights, slice(None)).tolist() == [0, 10, 20, 30, 40]


# ---- silences ------------------------------------------------------------------------------------


def tone(*parts: tuple[float, float]) -> np.ndarray:
    """(seconds, amplitude) one after the other."""
    waves = [a * np.sin(np.arange(round(s * RATE)) * 0.3) for s, a in parts]
    return np.concatenate(waves).astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 1e-3, 1e-2])
def test_silence_around_and_between(noise: float) -> None:
    x = tone((0.2, 0), (0.5, 0.3), (0.1, 0), (0.4, 0.5), (0.3, 0))
    x += noise * np.random.default_rng(0).standard_normal(len(x)).astype(np.float32)
    expected = np.repeat([True, False, True, False, True], [20, 50, 10, 40, 30])
    assert (silent(x, RATE) == expected).mean() > 0.98


def test_sound_without_silence() -> None:
    assert not silent(tone((1.0, 0.2)), RATE).any()
    assert not silent(np.zeros(RATE, np.float32), RATE).any()  # nothing is louder than it
    assert silent(np.zeros(0, np.float32), RATE).shape == (0,)
    assert silent(tone((0.105, 0.2)), RATE).shape == (11,)  # the last one in part


def quiet(seconds: float, *stretches: tuple[float, float]) -> np.ndarray:
    at = (np.arange(round(seconds / FRAME)) + 0.5) * FRAME
    return np.any([(a < at) & (at < b) for a, b in stretches], axis=0)


STARTS = np.array([0, 30, 50, 90])  # frames of 20 ms: 0, 0.6, 1.0, 1.8
WORDS = [[0], [1, 2]]


def test_times_are_earlier_than_the_attention() -> None:
    found = times_of_words(STARTS, WORDS, 0.02, quiet(2.0, (3, 4)), 2.0)
    assert found == pytest.approx(np.array([[0, 0.6 - LATE], [0.6 - LATE, 1.8 + TAIL]]))


def test_no_word_begins_or_ends_in_silence() -> None:
    pauses = quiet(2.0, (0, 0.2), (0.45, 0.62), (1.6, 2.0))
    found = times_of_words(STARTS, WORDS, 0.02, pauses, 2.0)
    assert found == pytest.approx(np.array([[0.2, 0.45], [0.62, 1.6]]))


def test_the_closure_of_a_stop_is_no_pause() -> None:
    found = times_of_words(STARTS, WORDS, 0.02, quiet(2.0, (0.48, 0.54)), 2.0)
    assert found[0, 1] == found[1, 0] == pytest.approx(0.6 - LATE)


def test_a_silent_word_keeps_its_place() -> None:
    found = times_of_words(STARTS, WORDS, 0.02, quiet(2.0, (0.4, 2.0)), 2.0)
    assert found == pytest.approx(np.array([[0, 0.4], [0.6 - LATE, 1.8 + TAIL]]))


@given(st.data())
def test_words_stay_in_order_and_only_shrink(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 8))
    starts = np.array([0, *sorted(data.draw(st.lists(st.integers(0, 99), min_size=n, max_size=n)))])
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=200, max_size=200)))
    words = [[k] for k in range(n)]
    before = times_of_words(starts, words, 0.02, np.zeros(200, bool), 2.0)
    found = times_of_words(starts, words, 0.02, mask, 2.0)
    assert (found[:, 0] <= found[:, 1]).all()
    assert (found[1:, 0] >= found[:-1, 1] - 1e-9).all()
    assert (found[:, 0] >= before[:, 0] - 1e-9).all()
    assert (found[:, 1] <= before[:, 1] + 1e-9).all()
    assert (found >= 0).all()
    assert (found <= 2.0).all()

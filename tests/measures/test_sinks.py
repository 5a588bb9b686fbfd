"""What a path score rests on: positions by hand, and a loop that knows the rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.core.errors import ModgapError
from modgap.measures.alignment import argmax_path
from modgap.measures.sinks import distinct, silent, sinks, without_sinks


def test_positions_on_a_path_are_counted_once() -> None:
    path = np.array([[3, 3, 0, 7], [5, 5, 5, 5], [-1, -1, -1, -1], [0, 1, 2, 3]])
    assert distinct(path).tolist() == [3, 1, 0, 4]


def test_silence_is_40_db_below_the_loudest_position() -> None:
    rate, times = 100, np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0], [3.0, 4.5]])
    loud = np.tile([1.0, -1.0], 50)
    audio = np.concatenate([0.5 * loud, 0.006 * loud, 0.004 * loud, np.zeros(100)])
    # 0.006 / 0.5 is -38.4 dB, 0.004 / 0.5 is -41.9 dB; the last position goes beyond the clip.
    assert silent(audio, rate, times).tolist() == [False, False, True, True]
    assert silent(32768 * audio, rate, times).tolist() == [False, False, True, True]
    assert silent(audio, rate, times, below_db=30).tolist() == [False, True, True, True]


def test_one_silent_position_that_is_near_all_tokens_no_longer_carries_the_score() -> None:
    S = np.full((1, 6, 8), 0.1, np.float32)
    S[0, 5] = 0.9  # near every token
    S[0, np.arange(4).repeat(2), np.arange(8)] = 0.6  # each token's own position
    assert argmax_path(S)[0].tolist() == [5] * 8
    for quiet in (np.eye(6, dtype=bool)[5], np.zeros(6, bool)):  # silent, or a sink alone
        made = without_sinks(S, quiet)
        assert made.path[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert made.score[0] == pytest.approx(0.6)
        assert made.kept[0].tolist() == [True] * 5 + [False]
    D = 1 - S
    assert without_sinks(D, np.zeros(6, bool), lowest=True).score[0] == pytest.approx(0.4)


def test_few_positions_are_no_sinks() -> None:
    """Three positions for 17 tokens must have many each."""
    path = np.array([[0] * 6 + [1] * 6 + [2] * 5])
    assert not sinks(path, np.ones(3, bool)).any()
    assert sinks(path, np.ones(17, bool))[0, :3].all()
    assert not sinks(np.array([[4, 4]]), np.ones(9, bool)).any()  # two tokens make no sink


def test_nothing_is_left_of_silence() -> None:
    made = without_sinks(np.zeros((2, 3, 4), np.float32), np.ones(3, bool))
    assert np.isnan(made.score).all()
    assert (made.path == -1).all()
    with pytest.raises(ModgapError, match="as many flags"):
        without_sinks(np.zeros((2, 3, 4), np.float32), np.ones(4, bool))


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 12), st.booleans())
def test_the_rule_by_a_loop(seed: int, n: int, m: int, lowest: bool) -> None:
    rng = np.random.default_rng(seed)
    M = rng.integers(0, 4, (2, n, m)).astype(np.float32)
    quiet = rng.random(n) < 0.3
    made = without_sinks(M, quiet, lowest=lowest)
    for k in range(2):
        heard = [i for i in range(n) if not quiet[i]]

        def best(among: list[int], j: int, k: int = k) -> int:
            values = [float(M[k, i, j]) for i in among]
            return among[values.index(min(values) if lowest else max(values))]

        won = [best(heard, j) for j in range(m)] if heard else []
        limit = max(3, m / 4, 3 * m / max(1, len(heard)))
        kept = [i for i in heard if won.count(i) < limit]
        assert np.flatnonzero(made.kept[k]).tolist() == kept
        if kept:
            path = [best(kept, j) for j in range(m)]
            assert made.path[k].tolist() == path
            assert made.score[k] == pytest.approx(np.mean([M[k, path[j], j] for j in range(m)]))
        else:
            assert np.isnan(made.score[k])

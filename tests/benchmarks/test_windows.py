"""Which tokens of a transcript windows tell in order, against trying all choices."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.windows import in_order

TOKENS = st.integers(0, 3)


def most(said: list[int], told: list[set[int]]) -> int:
    """Length of the longest subsequence of `said` that is told in order, by trying them all."""
    for size in range(len(said), 0, -1):
        for kept in combinations(said, size):
            left = iter(told)
            if all(any(token in some for some in left) for token in kept):
                return size
    return 0


@given(st.lists(TOKENS, max_size=6), st.lists(st.sets(TOKENS, max_size=3), max_size=6))
def test_no_choice_tells_more(said: list[int], told: list[set[int]]) -> None:
    found = in_order(said, told)
    assert len(found) == len(said)
    assert sum(found) == most(said, told)
    left = iter(told)
    kept = [token for token, right in zip(said, found, strict=True) if right]
    assert all(any(token in some for some in left) for token in kept)

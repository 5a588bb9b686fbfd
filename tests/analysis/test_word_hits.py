"""Does the path land in the word: by hand, by brute force, by properties."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modgap
from modgap.analysis.word_hits import (
    PATHS,
    WordHits,
    hits_of,
    hits_summary,
    in_word,
    word_hits,
    word_rows,
)
from modgap.core.errors import ModgapError
from modgap.figures.heatmap import AlignmentMap
from modgap.figures.words import WordCurves
from modgap.measures.alignment import align
from modgap.speech.words import WordTimes
from tests.speech.test_word_times import made
from tests.tiny import make_clip

# Five speech positions of 100 ms. "ab cd." in the tokens "a", "b", " cd", ".": the word "ab" is
# said from 0.05 to 0.15 s, "cd" from 0.30 to 0.42 s; the full stop is no part of a word.
TIMES = np.array([[0.0, 0.1], [0.1, 0.2], [0.2, 0.3], [0.3, 0.4], [0.4, 0.5]])
SPANS = np.array([[0, 1], [1, 2], [2, 5], [5, 6]])
WORDS = made("ab cd.", [(0.05, 0.15), (0.30, 0.42)])


def paths(cos: list[int]) -> dict[str, np.ndarray]:
    return dict.fromkeys(PATHS, np.array([cos]))


def test_by_hand() -> None:
    # "a" at position 0: inside. "b" at 4: 0.40 - 0.15 = 250 ms off. "cd" at 2 (0.2-0.3): touches.
    found = hits_of(paths([0, 4, 2, 0]), np.array([3]), TIMES, SPANS, WORDS)
    assert found.tokens.tolist() == [0, 1, 2]
    assert found.inside["cos"].tolist() == [[True, False, False]]
    assert found.off["cos"] == pytest.approx(np.array([[0.0, 250.0, 0.0]]))
    # chance: "ab" overlaps positions 0 and 1, "cd" 3 and 4: two of five each.
    assert found.chance.tolist() == [0.4, 0.4, 0.4]
    # outside, "a" and "b": positions 2, 3, 4 at 50, 150, 250 ms; "cd": 0, 1, 2 at 200, 100, 0.
    expected = [50, 150, 250, 50, 150, 250, 0, 100, 200]
    assert sorted(found.chance_off) == pytest.approx(sorted(expected))
    # the line: (j + 0.5) * 5 / 4 = 0.625, 1.875, 3.125
    assert found.diagonal.tolist() == [True, True, True]
    row = found.layers().iloc[0]
    assert row["layer"] == 3
    assert row["n"] == 3
    assert row["word_cos"] == pytest.approx(1 / 3)
    assert row["word_ms_cos"] == pytest.approx(125.0)
    assert row["chance"] == pytest.approx(0.4)
    assert row["chance_ms"] == pytest.approx(150.0)
    assert row["diagonal"] == 1.0
    assert np.isnan(row["diagonal_ms"])


def test_the_right_path_is_right_in_every_token() -> None:
    found = hits_of(paths([1, 0, 4, 0]), np.array([0]), TIMES, SPANS, WORDS).layers().iloc[0]
    assert found["word_dtw_euc"] == 1.0
    assert np.isnan(found["word_ms_dtw_euc"])


def test_each_path_is_taken_from_its_place() -> None:
    S = np.zeros((1, 5, 4), np.float32)
    D = np.ones((1, 5, 4), np.float32)
    S[0, [1, 1, 2, 4], range(4)] = 1  # cosine: "a", "b" at 1, "cd" at 2
    D[0, [4, 0, 3, 3], range(4)] = 0  # distance: "a" at 4, "b" at 0, "cd" at 3
    a = align(S, D)
    found = hits_of(
        {n: getattr(a, f) for n, f in PATHS.items()}, np.array([0]), TIMES, SPANS, WORDS
    )
    assert found.inside["cos"].tolist() == [[True, True, False]]
    assert found.inside["euc"].tolist() == [[False, True, True]]
    assert found.inside["dtw_cos"].tolist() == [[True, True, False]]


def test_words_without_length_and_without_time() -> None:
    moment = made("ab cd.", [(0.1, 0.1), (0.5, 0.5)])
    inside, gap = in_word(TIMES, moment.times)
    assert inside[:, 0].tolist() == [False, True, False, False, False]
    assert not inside[:, 1].any()
    assert gap[:, 1] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.0])
    only = WordTimes(
        "ab cd.", "x", ("cd",), np.array([[3, 5]]), np.array([[0.3, 0.4]]), np.zeros(1)
    )
    assert hits_of(paths([0, 0, 3, 0]), np.array([0]), TIMES, SPANS, only).tokens.tolist() == [2]
    none = WordTimes("ab cd.", "x", (), np.zeros((0, 2), int), np.zeros((0, 2)), np.zeros(0))
    empty = hits_of(paths([0, 0, 3, 0]), np.array([0]), TIMES, SPANS, none)
    assert np.isnan(empty.layers()["word_cos"]).all()
    assert word_rows(none, SPANS) == []
    assert word_rows(WORDS, SPANS) == [(0.05, 0.15, 0, 1), (0.3, 0.42, 2, 2)]


@st.composite
def cases(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edges = sorted(draw(st.lists(st.integers(0, 50), min_size=2, max_size=9, unique=True)))
    times = np.array(list(pairwise(edges)), float)
    words = draw(
        st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1, max_size=5)
    )
    at = draw(st.lists(st.integers(0, len(times) - 1), min_size=len(words), max_size=len(words)))
    return times, np.array([(a, a + n) for a, n in words], float), np.array(at)


@given(cases())
def test_against_brute_force(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    times, words, _ = case
    inside, gap = in_word(times, words)
    for i, (a, b) in enumerate(times):
        for j, (s, e) in enumerate(words):
            # integers: count the unit steps that both stretches hold
            both = set(range(int(a), int(b))) & set(range(int(s), int(e)))
            assert inside[i, j] == bool(both)
            near = min(abs(x - y) for x in (a, b) for y in (s, e)) if not both else 0
            assert gap[i, j] == pytest.approx(near)


@given(cases(), st.floats(0, 5), st.floats(0.1, 9))
def test_shifts_and_scales(
    case: tuple[np.ndarray, np.ndarray, np.ndarray], shift: float, scale: float
) -> None:
    times, words, _ = (np.asarray(x, float) for x in case)
    inside, gap = in_word(times, words)
    exact = in_word(times + 8, words + 8)
    assert np.array_equal(exact[0], inside)
    assert in_word(times * scale, words * scale)[1] == pytest.approx(gap * scale, abs=1e-9)
    wider = words + np.array([-shift, shift])
    assert (in_word(times, wider)[0] >= inside).all()  # a longer word holds no fewer positions
    assert (in_word(times, wider)[1] <= gap + 1e-9).all()


def test_chance_is_the_mean_over_random_paths() -> None:
    rng = np.random.default_rng(0)
    at = {name: rng.integers(5, size=(20000, 4)) for name in PATHS}
    found = hits_of(at, np.arange(20000), TIMES, SPANS, WORDS)
    drawn = found.inside["cos"].mean()
    assert drawn == pytest.approx(found.chance.mean(), abs=0.01)
    off = found.off["cos"][~found.inside["cos"]]
    assert np.median(off) == pytest.approx(np.median(found.chance_off))


# ---- of an analysis, and of many -----------------------------------------------------------------


@pytest.fixture(scope="module")
def analysed(tiny_model: Any) -> tuple[modgap.Analysis, WordTimes]:
    text = "What is two plus three?"
    result = modgap.analyze(tiny_model, make_clip(), text, answers=False)
    return result, made(text, [(0.1, 0.3), (0.3, 0.4), (0.5, 0.8), (0.8, 1.0), (1.0, 1.45)])


def test_of_an_analysis(analysed: tuple[modgap.Analysis, WordTimes]) -> None:
    result, words = analysed
    found = word_hits(result, words)
    table = found.layers()
    assert table["layer"].tolist() == result.layers["layer"].tolist()
    for path, column in (
        ("cos", "i_cos"),
        ("euc", "i_euc"),
        ("dtw_cos", "i_dtw_cos"),
        ("dtw_euc", "i_dtw_euc"),
    ):
        for k, layer in enumerate(result.layer_ids):
            rows = result.tokens[result.tokens["layer"] == layer]
            right = counted = 0
            for row in rows.itertuples():
                middle = (row.span_start + row.span_end) / 2
                own = [w for w, (a, b) in enumerate(words.spans) if a <= middle <= b]
                if not own or row.j not in found.tokens:
                    continue
                a, b = result.speech_times[getattr(row, column)]
                s, e = words.times[own[0]]
                counted += 1
                right += max(a, s) < min(b, e)
            assert counted == len(found.tokens)
            assert table[f"word_{path}"][k] == pytest.approx(right / counted), path
    with pytest.raises(ModgapError, match="another transcript"):
        word_hits(replace(result, transcript="What is two plus four?"), words)


def test_summary(analysed: tuple[modgap.Analysis, WordTimes]) -> None:
    a = hits_of(paths([0, 4, 2, 0]), np.array([3]), TIMES, SPANS, WORDS)
    b = hits_of(paths([1, 0, 4, 0]), np.array([3]), TIMES, SPANS, WORDS)
    table = hits_summary([a, b]).set_index("path")
    assert table.loc["cos", "share"] == pytest.approx(4 / 6)
    assert table.loc["cos", "ms"] == pytest.approx(125.0)
    assert table.loc["cos", "tokens"] == 6
    assert (table.loc["cos", "low"], table.loc["cos", "high"]) == pytest.approx((1 / 3, 1.0))
    assert table.loc["chance", "share"] == pytest.approx(0.4)
    assert table.loc["diagonal", "share"] == 1.0
    one = hits_summary([a]).set_index("path").loc["cos"]
    assert one["low"] == one["high"] == one["share"]
    assert hits_summary([a, b], seed=1).equals(hits_summary([a, b], seed=1))
    with pytest.raises(ModgapError, match="no clip"):
        hits_summary([])
    with pytest.raises(ModgapError, match="different layers"):
        hits_summary([a, word_hits(*analysed)])


# ---- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["cosine", "euclidean"])
@pytest.mark.parametrize("dark", [False, True])
def test_curves_draw_the_table(
    analysed: tuple[modgap.Analysis, WordTimes], measure: str, dark: bool
) -> None:
    found = word_hits(*analysed)
    curves = WordCurves.of(found, measure)
    fig = curves.figure(current=2, dark=dark)
    table = found.layers()
    lines = [(t.name, t.yaxis or "y", np.asarray(t.y, float)) for t in fig.data]
    path = "cos" if measure == "cosine" else "euc"
    for name, axis, column in (
        ("argmax path" if path == "cos" else "argmin path", "y", f"word_{path}"),
        ("DTW path", "y", f"word_dtw_{path}"),
        ("DTW path", "y2", f"word_ms_dtw_{path}"),
    ):
        drawn = next(y for n, a, y in lines if (n, a) == (name, axis))
        assert drawn == pytest.approx(table[column].to_numpy(), nan_ok=True)
    level = next(y for n, a, y in lines if (n, a) == ("random speech token", "y"))
    assert level == pytest.approx([table["chance"][0]] * 2)
    assert curves.table()["source"].eq("test").all()
    with pytest.raises(ModgapError, match="neither"):
        WordCurves.of(found, "dot")


def test_boxes_on_the_map(analysed: tuple[modgap.Analysis, WordTimes]) -> None:
    result, words = analysed
    bare = AlignmentMap.of(result, 2).figure()
    fig = AlignmentMap.of(result, 2, words=words).figure()
    assert "word" not in [t.name for t in bare.data]
    box = next(t for t in fig.data if t.name == "word" and t.showlegend)
    x, y = np.asarray(box.x, float).reshape(-1, 6), np.asarray(box.y, float).reshape(-1, 6)
    assert len(x) == len(words.words)
    assert np.isnan(x[:, 5]).all()
    # a word from 0.1 to 0.3 s at 40 ms a position: from 2.5 to 7.5 positions, less half a box
    assert x[0, :2] == pytest.approx([2.0, 7.0])
    spans = word_rows(words, result.spans)
    assert y[:, 0] == pytest.approx([j - 0.45 for _, _, j, _ in spans])
    assert y[:, 2] == pytest.approx([last + 0.45 for _, _, _, last in spans])


def test_public_names() -> None:
    assert modgap.word_hits is word_hits
    assert modgap.WordHits is WordHits

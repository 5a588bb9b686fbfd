"""Figures of interventions: the numbers drawn are the numbers given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modgap.core.errors import ModgapError
from modgap.figures.answer_lens import AnswerCurves
from modgap.figures.interventions import RUNS, ChangeMap, RunProbabilities, before_after
from modgap.figures.lens_grid import LensGrid


def _answer(**top: float) -> SimpleNamespace:
    return SimpleNamespace(top=tuple((t, float(np.log(p))) for t, p in top.items()))


def test_first_tokens_hold_the_likeliest_of_all_three_runs() -> None:
    found = RunProbabilities.of_first_tokens(
        SimpleNamespace(
            text=_answer(Paris=0.9, Rome=0.05),
            before=_answer(Oslo=0.6, Paris=0.2),
            after=_answer(Paris=0.5),
        ),
        count=2,
    )
    assert found.tokens == ("Paris", "Oslo")
    assert found.values[0] == pytest.approx([0.9, 0.2, 0.5])
    assert np.isnan(found.values[1][[0, 2]]).all()
    bars = found.figure().data
    assert [b.name for b in bars] == list(RUNS)
    assert bars[1].y.tolist() == pytest.approx([0.2, 0.6])
    assert found.table().columns.tolist() == ["token", *RUNS]
    with pytest.raises(ModgapError):
        RunProbabilities(("a",), np.zeros((2, 3)))


def test_curves_before_and_after() -> None:
    table = pd.DataFrame(
        {"layer": [0, 1], "aps_cos_before": [0.1, 0.2], "aps_cos_after": [0.3, np.nan]}
    )
    curves = before_after(table)
    assert [c.name for c in curves.curves] == ["before", "after"]
    assert curves.figure(current=1).data[0].y.tolist() == [0.1, 0.2]


def test_a_map_of_changes_diverges_at_zero() -> None:
    map_ = ChangeMap(("<b>", "x"), (0, 2, 4), np.array([[0.5, -2.0, 0], [0, 0, 1]]), "rows")
    fig = map_.figure(current=(1, 2), dark=True)
    heat = fig.data[0]
    assert (heat.zmin, heat.zmax) == (-2.0, 2.0)
    assert np.array_equal(np.array(heat.z), map_.values)
    assert list(fig.layout.yaxis.ticktext) == ["&lt;b&gt;", "x"]
    assert map_.table()["layer 2"].tolist() == [-2.0, 0.0]
    with pytest.raises(ModgapError):
        ChangeMap(("a",), (0,), np.zeros((2, 1)), "rows")
    assert ChangeMap(("a",), (0,), np.zeros((1, 1)), "rows").figure().data[0].zmax > 0


def test_maps_of_patching_and_sweeps() -> None:
    patched = SimpleNamespace(
        pieces=("a", "b"), layers=(0, 1, 2), change=np.arange(6.0).reshape(3, 2), where="word",
        control=np.full((3, 2), -7.0), counts=np.array([[1, 4], [0, 4], [3, 4]]),
    )  # fmt: skip
    patched.change[1, 0] = np.nan
    map_ = ChangeMap.of_patching(patched)
    assert np.array_equal(map_.values, [[0, np.nan, 4], [1, 3, 5]], equal_nan=True)
    fig = map_.figure()
    assert fig.data[1].text[:3] == (
        "layer 0<br>a<br>+0.000 nats<br>1 position patched", "layer 1<br>a<br>no aligned span",
        "layer 2<br>a<br>+4.000 nats<br>3 positions patched",
    )  # fmt: skip
    control = ChangeMap.of_patching(patched, "random")
    assert control.values.tolist() == [[-7] * 3] * 2
    assert fig.data[0].zmax == control.figure().data[0].zmax == 7  # both in the same colours
    assert ChangeMap.of_patching(patched, "difference").values[1].tolist() == [8, 10, 12]
    table = pd.DataFrame(
        {
            "rule": ["angle"] * 2,
            "tokens": ["all"] * 2,
            "strength": [0.5, 0.5],
            "layer": [0, 1],
            "change": [1.0, 2.0],
        }
    )
    map_ = ChangeMap.of_sweep(SimpleNamespace(table=table))
    assert map_.rows == ("angle, all, 0.5",)
    assert map_.values.tolist() == [[1.0, 2.0]]
    assert map_.variants == (("angle", "all", 0.5),)


def test_every_cell_can_be_clicked_and_says_its_value() -> None:
    map_ = ChangeMap(("<b>", "x"), (0, 2, 4), np.array([[0.5, -2.0, 0], [0, 0, 1]]), "rows")
    cells = map_.figure().data[1]
    assert [list(c) for c in cells.customdata] == [[r, k] for r in (0, 1) for k in (0, 2, 4)]
    at = [list(c) for c in zip(cells.y, cells.x, strict=True)]
    assert at == [list(c) for c in cells.customdata]
    assert cells.text[1] == "layer 2<br>&lt;b&gt;<br>-2.000 nats"
    grid = LensGrid(np.array([["a", "b"]], dtype=object), np.array([[0.25, 1]]), ("u", "v"), "t")
    assert grid.figure().data[1].text == ("layer 0, u<br>“a” 0.250", "layer 0, v<br>“b” 1.000")


def test_a_long_lens_is_read_by_dragging_and_a_huge_one_by_pointing() -> None:
    def drawn(n: int) -> tuple[Any, Any]:
        tokens = np.full((5, n), "word", dtype=object)
        fig = LensGrid(tokens, np.zeros((5, n)), ("c",) * n, "time").figure()
        return fig.data[0].text, list(fig.layout.xaxis.range)

    text, window = drawn(100)
    assert text.shape == (5, 100)
    assert window == [-0.5, 19.5]
    text, window = drawn(2000)
    assert text is None
    assert window == [-0.5, 1999.5]


def test_options_of_a_multiple_choice_are_bars_too() -> None:
    def run(*shares: float) -> SimpleNamespace:
        return SimpleNamespace(options=tuple(zip(("A, up", "B, down"), shares, strict=True)))

    made = SimpleNamespace(text=run(0.75, 0.25), before=run(0.5, 0.5), after=run(0.125, 0.875))
    found = RunProbabilities.of_options(made)
    assert found is not None
    assert found.table().to_dict("list") == {
        "token": ["A, up", "B, down"],
        "text": [0.75, 0.25],
        "speech, before": [0.5, 0.5],
        "speech, after": [0.125, 0.875],
    }
    none = SimpleNamespace(options=())
    assert RunProbabilities.of_options(SimpleNamespace(text=none, before=none, after=none)) is None


def test_the_lens_rings_the_right_word() -> None:
    tokens = np.array([["a", "<s>"], ["b", " c"]], dtype=object)
    wanted = np.array([[False, True], [False, False]])
    grid = LensGrid(tokens, np.full((2, 2), 0.5), ("0.0", "0.1"), "time", wanted)
    heat, _, ring = grid.figure().data
    assert heat.text.tolist() == [["a", "&lt;s&gt;"], ["b", "c"]]
    assert (list(ring.x), list(ring.y)) == ([1], [0])
    with pytest.raises(ModgapError):
        LensGrid(tokens, np.zeros((2, 3)), ("a", "b"), "time")


def test_curves_of_the_answer() -> None:
    table = pd.DataFrame(
        {"run": ["speech"] * 2 + ["text"] * 2, "layer": [0, 1] * 2,
         "probability": [0.1, 0.2, 0.3, 0.9], "rank": [4, 1, 2, 0]}
    )  # fmt: skip
    fig = AnswerCurves("<i>", table).figure()
    assert [line.name for line in fig.data] == ["speech", "text"]
    assert fig.data[1].y.tolist() == [0.3, 0.9]
    assert fig.data[1].customdata.tolist() == [3, 1]
    assert "&lt;i&gt;" in fig.layout.yaxis.title.text
    with pytest.raises(ModgapError):
        AnswerCurves("a", table.drop(columns="rank"))

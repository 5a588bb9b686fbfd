"""Several models in one figure: what is drawn is what was given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modgap.analysis.consistency import STATISTICS, Consistency, Estimate
from modgap.analysis.model_comparison import curve_table
from modgap.core.errors import ModgapError, SettingsError
from modgap.figures import AlignmentMap, ConsistencyPoints, DepthCurves, LayerCurve, SideBySide
from modgap.figures.consistency import UNITS, consistency_panels
from modgap.figures.palette import colorscale, palette
from tests.crafted_runs import run

NAN = float("nan")


def runs() -> list[Any]:
    return [
        run("flat", "x", [0.1, NAN, 0.4], seed=1),
        run("<b>deep</b>", "x", [0.2, 0.3, 0.5, 0.6, 0.9], seed=2),
    ]


# ---- curves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_points_stand_at_layer_over_depth(dark: bool) -> None:
    curves = DepthCurves.of(curve_table(runs()), "aps_cos")
    fig = curves.figure(depth=0.5, dark=dark)
    flat, deep = fig.data
    assert list(flat.x) == [0, 0.5, 1]
    assert list(deep.x) == [0, 0.25, 0.5, 0.75, 1]
    assert list(deep.y) == [0.2, 0.3, 0.5, 0.6, 0.9]
    assert np.isnan(flat.y[1])
    assert list(deep.customdata) == [0, 1, 2, 3, 4]
    assert "of 4" in deep.hovertemplate
    assert deep.name == "&lt;b&gt;deep&lt;/b&gt;"
    assert (flat.line.color, deep.line.color) == palette(dark).series[:2]
    assert flat.line.dash != deep.line.dash
    assert [s.x0 for s in fig.layout.shapes if s.line.dash == "dot"] == [0.5]
    assert fig.layout.yaxis.range == (-1.04, 1.04)
    table = curves.table()
    assert table["depth"].tolist() == [0, 0.5, 1, 0, 0.25, 0.5, 0.75, 1]
    assert table["aps_cos"].tolist()[3:] == [0.2, 0.3, 0.5, 0.6, 0.9]


def test_several_clips_are_drawn_as_their_mean() -> None:
    table = curve_table([run("a", "x", [1, NAN, 3]), run("a", "y", [2, 5, 5])])
    (trace,) = DepthCurves.of(table, "euclidean").figure().data
    assert list(trace.y) == [1.5, 5, 4]


def test_curves_refuse_what_does_not_fit() -> None:
    curve = LayerCurve("a", np.arange(3), np.zeros(3))
    with pytest.raises(ModgapError, match="beyond its model's 1"):
        DepthCurves("cosine", (curve,), (1,))
    with pytest.raises(ModgapError, match="number of layers"):
        DepthCurves("cosine", (curve,), ())
    with pytest.raises(ModgapError, match="same name"):
        DepthCurves("cosine", (curve, curve), (2, 2))
    with pytest.raises(SettingsError, match="Unknown measure"):
        DepthCurves("pitch", (curve,), (2,))


# ---- maps ----------------------------------------------------------------------------------------


def heat(fig: Any) -> list[Any]:
    return [t for t in fig.data if t.type == "heatmap"]


@pytest.mark.parametrize("measure", ["cosine", "euclidean"])
@pytest.mark.parametrize("dark", [False, True])
def test_maps_show_their_layers_on_one_scale(measure: str, dark: bool) -> None:
    two = runs()
    both = SideBySide.of(("a", "b"), two, (1, 3), measure)
    name = "similarity" if measure == "cosine" else "distance"
    top = max(float(r.alignment.distance.max()) for r in two)
    want = (-1, 1) if measure == "cosine" else (0, top)
    drawn = [heat(f)[0] for f in both.panels(dark=dark)], heat(both.figure(dark=dark))
    p = palette(dark)
    colours = colorscale(p.diverging if measure == "cosine" else p.sequential)
    for traces in drawn:
        assert len(traces) == 2
        for trace, analysis, layer in zip(traces, two, (1, 3), strict=True):
            matrix = getattr(analysis.alignment, name)[layer]
            assert np.array_equal(np.asarray(trace.z), matrix.T)
            assert (trace.zmin, trace.zmax) == pytest.approx(want)
            assert [list(pair) for pair in trace.colorscale] == colours
    whole = both.figure(dark=dark)
    assert [t.showscale for t in heat(whole)] == [False, True]
    assert [a.text for a in whole.layout.annotations] == ["a, layer 1", "b, layer 3"]
    assert {t.xaxis for t in whole.data} == {"x", "x2"}
    named = [t for t in whole.data if t.showlegend]
    assert len({t.name for t in named}) == len(named) == 2
    table = both.table()
    assert table.groupby("model")["layer"].unique().map(list).to_dict() == {"a": [1], "b": [3]}
    assert len(table) == 12


def test_maps_refuse_what_does_not_fit() -> None:
    a, b = runs()
    cosine, distance = AlignmentMap.of(a, 0), AlignmentMap.of(b, 0, "euclidean")
    with pytest.raises(ModgapError, match="one name each"):
        SideBySide(("a",), ())
    with pytest.raises(ModgapError, match="share their measure"):
        SideBySide(("a", "b"), (cosine, distance))
    with pytest.raises(ModgapError, match="not analysed"):
        SideBySide.of(("a", "b"), (a, b), (0, 9))
    two = (AlignmentMap.of(a, 0, "euclidean"), distance)
    with pytest.raises(ModgapError, match="colour scale"):
        SideBySide(("a", "b"), two)


# ---- consistency ---------------------------------------------------------------------------------


def found(model: str, value: float, low: float | None, high: float | None) -> Consistency:
    one = Estimate(value, low, high)
    return Consistency(model, "aps_cos", 12, 9, 0, one, one, one, one)


def test_every_statistic_has_a_unit() -> None:
    assert set(UNITS) == set(STATISTICS)


@pytest.mark.parametrize("statistic", sorted(UNITS))
@pytest.mark.parametrize("dark", [False, True])
def test_points_and_intervals(statistic: str, dark: bool) -> None:
    every = (found("a", 0.3, 0.2, 0.5), found("<s>", 0.4, None, None), found("c", 0.6, 0.62, 0.7))
    points = ConsistencyPoints.of(every, statistic)
    fig = points.figure(dark=dark)
    dots = [t for t in fig.data if t.mode == "markers"]
    assert [tuple(t.x) for t in dots] == [(0.3,), (0.4,), (0.6,)]
    assert [tuple(t.y) for t in dots] == [(0,), (1,), (2,)]
    bars = [t for t in fig.data if t.mode == "lines+markers"]
    assert [tuple(t.x) for t in bars] == [(0.2, 0.5), (0.62, 0.7)]
    assert "[0.2000 … 0.5000]" in dots[0].hovertemplate
    assert len({t.marker.symbol for t in dots}) == 3
    assert fig.layout.yaxis.ticktext == ("a", "&lt;s&gt;", "c")
    assert fig.layout.yaxis.range == (2.5, -0.5)
    low, high = fig.layout.xaxis.range
    assert low <= 0.2
    assert high >= 0.7
    assert points.table()["low"].tolist()[0] == 0.2
    assert np.isnan(points.table()["low"][1])


def test_nothing_defined_is_an_empty_axis() -> None:
    fig = ConsistencyPoints.of([found("a", NAN, None, None)], "over_clips").figure()
    assert fig.layout.xaxis.range == (0, 1)


@pytest.mark.parametrize(
    ("change", "say"),
    [
        ({"statistic": "mood"}, "Unknown statistic"),
        ({"names": ("a", "a")}, "named apart"),
        ({"names": ()}, "at least one"),
        ({"values": (1.0,)}, "equally many"),
        ({"lows": (None, 0.1)}, "both ends"),
        ({"lows": (0.9, 0.1), "highs": (0.5, 0.2)}, "lower one first"),
        ({"key": "pitch"}, "Unknown measure"),
    ],
)
def test_points_refuse_what_does_not_fit(change: dict[str, Any], say: str) -> None:
    good: dict[str, Any] = {
        "key": "aps_cos",
        "statistic": "level",
        "names": ("a", "b"),
        "values": (1.0, 2.0),
        "lows": (None, None),
        "highs": (None, None),
    }
    with pytest.raises(ModgapError, match=say):
        ConsistencyPoints(**(good | change))


def test_points_are_of_one_measure() -> None:
    other = found("b", 1, None, None)
    other = Consistency("b", "cosine", 1, 1, 0, *(Estimate(1.0),) * 4)
    with pytest.raises(ModgapError, match="one measure"):
        ConsistencyPoints.of([found("a", 1, None, None), other], "level")


def test_panels_hold_what_the_single_figures_hold() -> None:
    two = (found("a", 0.3, 0.2, 0.5), found("b", 0.4, None, None))
    every = [ConsistencyPoints.of(two, s) for s in ("over_layers", "over_clips", "agreement")] * 2
    fig = consistency_panels(every, dark=True)
    assert len(fig.data) == 6 * 3
    assert {t.xaxis for t in fig.data} == {"x", "x2", "x3", "x4", "x5", "x6"}
    assert [tuple(t.x) for t in fig.data[:3]] == [(0.2, 0.5), (0.3,), (0.4,)]
    assert fig.layout.annotations[1].text == "APS cos, spread over clips"
    assert len(consistency_panels(every[:1]).data) == 3
    with pytest.raises(ModgapError, match="same models"):
        consistency_panels([every[0], ConsistencyPoints.of(two[:1], "level")])
    with pytest.raises(ModgapError, match="at least one"):
        consistency_panels([])

"""Curves over layers: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from modgap.core.errors import ModgapError, SettingsError
from modgap.figures import MEASURES, LayerCurve, LayerCurves, measure, norms, path_scores

K = 9


def layers_table(shift: float = 0.0) -> pd.DataFrame:
    """A table as ``Analysis.layers`` has it, with one undefined monotonicity."""
    n = np.arange(K)
    out = pd.DataFrame({"layer": n, "cosine": 0.2 + 0.03 * n + shift, "euclidean": 5.0 + n**2})
    out["cosine_q25"], out["cosine_q75"] = out.cosine - 0.1, out.cosine + 0.05
    out["cosine_q50"], out["euclidean_q50"] = out.cosine - 0.02, out.euclidean * 1.05
    out["euclidean_q25"], out["euclidean_q75"] = out.euclidean * 0.9, out.euclidean * 1.1
    out["speech_norm"], out["text_norm"] = 10.0 + n, 8.0 + n
    out["norm_ratio"] = out.speech_norm / out.text_norm
    for s in ("speech", "text"):
        out[f"{s}_token_norm_q25"] = out[f"{s}_norm"] * 0.95
        out[f"{s}_token_norm_q50"] = out[f"{s}_norm"] * 1.1
        out[f"{s}_token_norm_q75"] = out[f"{s}_norm"] * 1.2
    out["aps_cos"], out["aps_dtw_cos"] = out.cosine + 0.2, out.cosine + 0.15
    out["aps_euc"], out["aps_dtw_euc"] = out.euclidean * 0.7, out.euclidean * 0.8
    out["monotonicity"] = out["monotonicity_euc"] = np.linspace(-0.1, 0.9, K)
    out.loc[3, "monotonicity"] = None
    return out


def lines(fig):
    return [t for t in fig.data if t.mode == "lines+markers"]


def test_traces_hold_the_given_numbers_to_the_last_bit():
    a, b = layers_table(), layers_table(0.1)
    curves = [LayerCurve.of(t, "cosine", n) for t, n in ((a, "a"), (b, "b"))]
    fig = LayerCurves("cosine", tuple(curves)).figure()
    for trace, table, name in zip(lines(fig), (a, b), "ab", strict=True):
        assert trace.name == f"{name}, token median"
        assert (np.asarray(trace.y) == table.cosine_q50.to_numpy()).all()
        assert (np.asarray(trace.x) == np.arange(K)).all()
        assert (np.asarray(trace.customdata)[:, 1] == table.cosine_q75.to_numpy()).all()
        assert "%{y:.4f}" in trace.hovertemplate
    pooled = [t for t in fig.data if (t.name or "").endswith(", pooled")]
    assert [t.name for t in pooled] == ["a, pooled", "b, pooled"]
    assert (np.asarray(pooled[1].y) == b.cosine.to_numpy()).all()
    bands = [t for t in fig.data if t.mode == "lines" and t.name == "quartiles"]
    assert (np.asarray(bands[0].y) == a.cosine_q25.to_numpy()).all()
    assert (np.asarray(bands[1].y) == a.cosine_q75.to_numpy()).all()
    assert bands[1].fill == "tonexty"


def test_series_differ_by_more_than_colour():
    curves = tuple(LayerCurve.of(layers_table(), "aps_cos", str(n)) for n in range(6))
    for dark in (False, True):
        drawn = lines(LayerCurves("aps_cos", curves).figure(dark=dark))
        for look in ([t.line.dash for t in drawn], [t.marker.symbol for t in drawn],
                     [t.line.color for t in drawn]):  # fmt: skip
            assert len(set(look)) == 6


def test_undefined_values_are_gaps():
    curve = LayerCurve.of(layers_table(), "monotonicity", "x")
    assert np.isnan(curve.values[3])
    fig = LayerCurves("monotonicity", (curve,)).figure()
    (trace,) = lines(fig)
    assert np.isnan(trace.y[3])
    assert trace.connectgaps is False
    assert fig.layout.yaxis.range == (-1.04, 1.04)
    assert [s.y0 for s in fig.layout.shapes if s.x0 == 0] == [0.0]


@pytest.mark.parametrize("shift", [0, -0.5])
def test_a_bounded_measure_has_a_fixed_range(shift):
    curves = LayerCurves("cosine", (LayerCurve.of(layers_table(shift), "cosine", "x"),))
    assert curves.figure().layout.yaxis.range == (-1.04, 1.04)
    # The upper half is a choice, and none where something lies below.
    assert curves.figure(upper=True).layout.yaxis.range == ((-1.04, 1.04) if shift else (0, 1.02))


def test_the_token_median_lies_in_its_band_and_the_pooled_line_says_so_in_the_legend():
    fig = LayerCurves("speech_norm", (LayerCurve.of(layers_table(), "speech_norm", "x"),)).figure()
    assert fig.layout.showlegend
    drawn = {t.name: np.asarray(t.y) for t in fig.data if t.name != "quartiles"}
    assert set(drawn) == {"token median, quartiles", "pooled (mean vectors)"}
    low, high = (np.asarray(t.y) for t in fig.data if t.name == "quartiles")
    median = drawn["token median, quartiles"]
    assert ((low <= median) & (median <= high)).all()
    assert (drawn["pooled (mean vectors)"] == layers_table().speech_norm).all()
    # What was kept before there were medians has neither them nor a band.
    old = LayerCurve.of(layers_table().drop(columns="cosine_q50"), "cosine", "x")
    assert (old.median, old.low, old.high) == (None, None, None)


def test_an_unbounded_axis_ends_at_a_round_number_that_clips_share():
    def end(scale):
        curve = LayerCurve("x", np.arange(3), np.array([1.0, 2.0, 2.9]) * scale)
        return LayerCurves("norm_ratio", (curve,)).y_range()[1]

    assert [end(1), end(0.95), end(10), end(0.3)] == [3, 3, 30, 1.5]


def test_an_unbounded_measure_starts_at_zero():
    fig = LayerCurves("euclidean", (LayerCurve.of(layers_table(), "euclidean", "x"),)).figure()
    low, high = fig.layout.yaxis.range
    assert low == 0
    assert high >= 69 * 1.1


def test_layer_axis_names_whole_layers():
    axis = (
        LayerCurves("cosine", (LayerCurve.of(layers_table(), "cosine", "x"),)).figure().layout.xaxis
    )
    assert list(axis.tickvals) == list(range(K))
    assert axis.ticktext[0] == "0<br>(embeddings)"
    many = LayerCurve("x", np.arange(33), np.linspace(0, 1, 33))
    axis = LayerCurves("cosine", (many,)).figure().layout.xaxis
    assert list(axis.tickvals) == list(range(0, 33, 4))


def test_names_are_shown_literally():
    curve = LayerCurve.of(layers_table(), "cosine", "<b>$x$</b>.wav")
    other = LayerCurve.of(layers_table(), "cosine", "y", band=False)
    curve = LayerCurve(curve.name, curve.layers, curve.values)
    trace, _ = lines(LayerCurves("cosine", (curve, other)).figure())
    assert trace.name == "&lt;b&gt;&#36;x&#36;&lt;/b&gt;.wav"


def test_table_gives_the_numbers_back():
    a, b = layers_table(), layers_table(0.1)
    both = LayerCurves(
        "cosine", (LayerCurve.of(a, "cosine", "a"), LayerCurve.of(b, "cosine", "b", band=False))
    ).table()
    assert list(both.columns) == ["name", "layer", "cosine", "median", "low", "high"]
    assert (both[both.name == "b"].cosine.to_numpy() == b.cosine.to_numpy()).all()
    assert both[both.name == "b"].low.isna().all()


@pytest.mark.parametrize(
    ("n", "v", "low"), [([0, 1], [1.0], None), ([1, 0], [1.0, 2.0], None), ([0], [1.0], [1.0]),
                        ([], [], None)]
)  # fmt: skip
def test_curves_that_do_not_fit_are_refused(n, v, low):
    low = None if low is None else np.array(low)
    with pytest.raises(ModgapError):
        LayerCurve("x", np.array(n), np.array(v), low)


def test_no_curve_equal_names_and_unknown_measures_are_refused():
    curve = LayerCurve.of(layers_table(), "cosine", "x")
    for wrong in ((), (curve, curve)):
        with pytest.raises(ModgapError):
            LayerCurves("cosine", wrong)
    with pytest.raises(SettingsError, match="cosine"):
        measure("<b>")


def test_every_measure_is_a_column_that_can_be_drawn():
    for key in MEASURES:
        fig = LayerCurves(key, (LayerCurve.of(layers_table(), key, "x"),)).figure(current=2)
        assert fig.layout.yaxis.title.text == measure(key).label


def test_norms_and_path_scores_have_their_panels():
    table = layers_table()
    fig = norms(table).figure(current=2)
    named = ["speech norm, token median", "text norm, token median", "ratio"]
    assert [t.name for t in lines(fig)] == named
    assert [t.yaxis for t in lines(fig)] == ["y", "y", "y2"]
    ratio = lines(fig)[2]
    assert (np.asarray(ratio.y) == table.norm_ratio.to_numpy()).all()
    fig = path_scores(table, "euclidean").figure()
    assert (np.asarray(lines(fig)[0].y) == table.aps_euc.to_numpy()).all()
    assert fig.layout.yaxis2.range == (-1.04, 1.04)
    assert list(path_scores(table).table().columns) == [
        "layer",
        "aps_cos",
        "aps_dtw_cos",
        "monotonicity",
    ]


def test_the_current_layer_is_marked_where_it_has_a_value():
    rings = [t for t in path_scores(layers_table()).figure(current=3).data if t.mode == "markers"]
    assert [r.yaxis for r in rings] == ["y", "y"], "monotonicity is undefined in layer 3"
    fig = path_scores(layers_table()).figure(current=4)
    assert [s.x0 for s in fig.layout.shapes if s.x0 == s.x1] == [4, 4]


def test_a_path_score_is_drawn_over_its_mismatched_pairs():
    table = layers_table()
    support = pd.DataFrame({"layer": np.arange(K), "filtered_aps_cos": np.linspace(0.1, 0.2, K)})
    for prefix, shift in (("", 0.0), ("filtered_", -0.3)):
        support[f"{prefix}others_low_cos"] = 0.4 + shift
        support[f"{prefix}others_high_cos"] = 0.5 + shift
    plain, filtered = (path_scores(table, "cosine", support, filtered=f) for f in (False, True))
    for made, low in ((plain, 0.4), (filtered, 0.1)):
        band = [t for t in made.figure().data if t.name == "mismatched pairs, 5–95 %"]
        assert [t.showlegend is not False for t in band] == [False, True]
        assert np.allclose(band[0].y, low)
        assert np.allclose(band[1].y, low + 0.1)
        assert band[1].fill == "tonexty"
        assert made.table()["mismatched_low"].tolist() == pytest.approx([low] * K)
    assert [t.name for t in lines(plain.figure())] == ["APS cos", "DTW score cos", "ρ cos"]
    names = [t.name for t in lines(filtered.figure())]
    assert names == ["APS cos", "without sinks and silence", "ρ cos"]  # each under its own name
    assert path_scores(table).band is None
    bare = path_scores(table, "cosine", support[["layer", "filtered_aps_cos"]])
    assert bare.band is None

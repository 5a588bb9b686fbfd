"""The line of similarity against gap: against numpy, scipy and numbers worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.core.errors import SettingsError
from modgap.gap.correlation import (
    ONE_VALUE,
    TOO_FEW,
    fit,
    fits,
    gaps,
    layer_curve,
    layer_means,
    points,
)
from modgap.gap.run_data import open_run
from tests.gap.made import answer, question, write_run

X, Y = [0.2, 0.4, 0.5, 0.7, 0.8], [0.9, 0.7, 0.75, 0.3, 0.35]


def table(x: list[float], y: list[float], group: str = "g") -> pd.DataFrame:
    names = [f"m{n}" for n in range(len(x))]
    return pd.DataFrame({"model": names, "part": "", "group": group, "x": x, "gap": y})


def test_a_line_worked_by_hand() -> None:
    """x = 1, 2, 3; y = 3, 2, 2: slope -1/2, intercept 10/3, R^2 = 0.75."""
    made = fit(table([1, 2, 3], [3, 2, 2]))
    assert (made.slope, made.intercept, made.r2) == pytest.approx((-0.5, 10 / 3, 0.75))
    # residual variance 1/6, Sxx = 2, t(0.975, 1) = 12.7062
    half = 12.7062047 * np.sqrt(1 / 6 / 2)
    assert (made.slope_low, made.slope_high) == pytest.approx((-0.5 - half, -0.5 + half))
    assert made.pearson == pytest.approx(-np.sqrt(0.75))
    assert np.isnan(made.pearson_low)
    assert made.spearman == pytest.approx(-np.sqrt(0.75))


def test_against_numpy_and_scipy() -> None:
    from scipy import stats

    made, oracle = fit(table(X, Y)), stats.linregress(X, Y)
    design = np.column_stack([np.ones(5), X])
    solved, rest, *_ = np.linalg.lstsq(design, np.array(Y), rcond=None)
    assert (made.intercept, made.slope) == pytest.approx(solved)
    assert made.r2 == pytest.approx(1 - rest[0] / ((np.array(Y) - np.mean(Y)) ** 2).sum())
    assert (made.slope, made.slope_p) == pytest.approx((oracle.slope, oracle.pvalue))
    half = stats.t.ppf(0.975, 3) * oracle.stderr
    assert made.slope_high == pytest.approx(oracle.slope + half)
    assert made.spearman == pytest.approx(stats.spearmanr(X, Y).statistic)
    z, spread = np.arctanh(made.pearson), 1.959964 / np.sqrt(5 - 3)
    assert (made.pearson_low, made.pearson_high) == pytest.approx(np.tanh([z - spread, z + spread]))
    # The band of the mean, by its formula.
    at = np.array([0.1, 0.6])
    mean, low, high = made.band(at)
    s2 = rest[0] / 3
    sxx = ((np.array(X) - np.mean(X)) ** 2).sum()
    half = stats.t.ppf(0.975, 3) * np.sqrt(s2 * (1 / 5 + (at - np.mean(X)) ** 2 / sxx))
    assert mean == pytest.approx(solved[0] + solved[1] * at)
    assert (high - mean) == pytest.approx(half)
    assert (mean - low) == pytest.approx(half)


def test_each_point_left_out_once() -> None:
    made = fit(table(X, Y))
    assert made.influence is not None
    for i, row in made.influence.iterrows():
        rest = fit(table(np.delete(X, i).tolist(), np.delete(Y, i).tolist()))
        assert (row["slope"], row["r2"]) == pytest.approx((rest.slope, rest.r2))
    # Cook's distance by its formula.
    design = np.column_stack([np.ones(5), X])
    hat = design @ np.linalg.solve(design.T @ design, design.T)
    e, h = np.array(Y) - hat @ Y, np.diag(hat)
    expected = e**2 / (2 * (e @ e / 3)) * h / (1 - h) ** 2
    assert made.influence["cook"].tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([], [], TOO_FEW),
        ([1, 2], [1, 2], TOO_FEW),
        ([1, 1, 1], [1, 2, 3], ONE_VALUE),
        ([1, 2, np.nan], [1, 2, 3], TOO_FEW),
    ],
)
def test_no_line_without_enough_points(x: list, y: list, reason: str) -> None:
    made = fit(table(x, y))
    assert made.reason == reason
    assert np.isnan(made.r2)
    with pytest.raises(SettingsError, match=reason):
        made.band(np.array([1.0]))


def test_a_constant_gap_has_a_flat_line_and_no_correlation() -> None:
    made = fit(table([1, 2, 3, 4], [0.5] * 4))
    assert made.slope == pytest.approx(0)
    assert np.isnan(made.r2)
    assert np.isnan(made.pearson)


@given(
    st.lists(
        st.tuples(st.floats(-10, 10), st.floats(-1, 1)),
        min_size=3,
        max_size=12,
        unique_by=lambda p: round(p[0], 3),
    ),
    st.floats(0.1, 50),
    st.floats(-5, 5),
)
def test_r2_does_not_hang_on_units(pairs: list, scale: float, shift: float) -> None:
    x, y = (np.array(v) for v in zip(*pairs, strict=True))
    if np.ptp(y) < 1e-6:
        return
    one, other = (
        fit(table(x.tolist(), y.tolist())),
        fit(table((scale * x + shift).tolist(), y.tolist())),
    )
    assert other.r2 == pytest.approx(one.r2, abs=1e-6)
    assert 0 <= one.r2 <= 1 + 1e-12
    assert one.r2 == pytest.approx(one.pearson**2, abs=1e-6)


def run_of_checkpoints(folder: Path) -> Path:
    """Checkpoint k of m:a is right aloud on k of 4; layer 0 follows that, layer 1 does not."""
    rows, layers = [], []
    for k in range(5):
        name = f"m:a@{k}"
        for n in range(4):
            rows += [answer(name, f"q{n}", "text", True), answer(name, f"q{n}", "speech", n < k)]
            for layer, cosine in ((0, 0.1 * k + 0.01 * n), (1, 0.5 + 0.1 * (k % 2))):
                layers.append(
                    {
                        "model": name,
                        "question": f"q{n}",
                        "layer": layer,
                        "cosine": cosine,
                        "monotonicity": None if n else 0.5,
                    }
                )
    asked = [question(f"q{n}", topic=f"t{n % 2}") for n in range(4)]
    return write_run(folder, asked, {"answers": [rows], "layers": [layers]})


def test_points_of_a_run(tmp_path: Path) -> None:
    run = open_run(run_of_checkpoints(tmp_path / "r"))
    gap = gaps(run)
    assert set(gap["quantity"]) == {"gap"}  # no base LLM: in points
    assert gap["gap"].tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    means = layer_means(run, "cosine")
    first = points(means, gap, 0)
    assert first["x"].tolist() == pytest.approx([0.015, 0.115, 0.215, 0.315, 0.415])
    both = points(means, gap)
    assert both["x"][0] == pytest.approx((0.015 + 0.5) / 2)
    curve = layer_curve(means, gap).set_index("layer")
    assert curve.loc[0, "r2"] == pytest.approx(1.0)
    assert curve.loc[1, "r2"] == pytest.approx(0.0, abs=1e-9)
    assert curve["group"].tolist() == ["m:a", "m:a"]
    # A measure that is undefined for most clips is the mean of the rest.
    assert layer_means(run, "monotonicity")["n"].tolist() == [1] * 10
    parts = points(layer_means(run, "cosine", split="topic"), gaps(run, split="topic"), 0)
    assert len(parts) == 10
    filtered = points(
        layer_means(run, "cosine", {"topic": ["t0"]}), gaps(run, {"topic": ["t0"]}), 0
    )
    pd.testing.assert_series_equal(
        filtered["x"], parts[parts["part"] == "t0"]["x"].reset_index(drop=True)
    )
    with pytest.raises(SettingsError, match="Unknown measure 'size'"):
        layer_means(run, "size")


def test_groups_and_all() -> None:
    both = pd.concat([table(X, Y, "a"), table(X, [1 - v for v in Y], "b")])
    made = {f.group: f for f in fits(both)}
    assert list(made) == ["a", "b", "all"]
    assert made["a"].slope == pytest.approx(-made["b"].slope)
    assert made["all"].n == 10

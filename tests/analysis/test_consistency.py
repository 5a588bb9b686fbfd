"""Consistency of patterns: hand-worked numbers, other libraries' numbers, and properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import bootstrap, pearsonr

from modgap.analysis.consistency import STATISTICS, Consistency, consistency, consistency_table
from modgap.core.errors import SettingsError

NAN = float("nan")


def table(**models: Any) -> pd.DataFrame:
    """Curves of one measure; each model's values are (C, K)."""
    rows = []
    for model, values in models.items():
        x = np.asarray(values, dtype=float)
        rows += [
            {"model": model, "clip": f"c{c}", "layer": k, "aps_cos": x[c, k]}
            for c in range(x.shape[0])
            for k in range(x.shape[1])
        ]
    return pd.DataFrame(rows)


def one(values: Any, **options: Any) -> Consistency:
    (found,) = consistency(table(m=values), "aps_cos", **options)
    return found


def numbers(found: Consistency) -> dict[str, float]:
    return {key: getattr(found, key).value for key in STATISTICS}


def test_worked_by_hand() -> None:
    # Means over clips 2, 3, 7: level 4, deviations -2, -1, 3, so sqrt(14 / 3) over layers.
    # Over clips: distance / sqrt 2 of each pair: (sqrt 2, 0, 3 sqrt 2), mean 4/3 sqrt 2.
    # Agreement: correlation of (1, 3, 4) and (3, 3, 10).
    # Deviations (-5/3, 1/3, 4/3) and (-7/3, -7/3, 14/3): 28/3 over sqrt(42/9 * 294/9).
    found = one([[1, 3, 4], [3, 3, 10]])
    assert found.level.value == pytest.approx(4)
    assert found.over_layers.value == pytest.approx((14 / 3) ** 0.5)
    assert found.over_clips.value == pytest.approx(4 / 3 * 2**0.5)
    assert found.agreement.value == pytest.approx((28 / 3) / (42 / 9 * 294 / 9) ** 0.5)
    assert (found.clips, found.layers, found.undefined) == (2, 3, 0)
    assert found.level.low is None, "two clips give no interval"


def test_undefined_values_are_left_out() -> None:
    # Layer means 2 (of 1, 3), 5 (of 5 alone); layer 1 has no spread over clips.
    found = one([[1, NAN], [3, 5]])
    assert found.level.value == pytest.approx(3.5)
    assert found.over_layers.value == pytest.approx(1.5)
    assert found.over_clips.value == pytest.approx(2**0.5)
    assert np.isnan(found.agreement.value), "two layers have no course"
    assert found.undefined == 1


def test_one_clip_has_a_level_and_a_course_only() -> None:
    found = one([[1, 2, 6]])
    assert found.level.value == pytest.approx(3)
    assert found.over_layers.value == pytest.approx(np.std([1, 2, 6]))
    assert np.isnan(found.over_clips.value)
    assert np.isnan(found.agreement.value)


def test_curves_that_do_not_change_have_no_agreement() -> None:
    found = one([[0.1 + 0.2] * 4, [0.3] * 4, [0.7] * 4])
    assert np.isnan(found.agreement.value)
    assert found.over_layers.value == pytest.approx(0, abs=1e-12)
    every = one([[NAN, NAN, NAN]] * 6)
    assert all(np.isnan(v) for v in numbers(every).values())
    assert every.level.low is None


SOME = arrays(
    np.float64,
    st.tuples(st.integers(2, 8), st.integers(2, 7)),
    elements=st.floats(-1, 1).map(lambda v: round(v, 3)),
)


@given(SOME)
def test_numpy_and_scipy_agree(x: np.ndarray) -> None:
    found = numbers(one(x))
    assert found["level"] == pytest.approx(x.mean())
    assert found["over_layers"] == pytest.approx(x.mean(0).std())
    assert found["over_clips"] == pytest.approx(x.std(0, ddof=1).mean())
    each = []
    for c in range(len(x)):
        others = np.delete(x, c, axis=0).mean(0)
        if x.shape[1] >= 3 and np.ptp(x[c]) > 0 and np.ptp(others) > 1e-9:
            each.append(pearsonr(x[c], others).statistic)
    if each:
        assert found["agreement"] == pytest.approx(np.mean(each), abs=1e-6)
    else:
        assert np.isnan(found["agreement"])


@given(SOME, st.floats(0.1, 10), st.floats(-5, 5), st.randoms(use_true_random=False))
def test_scale_shift_and_order(x: np.ndarray, scale: float, shift: float, random: Any) -> None:
    before = numbers(one(x))
    after = numbers(one(x * scale + shift))
    assert after["level"] == pytest.approx(before["level"] * scale + shift, abs=1e-9)
    for key in ("over_layers", "over_clips"):
        assert after[key] == pytest.approx(before[key] * scale, abs=1e-7)
    order = list(range(len(x)))
    random.shuffle(order)
    assert numbers(one(x[order])) == pytest.approx(before, nan_ok=True, abs=1e-9)


def test_clips_alike_are_perfectly_consistent() -> None:
    found = one([[0.1, 0.5, 0.3, 0.9]] * 6)
    assert found.over_clips.value == pytest.approx(0, abs=1e-12)
    assert found.agreement.value == pytest.approx(1)
    assert found.level.low == pytest.approx(found.level.high)
    assert found.over_layers.value == pytest.approx(np.std([0.1, 0.5, 0.3, 0.9]))


def test_intervals_are_scipys() -> None:
    x = np.random.default_rng(5).normal(0.5, 0.2, (30, 6))
    found = one(x)

    def check(key: str, statistic: Any, data: np.ndarray = x) -> None:
        rows = np.arange(len(data))
        theirs = bootstrap(
            (rows,),
            lambda picked: statistic(data[picked]),
            vectorized=False,
            method="percentile",
            n_resamples=4000,
            rng=1,
        ).confidence_interval
        ours = getattr(found, key)
        width = theirs.high - theirs.low
        assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
        assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)

    check("level", lambda d: d.mean())
    check("over_layers", lambda d: d.mean(0).std())
    check("over_clips", lambda d: d.std(0, ddof=1).mean())
    each = np.array([pearsonr(x[c], np.delete(x, c, 0).mean(0)).statistic for c in range(30)])
    check("agreement", lambda d: d.mean(), each[:, None])


def test_the_interval_of_the_level_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = []
    for n in range(60):
        found = one(rng.normal(0, 1, (40, 3)), seed=n).level
        inside.append(found.low <= 0 <= found.high)
    assert 0.83 <= np.mean(inside) <= 1  # 0.95 expected; a binomial of 60 falls below once in 2,000


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(0, 1, (12, 5))
    b = a * 2 + 0.25
    (found,) = consistency(table(a=a, b=b), "aps_cos", against="a")
    assert (found.model, found.against) == ("b", "a")
    alone = {c.model: c for c in consistency(table(a=a, b=b), "aps_cos")}
    for key in STATISTICS:
        want = getattr(alone["b"], key).value - getattr(alone["a"], key).value
        assert getattr(found, key).value == pytest.approx(want)
    # b's deviations are twice a's in every resample, so their difference has a's own interval.
    assert found.over_clips.low == pytest.approx(alone["a"].over_clips.low)
    assert found.over_clips.high == pytest.approx(alone["a"].over_clips.high)
    assert found.agreement.low == pytest.approx(0, abs=1e-9)
    (same,) = consistency(table(a=a, c=a), "aps_cos", against="a")
    assert (same.level.low, same.level.high) == (0, 0)


def test_only_clips_that_all_models_have_count() -> None:
    curves = table(a=[[1, 2], [3, 4], [50, 60]], b=[[1, 2], [3, 4], [5, 6]])
    curves = curves[(curves["model"] == "b") | (curves["clip"] != "c2")]
    found = consistency(curves, "aps_cos")
    assert [c.clips for c in found] == [2, 2]
    assert found[0].level == found[1].level


def test_the_same_seed_gives_the_same_interval() -> None:
    x = np.random.default_rng(2).normal(0, 1, (8, 4))
    assert one(x, seed=3) == one(x, seed=3)
    assert one(x, seed=3).level != one(x, seed=4).level


def test_the_table() -> None:
    found = consistency(table(a=[[1, 2], [3, NAN]]), "aps_cos")
    made = consistency_table(found)
    assert made["level"].tolist() == [2.0]
    assert made["undefined"].tolist() == [1]
    assert np.isnan(made["agreement"][0])
    assert np.isnan(made["level_low"][0])
    assert made["level_low"].dtype == float


@pytest.mark.parametrize(
    ("change", "measure", "options", "say"),
    [
        (lambda t: t, "pitch", {}, "Unknown measure"),
        (lambda t: t, "cosine", {}, "Unknown measure"),
        (lambda t: t, "aps_cos", {"against": "z"}, "not among the models"),
        (lambda t: pd.concat([t, t]), "aps_cos", {}, "comes twice"),
        (
            lambda t: t.assign(clip=t["clip"] + t["model"]),
            "aps_cos",
            {},
            "no clip in common",
        ),
    ],
)
def test_what_is_refused(change: Any, measure: str, options: Any, say: str) -> None:
    curves = change(table(a=[[1, 2]], b=[[1, 2]]))
    with pytest.raises(SettingsError, match=say):
        consistency(curves, measure, **options)

"""Reasons of failure, AUC, logistic and within-item regression against independent formulas."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.evaluation.runs.tables import ANSWERS
from modgap.figures.gap import AccuracyBars
from modgap.gap.accuracy import gap_table
from modgap.gap.failure_reasons import calibrated, false_alarms, reason, reasons
from modgap.gap.per_question import (
    Auc,
    Logistic,
    auc,
    logistic,
    question_rows,
    within_items,
)
from modgap.gap.pipeline_hearing import pipeline_hearing
from modgap.gap.reading import reading
from modgap.gap.run_data import open_run
from modgap.gap.run_table import Change, clip_rows
from tests.gap.made import answer, full, question, write_run


def rows(measure: list[float], failed: list[bool], item: list[int] | None = None) -> pd.DataFrame:
    n = len(measure)
    return pd.DataFrame({"measure": measure, "failed": failed, "seconds": np.nan, "wer": np.nan,
                         "item": list(range(n)) if item is None else item})  # fmt: skip


def test_an_area_worked_by_hand() -> None:
    """Failed 1, 2, 2; kept 2, 3: pairs won 1+1, 1/2+1, 1/2+1 of 6."""
    made = auc(rows([1, 2, 2, 2, 3], [True, True, True, False, False]))
    assert made.value == pytest.approx(5 / 6)
    assert (made.failed, made.kept) == (3, 2)
    assert auc(rows([1, 2, 2, 2, 3], [True, True, True, False, False]),
               higher_fails=True).value == pytest.approx(1 / 6)  # fmt: skip


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 40))
def test_the_area_is_that_of_scikit_learn(seed: int, m: int, n: int) -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=m + n), 1)
    failed = np.arange(m + n) < m
    made = auc(rows(values.tolist(), failed.tolist()))
    assert made.value == pytest.approx(roc_auc_score(failed, -values))
    assert 0 <= made.low <= made.value <= made.high <= 1


def test_delong_by_its_definition() -> None:
    """Variance of the mean placements of DeLong, DeLong and Clarke-Pearson (1988), by loops."""
    rng = np.random.default_rng(3)
    x, y = np.round(rng.normal(-0.6, 1, 25), 1), np.round(rng.normal(0, 1, 40), 1)
    won = np.array([[1.0 if a < b else 0.5 if a == b else 0.0 for b in y] for a in x])
    spread = np.sqrt(won.mean(1).var(ddof=1) / 25 + won.mean(0).var(ddof=1) / 40)
    made = auc(rows([*x, *y], [True] * 25 + [False] * 40))
    assert made.value == pytest.approx(won.mean())
    assert made.high - made.value == pytest.approx(1.959964 * spread)


def voices(rng: np.random.Generator, items: int, each: int) -> pd.DataFrame:
    """Measure and failure hang on the item, one not on the other: the true area is 0.5."""
    item = np.repeat(np.arange(items), each)
    level = rng.normal(size=items)[item] + 0.3 * rng.normal(size=items * each)
    failed = 2 * rng.normal(size=items)[item] + rng.normal(size=items * each) > 0
    return rows(np.round(level, 1).tolist(), failed.tolist(), item.tolist())


def test_obuchowski_by_its_definition() -> None:
    """The variance of Obuchowski (1997) by loops; and the jackknife over items is near it."""
    data = voices(np.random.default_rng(5), 40, 6)
    made = auc(data)
    assert made.method == "DeLong, clustered by item"
    x, y = data[data["failed"]], data[~data["failed"]]
    won = np.array([[1.0 if a < b else 0.5 if a == b else 0.0 for b in y["measure"]]
                    for a in x["measure"]])  # fmt: skip
    M, N, theta = len(x), len(y), won.mean()
    s10 = s01 = s11 = 0.0
    for i in range(40):
        mine_x, mine_y = (x["item"] == i).to_numpy(), (y["item"] == i).to_numpy()
        a = won.mean(1)[mine_x].sum() - mine_x.sum() * theta
        b = won.mean(0)[mine_y].sum() - mine_y.sum() * theta
        s10, s01, s11 = s10 + a * a, s01 + b * b, s11 + a * b
    i10, i01 = x["item"].nunique(), y["item"].nunique()
    s10, s01, s11 = s10 * i10 / (i10 - 1) / M, s01 * i01 / (i01 - 1) / N, s11 * 40 / 39
    variance = s10 / M + s01 / N + 2 * s11 / (M * N)
    assert made.value == pytest.approx(theta)
    assert made.high - made.value == pytest.approx(1.959964 * np.sqrt(variance))
    without = np.array([auc(data[data["item"] != i]).value for i in range(40)])
    jackknife = 39 / 40 * ((without - without.mean()) ** 2).sum()
    assert np.sqrt(variance) == pytest.approx(np.sqrt(jackknife), rel=0.15)


def test_items_that_come_once_change_nothing() -> None:
    data = voices(np.random.default_rng(1), 80, 1)
    assert auc(data).method == "DeLong"
    named = auc(data.assign(item=[f"x{n}" for n in range(80)]))
    assert named == auc(data)
    assert np.isnan(auc(data.assign(item=0)).high)  # one item has no error


def test_the_interval_covers_where_items_come_in_many_voices() -> None:
    """Nominal 95 %; the voices taken for independent questions give about half."""
    rng = np.random.default_rng(0)
    held, naive = 0, 0
    for _ in range(300):
        data = voices(rng, 60, 11)
        made = auc(data)
        held += made.low <= 0.5 <= made.high
        alone = auc(data.assign(item=range(len(data))))
        naive += alone.low <= 0.5 <= alone.high
    assert 0.91 * 300 <= held <= 0.98 * 300
    assert naive < 0.65 * 300


@pytest.mark.parametrize(
    ("failed", "said"),
    [([True, True], "every question failed"), ([False, False], "no question failed"),
     ([], "no questions")],
)  # fmt: skip
def test_an_area_of_one_outcome_is_undefined(failed: list[bool], said: str) -> None:
    made = auc(rows([0.1] * len(failed), failed))
    assert made.reason == said
    assert np.isnan(made.value)


def spoken(n: int, seed: int = 0, effect: float = -1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    aps, seconds, wer = rng.normal(0.5, 0.1, n), rng.uniform(1, 4, n), rng.exponential(0.2, n)
    score = effect * (aps - 0.5) / 0.1 + 0.5 * (wer - 0.2) / 0.2
    failed = rng.random(n) < 1 / (1 + np.exp(-score))
    return pd.DataFrame({"measure": aps, "failed": failed, "seconds": seconds, "wer": wer,
                         "item": np.arange(n)})  # fmt: skip


def test_the_logistic_regression_is_the_likelihoods_maximum() -> None:
    from scipy.optimize import minimize

    data = spoken(400)
    made = logistic(data)
    assert made.reason is None
    assert made.dropped == ()
    x = data[["measure", "seconds", "wer"]].to_numpy()
    design = np.column_stack([np.ones(400), (x - x.mean(0)) / x.std(0, ddof=1)])
    y = data["failed"].to_numpy(float)
    loss = lambda b: np.logaddexp(0, design @ b).sum() - y @ (design @ b)  # noqa: E731
    solved = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    assert np.log(made.table["odds_ratio"]).tolist() == pytest.approx(solved[1:], abs=1e-4)
    # Intervals by the information matrix.
    p = 1 / (1 + np.exp(-design @ solved))
    spread = np.sqrt(np.diag(np.linalg.inv((design * (p * (1 - p))[:, None]).T @ design)))[1:]
    assert np.log(made.table["high"]).tolist() == pytest.approx(
        solved[1:] + 1.959964 * spread, abs=1e-3
    )
    null = 400 * (y.mean() * np.log(y.mean()) + (1 - y.mean()) * np.log(1 - y.mean()))
    assert made.pseudo_r2 == pytest.approx(1 - loss(solved) / -null, abs=1e-5)


def test_a_logistic_regression_says_why_there_is_none() -> None:
    data = spoken(200)
    assert logistic(data.assign(failed=True)).reason == "too few questions, or all with one outcome"
    assert logistic(data.assign(measure=0.5)).reason == "the measure is unknown or does not vary"
    split = logistic(data.assign(failed=data["measure"] < 0.5))
    assert split.reason == "the terms separate the outcomes perfectly"
    assert logistic(data.assign(wer=np.nan)).dropped == ("word error rate",)
    assert logistic(data.iloc[:0]).reason is not None


def test_within_items_is_the_regression_with_a_dummy_for_each_item() -> None:
    rng = np.random.default_rng(0)
    item = np.repeat(np.arange(40), 5)
    hard = rng.normal(size=40)[item]
    aps = 0.5 + 0.2 * hard + rng.normal(0, 0.1, 200)
    failed = rng.random(200) < 1 / (1 + np.exp(3 * (aps - 0.5) - 2 * hard))
    alone = [{"measure": 0.1, "failed": True, "item": 99}]
    data = pd.concat([pd.DataFrame({"measure": aps, "failed": failed, "item": item}),
                      pd.DataFrame(alone)])  # fmt: skip
    made = within_items(data)
    assert (made.questions, made.items) == (200, 40)
    dummies = (item[:, None] == np.arange(40)).astype(float)
    solved = np.linalg.lstsq(np.column_stack([dummies, aps]), failed.astype(float), rcond=None)[0]
    mean = np.array([aps[item == i].mean() for i in range(40)])[item]
    spread = np.sqrt(((aps - mean) ** 2).sum() / 160)
    assert made.slope == pytest.approx(solved[-1] * spread)
    # Clustered errors by their formula (CR1).
    dx = (aps - mean) / spread
    dy = failed - np.array([failed[item == i].mean() for i in range(40)])[item]
    e = dy - made.slope * dx
    meat = sum((dx[item == i] @ e[item == i]) ** 2 for i in range(40))
    error = np.sqrt(40 / 39 * 199 / 199 * meat) / (dx @ dx)
    assert made.high - made.slope == pytest.approx(2.022691 * error, rel=1e-3)  # t(0.975, 39)
    assert 0 <= made.r2 <= 1


def test_within_items_needs_items() -> None:
    assert within_items(rows([0.1, 0.2, 0.3], [True, False, True])).reason is not None
    same = rows([0.5] * 8, [True, False] * 4, [0, 0, 1, 1, 2, 2, 3, 3])
    assert within_items(same).reason == "the measure does not vary within items"
    always = rows([0.1, 0.2] * 4, [True] * 8, [0, 0, 1, 1, 2, 2, 3, 3])
    assert within_items(always).reason == "no item fails in one voice and not in another"


def fitted(ratio: float, low: float, high: float) -> Logistic:
    terms = ["similarity", "length of the clip"]
    table = pd.DataFrame({"term": terms, "odds_ratio": [ratio, 2.0], "low": [low, 1.5],
                          "high": [high, 2.5], "p": [0.01, 0.01]})  # fmt: skip
    return Logistic(table, 100, 0.1)


def test_numbers_that_point_in_opposite_directions_are_said_to() -> None:
    low_fails = Auc(0.7, 0.6, 0.8, 20, 80)
    same = reading(low_fails, fitted(0.5, 0.4, 0.7))
    assert "same way" in same
    assert "less similar" in same
    assert "no effect" not in same
    assert "interval of the odds ratio holds no effect" in reading(low_fails, fitted(0.9, 0.7, 1.2))
    turned = reading(low_fails, fitted(1.6, 1.2, 2.0))
    assert "opposite directions" in turned
    assert "alone, failed questions are less similar (AUC 0.70)" in turned
    assert "more similar ones fail more (odds ratio 1.60 per SD, 95 % 1.20 to 2.00)" in turned
    assert "put down to length of the clip" in turned
    assert "nothing is left of it" in reading(low_fails, fitted(1.1, 0.9, 1.3))
    # Distances: a high one goes with failure, an odds ratio above 1 says the same.
    assert "same way" in reading(low_fails, fitted(1.6, 1.2, 2.0), higher_fails=True)
    assert "opposite" in reading(low_fails, fitted(0.5, 0.4, 0.7), higher_fails=True)
    assert reading(Auc(math.nan, math.nan, math.nan, 0, 9, "no question failed"),
                   fitted(0.5, 0.4, 0.7)) == ""  # fmt: skip
    assert reading(low_fails, Logistic(fitted(1, 1, 1).table.iloc[:0], 9, reason="few")) == ""


def test_the_reading_of_made_data_by_its_making() -> None:
    """Length alone decides failure, and similarity grows with length: the AUC is length's."""
    rng = np.random.default_rng(3)
    seconds = rng.normal(5, 1, 4000)
    similarity = -seconds + rng.normal(0, 0.3, 4000)
    logit = 2 * (seconds - 5) + 1.5 * (similarity + seconds)  # at equal length, the similar fail
    failed = rng.random(4000) < 1 / (1 + np.exp(-logit))
    made = pd.DataFrame({"failed": failed, "measure": similarity, "seconds": seconds,
                         "wer": np.nan, "item": np.arange(4000)})  # fmt: skip
    assert "opposite directions" in reading(auc(made), logistic(made))
    honest = made.assign(failed=rng.random(4000) < 1 / (1 + np.exp(3 * made["measure"] + 15)))
    assert "same way" in reading(auc(honest), logistic(honest))


def test_how_well_the_pipeline_hears(tmp_path: Path) -> None:
    rows = []
    for model in ("m", "other"):  # the same recogniser, asked once a clip
        for n, wer in enumerate((0.0, 0.5, None)):
            rows.append(answer(model, f"q{n}", "pipeline", True, wer=wer))
            rows.append(answer(model, f"q{n}", "speech", True, wer=0.9))
    rows.append(answer("m", "q3", "pipeline", True, wer=1.0))
    asked = [question(f"q{n}", half="a" if n < 2 else "b") for n in range(4)]
    protocol = {"recognizer": {"name": "/models/whisper-tiny.en"}}
    run = open_run(write_run(tmp_path / "r", asked, {"answers": [rows]}, protocol))
    found = pipeline_hearing(run)
    assert found is not None
    assert (found.wer, found.clips) == (pytest.approx(0.5), 3)
    assert found.label == "whisper-tiny.en, WER 50 %"
    half = pipeline_hearing(run, {"half": ["a"]})
    assert half is not None
    assert half.label == "whisper-tiny.en, WER 25 %"
    bars = AccuracyBars(gap_table(run, ["m"]), found.label).figure().data
    assert "pipeline (whisper-tiny.en, WER 50 %)" in [b.name for b in bars]
    without = open_run(failing_run(tmp_path / "s"))
    assert pipeline_hearing(without) is None


def failing_run(folder: Path) -> Path:
    said = [  # text right, speech right, parsed, word error rate
        (True, False, True, 0.5), (True, False, False, 0.5), (True, False, False, 0.0),
        (True, False, True, 0.0), (True, False, True, None), (True, True, True, 0.9),
        (False, False, True, 0.1), (True, False, True, 0.2),
    ]  # fmt: skip
    answers, layers = [], []
    for n, (text, speech, parsed, wer) in enumerate(said):
        answers.append(answer("m", f"q{n}", "text", text))
        spoken = answer("m", f"q{n}", "speech", speech, wer=wer)
        answers.append(spoken if parsed else {**spoken, "extracted": None})
        layers += [{"model": "m", "question": f"q{n}", "layer": k, "aps_cos": 0.1 * n + k}
                   for k in (0, 1)]  # fmt: skip
    return write_run(folder, [question(f"q{n}") for n in range(8)],
                     {"answers": [answers], "layers": [layers]})  # fmt: skip


def test_reasons_worked_by_hand(tmp_path: Path) -> None:
    run = open_run(failing_run(tmp_path / "r"))
    table = reasons(run)
    lost = table[table["text"] == "right"].set_index("reason")
    assert lost["n"].to_dict() == {"not heard": 3, "wrong form": 1, "not used": 1, "unknown": 1}
    assert lost["share"].sum() == pytest.approx(1)
    assert table[table["text"] == "wrong"]["n"].tolist() == [1]
    lenient = reasons(run, tolerance=0.25)
    lost = lenient[lenient["text"] == "right"].set_index("reason")
    assert lost["n"].to_dict() == {"not heard": 2, "wrong form": 1, "not used": 2, "unknown": 1}


def test_false_alarms_worked_by_hand(tmp_path: Path) -> None:
    said = [("m", True, 0.3), ("m", True, 0.0), ("m", True, None), ("m", True, 0.25),
            ("m", False, 0.9), ("other", True, 0.0), ("mute", True, None)]  # fmt: skip
    rows = [answer(m, f"q{n}", "speech", right, wer=w) for n, (m, right, w) in enumerate(said)]
    rows += [answer(m, f"q{n}", "text", False) for n, (m, _, _) in enumerate(said)]
    asked = [question(f"q{n}", half="a" if n < 2 else "b") for n in range(len(said))]
    run = open_run(write_run(tmp_path / "r", asked, {"answers": [rows]}))
    table = false_alarms(run).set_index("model")
    assert table.loc["m", ["right", "misheard", "share"]].tolist() == [3, 2, pytest.approx(2 / 3)]
    assert table.loc["other", ["right", "misheard"]].tolist() == [1, 0]
    assert list(table.index) == ["m", "other"]
    assert false_alarms(run, ["m"], tolerance=0.25)["misheard"].tolist() == [1]
    assert false_alarms(run, ["m"], {"half": ["a"]})["right"].tolist() == [2]
    silent = write_run(tmp_path / "t", asked, {"answers": [rows[len(said) :]]})
    assert false_alarms(open_run(silent)).empty


def test_the_calibrated_threshold_by_hand(tmp_path: Path) -> None:
    """Failures 0.5, 0.5, 0, 0, 0.2; right 0.9: no threshold tells them apart but the highest."""
    found = calibrated(open_run(failing_run(tmp_path / "r")))
    assert (found.failed, found.right) == (5, 1)
    assert (found.tolerance, found.youden, found.detected, found.alarms) == (0.9, 0, 0, 0)
    said = [(False, 0.5), (False, 0.4), (False, 0.1), (True, 0.3), (True, 0.2), (True, 0.0)]
    rows = [answer("m", f"q{n}", "speech", right, wer=w) for n, (right, w) in enumerate(said)]
    rows += [answer("m", f"q{n}", "text", True) for n in range(len(said))]
    asked = [question(f"q{n}", half="a" if n else "b") for n in range(len(said))]
    run = open_run(write_run(tmp_path / "s", asked, {"answers": [rows]}))
    found = calibrated(run)
    # Above 0.3: two of three failures and no right answer.
    assert (found.tolerance, found.alarms) == (0.3, 0.0)
    assert found.youden == found.detected == pytest.approx(2 / 3)
    assert calibrated(run, where={"half": ["a"]}).detected == pytest.approx(1 / 2)
    assert false_alarms(run, tolerance=found.tolerance)["misheard"].tolist() == [0]
    nothing = calibrated(run, where={"half": ["b"]})
    assert nothing.reason == "no right answer to speech has a word error rate"
    assert nothing.tolerance == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_calibrated_threshold_by_trying_all(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    right = rng.random(40) < 0.6
    wer = np.round(rng.integers(0, 8, 40) / rng.integers(4, 9, 40), 6)
    rows = [answer("m", f"q{n}", "speech", bool(right[n]), wer=float(wer[n])) for n in range(40)]
    rows += [answer("m", f"q{n}", "text", True) for n in range(40)]
    asked = [question(f"q{n}") for n in range(40)]
    found = calibrated(open_run(write_run(tmp_path / "r", asked, {"answers": [rows]})))
    tried = []
    for step in range(101):
        misheard = wer > step / 100 + 1e-9
        hit, alarm = misheard[~right].mean(), misheard[right].mean()
        tried.append((round(hit - alarm, 9), -round(alarm, 9), -step))
    best = max(tried)
    assert (round(found.youden, 9), -round(found.alarms, 9)) == best[:2]
    assert found.tolerance == pytest.approx(-best[2] / 100)


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
def test_a_word_error_rate_at_the_tolerance_is_heard(tmp_path: Path, kind: pa.DataType) -> None:
    """Up to the tolerance, this included: recounted in fractions, whatever the files round to."""
    rates = sorted({Fraction(p, q) for q in range(1, 21) for p in range(q + 3)})
    names = [f"q{n}" for n in range(2 * len(rates))]
    right = dict(zip(names, [False] * len(rates) + [True] * len(rates), strict=True))
    wer = dict(zip(names, rates + rates, strict=True))
    rows = [answer("m", n, "text", True) for n in names]
    rows += [answer("m", n, "speech", right[n], wer=float(wer[n])) for n in names]
    folder = write_run(tmp_path / "r", [question(n) for n in names], {"answers": [rows]})
    schema = ANSWERS.set(ANSWERS.get_field_index("wer"), pa.field("wer", kind))
    pq.write_table(full(rows, schema), folder / "answers" / "part-00000.parquet")
    run = open_run(folder)
    for step in range(0, 21):
        exact, tolerance = Fraction(step, 20), step / 20
        misheard = sum(rate > exact for rate in rates)
        found = reasons(run, tolerance=tolerance).set_index("reason")["n"]
        assert found.to_dict() == {"not heard": misheard, "not used": len(rates) - misheard}
        assert false_alarms(run, tolerance=tolerance)["misheard"].tolist() == [misheard]
        shown = clip_rows(run, "m", Change.LOST, limit=1000, tolerance=tolerance)
        assert (shown["reason"] == "not heard").sum() == misheard
        assert sum(reason(float(r), False, tolerance) == "not heard" for r in rates) == misheard


def test_rows_of_questions(tmp_path: Path) -> None:
    run = open_run(failing_run(tmp_path / "r"))
    found = question_rows(run, "m").sort_values("measure")
    assert len(found) == 7  # the one that is wrong as text is left out
    assert found["measure"].iloc[0] == pytest.approx(0.5)  # mean of the layers 0 and 1
    assert found["failed"].tolist() == [True] * 5 + [False, True]
    assert set(found["question"]) <= set(run.sql("SELECT question FROM q")["question"])
    assert found["question"].is_unique
    one = question_rows(run, "m", layer=1, text_right=False).sort_values("measure")
    assert one["measure"].tolist() == pytest.approx([1 + 0.1 * n for n in range(8)])

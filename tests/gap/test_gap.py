"""Accuracies, gap and decomposition against numbers worked by hand and scipy's bootstrap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modgap.core.errors import SettingsError
from modgap.gap.accuracy import accuracies, estimates, gap_table, patterns
from modgap.gap.run_data import open_run
from tests.gap.made import answer, question, write_run

# Ten questions: base right on 8, text on 6, speech on 3, pipeline on 4.
BASE, TEXT, SPEECH, PIPE = (
    [1, 1, 1, 1, 1, 1, 1, 1, 0, 0],
    [1, 1, 1, 1, 1, 0, 0, 0, 1, 0],
    [1, 1, 0, 0, 0, 0, 0, 0, 1, 0],
    [1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    rows = []
    for kind, right in zip(("base", "text", "speech", "pipeline"), (BASE, TEXT, SPEECH, PIPE),
                           strict=True):  # fmt: skip
        rows += [answer("m", f"q{n}", kind, bool(r)) for n, r in enumerate(right)]
    rows[-1] = answer("m", "q9", "pipeline", False, extracted=None)
    rows[-1]["extracted"] = None
    asked = [question(f"q{n}", topic="even" if n % 2 == 0 else "odd") for n in range(10)]
    return write_run(tmp_path / "run", asked, {"answers": [rows[:17], rows[17:]]})


def values(table: pd.DataFrame) -> dict[str, float]:
    return dict(zip(table["quantity"], table["value"], strict=True))


def test_numbers_worked_by_hand(run_folder: Path) -> None:
    table = gap_table(open_run(run_folder))
    assert set(table["n"]) == {10}
    assert values(table) == pytest.approx(
        {"base": 0.8, "text": 0.6, "speech": 0.3, "pipeline": 0.4, "gap": 0.3,
         "relative_gap": 0.375, "lost_in_tuning": 0.25, "lost_total": 0.625,
         "pipeline_lead": 0.1}
    )  # fmt: skip
    found = values(table)
    assert found["lost_total"] == pytest.approx(found["lost_in_tuning"] + found["relative_gap"])


def test_groups_add_up_and_filters_choose(run_folder: Path) -> None:
    run = open_run(run_folder)
    table = gap_table(run, by="topic")
    even = values(table[table["part"] == "even"])
    assert even["text"] == pytest.approx(4 / 5)  # q0 q2 q4 q8 of q0 q2 q4 q6 q8
    assert values(gap_table(run, where={"topic": ["even"]})) == pytest.approx(even)
    assert gap_table(run, where={"topic": []}).empty
    with pytest.raises(SettingsError, match="no group 'accent'; it has dataset, subset, topic"):
        gap_table(run, by="accent")
    with pytest.raises(SettingsError, match="no model 'x'; it has m"):
        patterns(run, "x", ["text"])
    with pytest.raises(SettingsError, match="no answers to 'video'"):
        patterns(run, "m", ["video"])


def test_what_is_counted(run_folder: Path) -> None:
    table = accuracies(open_run(run_folder)).set_index("input")
    assert table.loc["pipeline", ["asked", "judged", "right", "unparsed"]].tolist() == [
        10,
        10,
        4,
        1,
    ]
    assert table["failed"].tolist() == [0, 0, 0, 0]


def test_intervals_are_those_of_scipy(run_folder: Path) -> None:
    from scipy.stats import bootstrap

    table = gap_table(open_run(run_folder)).set_index("quantity")
    data = tuple(np.array(v, float) for v in (BASE, TEXT, SPEECH))
    oracle = {
        "text": lambda b, t, s, axis: t.mean(axis),
        "gap": lambda b, t, s, axis: t.mean(axis) - s.mean(axis),
        "relative_gap": lambda b, t, s, axis: (t.mean(axis) - s.mean(axis)) / b.mean(axis),
    }
    for name, statistic in oracle.items():
        made = bootstrap(data, statistic, paired=True, n_resamples=20_000, method="percentile",
                         rng=1, vectorized=True)  # fmt: skip
        low, high = made.confidence_interval
        assert table.loc[name, "low"] == pytest.approx(low, abs=0.03)
        assert table.loc[name, "high"] == pytest.approx(high, abs=0.03)


def test_voices_of_an_item_are_drawn_together(tmp_path: Path) -> None:
    """Ten voices that agree say no more than one: the interval is that of the items."""
    asked, rows, single = [], [], []
    for item in range(30):
        for voice in range(10):
            name = f"i{item}v{voice}"
            asked.append(question(name, item=f"i{item}", voice=f"v{voice}"))
            rows += [answer("m", name, "text", True), answer("m", name, "speech", item % 3 == 0)]
        single.append(item % 3 == 0)
    run = open_run(write_run(tmp_path / "run", asked, {"answers": [rows]}))
    assert run.has_items
    table = gap_table(run).set_index("quantity")
    draws = np.random.default_rng(0).choice(np.array(single, float), (9999, 30)).mean(1)
    assert table.loc["speech", "low"] == pytest.approx(np.quantile(draws, 0.025), abs=0.02)
    assert table.loc["speech", "n"] == 300
    assert table.loc["text", ["low", "high"]].tolist() == [1, 1]


def test_questions_that_are_not_judged_or_were_not_run_are_left_out(tmp_path: Path) -> None:
    rows = [answer("m", f"q{n}", "text", True) for n in range(4)]
    rows += [answer("m", "q0", "speech", True), answer("m", "q1", "speech", None),
             answer("m", "q2", "speech", False)]  # fmt: skip
    lost = [
        {"model": "m", "question": "q3", "input": "speech", "kind": "AudioError", "reason": "?"}
    ]
    folder = write_run(tmp_path / "run", [question(f"q{n}") for n in range(4)],
                       {"answers": [rows], "failures": [lost]})  # fmt: skip
    run = open_run(folder)
    table = gap_table(run).set_index("quantity")
    assert table.loc["gap", "n"] == 2
    assert table.loc["gap", "value"] == pytest.approx(0.5)
    assert "relative_gap" not in table.index
    counted = accuracies(run).set_index("input").loc["speech"]
    assert counted[["asked", "judged", "right", "failed"]].tolist() == [3, 2, 1, 1]


def test_an_intervention_is_held_against_the_same_speech(tmp_path: Path) -> None:
    rows = [answer("m", f"q{n}", "text", True) for n in range(4)]
    rows += [answer("m", f"q{n}", "speech", n == 0) for n in range(4)]
    rows += [answer("m", f"q{n}", "speech+angle", n < 2) for n in range(3)]
    run = open_run(write_run(tmp_path / "run", [question(f"q{n}") for n in range(4)],
                             {"answers": [rows]}))  # fmt: skip
    table = gap_table(run).set_index("quantity")
    assert table.loc["speech", "value"] == pytest.approx(0.25)
    assert table.loc["change:speech+angle", "value"] == pytest.approx(1 / 3)
    assert table.loc["speech+angle", "n"] == 3


def test_no_base_answers_right_is_undefined_not_infinite() -> None:
    found = pd.DataFrame({"base": [0], "text": [1], "speech": [0], "size": [1], "n": [5]})
    table = estimates(found).set_index("quantity")
    assert np.isnan(table.loc["relative_gap", "value"])
    assert table.loc["gap", "value"] == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(*(st.booleans() for _ in range(4))), min_size=1, max_size=60
    ),
    st.integers(0, 3),
)  # fmt: skip
def test_properties(rows: list[tuple[bool, ...]], seed: int) -> None:
    """Values are plain means, intervals hold them, and the decomposition adds up."""
    table = pd.DataFrame(rows, columns=["base", "text", "speech", "pipeline"]).astype(int)
    found = table.value_counts().rename("n").reset_index().assign(size=1)
    made = estimates(found, resamples=400, seed=seed).set_index("quantity")
    for kind in table:
        assert made.loc[kind, "value"] == pytest.approx(table[kind].mean())
        assert 0 <= made.loc[kind, "low"] <= made.loc[kind, "high"] <= 1
    assert made.loc["gap", "value"] == pytest.approx(table["text"].mean() - table["speech"].mean())
    if table["base"].any():
        parts = made.loc["lost_in_tuning", "value"] + made.loc["relative_gap", "value"]
        assert made.loc["lost_total", "value"] == pytest.approx(parts)
    again = estimates(found, resamples=400, seed=seed).set_index("quantity")
    pd.testing.assert_frame_equal(made, again)

"""Questions, outcomes, their summary, and the adaptive choice."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modgap.cli.table1 import summary_rows
from modgap.core.errors import ModgapError, SettingsError
from modgap.core.settings import AnalysisSettings
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.interventions.adaptive import (
    Choice,
    choice_sentence,
    choose,
    evaluate,
    grid,
    shown,
    split,
)
from modgap.evaluation.interventions.question_outcomes import (
    CONTROLS,
    RULES_OF_THE_SOURCE,
    gains,
    judgeable,
    outcomes,
    summary,
)
from modgap.figures.intervention_gains import GainCurve
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.scoring.named_options import named_options
from modgap.scoring.option_likelihoods import option_probabilities
from modgap.scoring.question import Question
from tests.tiny import make_clip

ROWS = [
    {"audio": "a.wav", "transcript": "What is two plus three?", "reference": "five"},
    {"audio": "b.wav", "transcript": "The brown fox", "reference": "dog"},
]
DOCS = Path(__file__).parents[2] / "docs"


def strategies() -> list[str]:
    """Those whose answers are shipped: each has an adaptive table and a section in the docs."""
    names = [file.stem.split("-") for file in sorted((DOCS / "results").glob("table1-*.parquet"))]
    return [name[1] for name in names if len(name) == 2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for n, name in enumerate("ab"):
        (folder / f"{name}.wav").write_bytes(make_clip(1.1, seed=n).wav_bytes())
    with (folder / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["audio", "transcript", "reference"])
        writer.writeheader()
        writer.writerows(ROWS)
    return folder


def test_outcomes_are_the_answers_of_single_runs(tiny_model: Any, folder: Path) -> None:
    from modgap.analysis.functions import compare

    items = read_questions(str(folder / "m.csv"))
    variants = {"patch, all": CONTROLS["patch, all"], **RULES_OF_THE_SOURCE}
    table = outcomes(tiny_model, items, variants, AnalysisSettings(max_new_tokens=5))
    assert len(table) == 2 * (2 + len(variants))
    assert set(table.loc[table["variant"] == "text", "markers"]) == {"drop"}
    assert set(table.loc[table["variant"] != "text", "markers"]) == {"keep"}
    paired = outcomes(
        tiny_model, items, {}, AnalysisSettings(max_new_tokens=5), text_markers="keep"
    )
    for item in items:
        typed = tiny_model.text_prompt(item.transcript, markers="drop")
        plain = compare(tiny_model, item.load(), item.transcript, (), max_new_tokens=5)
        for found, said in (
            (table, tiny_model.generate(typed, max_new_tokens=5).text),
            (paired, plain.text.text),
        ):
            mine = found[(found["item"] == item.id) & (found["variant"] == "text")]
            assert mine["answer"].tolist() == [said.strip()]
        for name, stack in variants.items():
            found = compare(tiny_model, item.load(), item.transcript, stack, max_new_tokens=5)
            rows = table[table["item"] == item.id].set_index("variant")["answer"]
            assert rows[name] == found.after.text.strip()
            assert rows["none"] == found.before.text.strip()


def test_a_question_that_cannot_be_run_is_left_out(
    tiny_model: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = read_questions(str(folder / "m.csv"))
    long = Question("long", "words", lambda: make_clip(12.0), "x")
    table = outcomes(tiny_model, [items[0], long], {}, AnalysisSettings(max_new_tokens=3))
    assert set(table["item"]) == {"0"}
    assert "long is left out" in caplog.text
    with pytest.raises(SettingsError, match="cannot be changed"):
        outcomes(tiny_model, items, {"x": (Intervention(layers=(9,)),)})


def test_what_no_rule_can_judge_is_refused_or_left_out(
    tiny_model: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = read_questions(str(folder / "m.csv"))
    opened = [
        Question(f"o{n}", "Tell me a story.", known[0].load, scorer="judge") for n in range(3)
    ]
    bare = Question("bare", "What is two plus three?", known[0].load)  # without its reference

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was asked")

    model = type("Unasked", (), {"n_layers": 4, "prepare": never})()
    with pytest.raises(SettingsError, match=r"3 x needs a judge, 1 x no reference.*modgap eval"):
        outcomes(model, [*opened, bare], {})  # type: ignore[arg-type]
    table = outcomes(tiny_model, [*opened, *known, bare], {}, AnalysisSettings(max_new_tokens=1))
    assert table["item"].unique().tolist() == ["0", "1"]
    assert "4 of 6 questions are left out" in caplog.text
    caplog.clear()
    assert judgeable(known) == known
    assert not caplog.text


def test_an_unparsed_answer_is_wrong(tiny_model: Any) -> None:
    item = Question(
        "c",
        "Which? A, x. B, y.",
        lambda: make_clip(1.0),
        "A",
        scorer="choices",
        choices=("xenon", "yttrium"),
    )
    table = outcomes(tiny_model, [item], {}, AnalysisSettings(max_new_tokens=1))
    assert table["right"].tolist() == [False, False]


def table_of(right: dict[str, list[int]], aps: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "item": f"q{n}",
                "group": "",
                "variant": name,
                "answer": "",
                "right": bool(v),
                "aps": aps[n],
            }
            for name, values in right.items()
            for n, v in enumerate(values)
        ]
    )


def test_the_summary_counts_by_hand() -> None:
    rng = np.random.default_rng(0)
    plain, other = rng.random(200) < 0.5, rng.random(200) < 0.7
    table = table_of({"none": plain.tolist(), "x": other.tolist()}, [0.0] * 200)
    rows = summary(table).set_index("variant")
    assert rows.loc["x", "accuracy"] == pytest.approx(other.mean())
    assert rows.loc["x", "change"] == pytest.approx(other.mean() - plain.mean())
    assert rows.loc["x", "fixed"] == (other & ~plain).sum()
    assert rows.loc["x", "broken"] == (plain & ~other).sum()
    # The bootstrap of a mean: close to the normal interval at this size.
    change = other.astype(float) - plain
    half = 1.96 * change.std() / np.sqrt(200)
    assert rows.loc["x", "change_low"] == pytest.approx(change.mean() - half, abs=0.015)
    assert rows.loc["x", "change_high"] == pytest.approx(change.mean() + half, abs=0.015)
    assert rows.loc["none", "change_low"] == rows.loc["none", "change_high"] == 0


def test_the_choice_helps_weakly_aligned_clips_only() -> None:
    aps = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    plain = [0, 0, 0, 0, 1, 1, 1, 1]
    helps = [1, 1, 0, 0, 0, 0, 0, 0]  # repairs the worst two, breaks the good ones
    table = table_of({"none": plain, "text": [1] * 8, "b": helps, "a": [0] * 8}, aps)
    found = choose(table)
    assert found.variant == "b"
    assert aps[1] <= found.threshold < aps[3]
    assert (found.tuned_right, found.plain_right, found.n) == (6, 4, 8)
    nothing = table_of({"none": plain, "text": [1] * 8, "a": [0] * 8}, aps)
    assert choose(nothing) == Choice("none", -np.inf, 4, 4, 8)


def test_the_report_is_on_other_questions_than_the_choice() -> None:
    rng = np.random.default_rng(1)
    n = 120
    aps = rng.random(n).tolist()
    plain = [int(a > 0.5) for a in aps]
    table = table_of({"none": plain, "text": [1] * n, "x": [1 - p for p in plain]}, aps)
    tuning, test = split(list(table["item"]))
    assert not set(tuning) & set(test)
    assert len(tuning) == 40
    choice, report = evaluate(table)
    rows = report.set_index("variant")
    assert choice.variant == "x"
    assert rows.loc["adaptive", "n"] == len(test)
    on = table[table["item"].isin(test)]
    touched = on[on["variant"] == "none"]["aps"].to_numpy() <= choice.threshold
    by_hand = np.where(
        touched, on[on["variant"] == "x"]["right"], on[on["variant"] == "none"]["right"]
    )
    assert rows.loc["adaptive", "accuracy"] == pytest.approx(by_hand.mean())
    with pytest.raises(SettingsError, match="cannot be split"):
        split(["one"])


def test_controls_are_reported_and_never_chosen() -> None:
    rng = np.random.default_rng(2)
    n = 150
    aps = rng.random(n).tolist()
    plain = rng.random(n) < 0.4
    x = plain | (rng.random(n) < 0.3)
    table = table_of(
        {
            "none": plain.tolist(),
            "text": [1] * n,
            "x": x.tolist(),
            "patch, all": [1] * n,
            "angle, random-3": (rng.random(n) < 0.3).tolist(),
        },
        aps,
    )
    choice, report = evaluate(table)
    assert choice.variant == "x"
    rows = report.set_index("variant")
    wide = table.pivot(index="item", columns="variant", values="right")
    _, test = split(list(table["item"]))
    wide = wide.loc[test]
    touched = choice.touches(np.array([aps[int(name[1:])] for name in test]))
    ours = np.where(touched, wide["x"], wide["none"]).astype(float)
    assert rows["touched"].to_dict() == {
        "none": 0,
        "text": 0,
        "x": 100,
        "patch, all": 100,
        "angle, random-3": 100,
        "adaptive": touched.sum(),
    }
    assert touched.any()
    for name in ("none", "x", "patch, all", "angle, random-3"):
        paired = ours - wide[name]
        row = rows.loc[name]
        assert row["ahead"] == pytest.approx(paired.mean())
        half = 1.96 * paired.std(ddof=0) / np.sqrt(len(test))
        assert row["ahead_low"] == pytest.approx(paired.mean() - half, abs=0.02)
        assert row["ahead_high"] == pytest.approx(paired.mean() + half, abs=0.02)
    assert rows.loc["adaptive", ["ahead", "ahead_low", "ahead_high"]].tolist() == [0, 0, 0]


NONE_YET = pytest.param(
    "", marks=pytest.mark.skip("No table1-<strategy>.parquet lies in docs/results yet.")
)


@pytest.mark.parametrize("name", strategies() or [NONE_YET])
def test_the_adaptive_tables_of_the_docs_are_those_of_the_shipped_answers(name: str) -> None:
    choice, report = evaluate(pd.read_parquet(DOCS / "results" / f"table1-{name}.parquet"))
    kept = pd.read_parquet(DOCS / "results" / f"table1-{name}-adaptive.parquet")
    pd.testing.assert_frame_equal(report, kept, check_dtype=False, atol=1e-9)
    text = (DOCS / "results.md").read_text()
    part = text[text.index(f"## demo:{name}\n") :]
    assert f"Chosen: `{choice_sentence(choice, report)}`." in part
    table = part[part.index("Chosen: ") :].split("\n\n")[1]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert rows == summary_rows(shown(choice, report))


def test_the_grid_takes_its_pairs_from_another_layer() -> None:
    made = grid(8, path_layer=3)
    assert len(made) == 3 * 3 * 2 * 2
    assert {it.source_layer for (it,) in made.values()} == {3}
    assert all(Intervention.from_text(name) == it for name, (it,) in made.items())


def test_the_grid_names_its_candidates() -> None:
    made = grid(8)
    assert len(made) == 3 * 3 * 2 * 2
    for name, (it,) in made.items():
        assert Intervention.from_text(name) == it
        it.check(8)


@pytest.mark.parametrize(
    ("question", "options"),
    [
        (
            "Which one? A, Rome. B, New York. C, Paris. D, Oslo.",
            {"A": "Rome", "B": "New York", "C": "Paris", "D": "Oslo"},
        ),
        ("Which one?\nA) Rome\nB) Paris", {"A": "Rome", "B": "Paris"}),
        ("(A) yes (B) no", {"A": "yes", "B": "no"}),
        ("What is A plus B?", {}),
        ("", {}),
    ],
)
def test_options_of_a_question(question: str, options: dict) -> None:
    assert named_options(question) == options


def test_probabilities_of_options_by_plain_passes(tiny_model: Any) -> None:
    import torch

    pair = tiny_model.prepare(make_clip(1.2), "What is two?")
    kept = Prefill.of(tiny_model, pair)
    words = ["Paris", "five dogs"]
    got = option_probabilities(tiny_model, kept.kept, kept.logits[0], pair.speech.length, words)
    first = tiny_model.tokenizer.decode([int(kept.logits[0].argmax())])
    logps = []
    for word in words:
        text = (" " if first.startswith(" ") else "") + word
        ids = tiny_model.tokenizer.encode(text, add_special_tokens=False)
        whole = torch.cat([pair.speech.inputs["input_ids"], torch.tensor([ids])], 1)
        with torch.no_grad():
            out = tiny_model.hf(**{**pair.speech.inputs, "input_ids": whole})
        logp = out.logits[0].double().log_softmax(-1)
        start = pair.speech.length - 1
        logps.append(sum(float(logp[start + n, i]) for n, i in enumerate(ids)))
    expected = np.exp(logps) / np.exp(logps).sum()
    assert [got[w] for w in words] == pytest.approx(expected.tolist(), abs=1e-4)


def test_gains_are_ordered_by_the_models_own_accuracy() -> None:
    weak = table_of({"none": [0, 0, 0, 1], "text": [1] * 4, "a": [1, 1, 0, 1]}, [0.1] * 4)
    strong = table_of({"none": [1, 1, 1, 0], "text": [1] * 4, "a": [0, 1, 1, 0]}, [0.1] * 4)
    found = gains({"strong": summary(strong), "weak": summary(weak)})
    assert found["model"].tolist() == ["weak", "strong"]
    assert found["variant"].tolist() == ["a", "a"]
    assert found["own"].tolist() == [0.25, 0.75]
    assert found["change"].tolist() == [0.5, -0.25]
    assert (found["change_low"] <= found["change"]).all()
    bars = GainCurve(found).figure().data
    assert [list(b.x) for b in bars] == [[25, 75]]
    assert list(bars[0].y) == [50, -25]
    assert bars[0].error_y.arrayminus.tolist() == pytest.approx(
        (100 * (found["change"] - found["change_low"])).tolist()
    )
    with pytest.raises(SettingsError):
        gains({})
    with pytest.raises(ModgapError, match="lack the column"):
        GainCurve(found.drop(columns="own"))

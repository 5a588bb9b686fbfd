"""Each clip against its own mismatched pairs: by hand, by loops, and how often intervals hold."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modgap.core.errors import ModgapError, StoreError
from modgap.figures.controls import OwnAgainstOthers, against_controls
from modgap.gap.controls import Controls, made_again, read_controls, write_controls
from modgap.gap.correlation import layer_means
from modgap.gap.run_data import open_run
from modgap.gap.run_folders import prompt_of
from modgap.measures.baselines import COLUMNS, PAIRED, layer_table, own_against_others
from modgap.measures.cka import CkaMap
from modgap.measures.similarity import mismatched
from tests.cli.test_main import place, run  # noqa: F401
from tests.evaluation.runs import make_manifest
from tests.gap.made import question, write_run


def own(scores: np.ndarray, texts: list[str], **how: Any) -> SimpleNamespace:
    """The numbers of one layer; those of another layer beside it do not hang on it."""
    both = own_against_others(np.stack([scores, 7 - scores.T]), texts, **how)
    return SimpleNamespace(**{name: values[0] for name, values in vars(both).items()})


def words(n: int) -> list[str]:
    return [f"clip {k}" for k in range(n)]


def test_worked_by_hand() -> None:
    """Own 5, 4, 1; others {1, 4}, {4, 7}, {0, 2}: differences 2.5, -1.5, 0."""
    scores = np.array([[5.0, 1, 4], [4, 4, 7], [0, 2, 1]])
    made = own(scores, words(3))
    assert made.diff == pytest.approx((2.5 - 1.5 + 0) / 3)
    assert made.auc == pytest.approx((1 + 0.25 + 0.5) / 3)  # a tie counts half
    assert np.isnan([made.diff_low, made.diff_high, made.auc_low, made.auc_high]).all()
    far = own(scores, words(3), distance=True)
    assert (far.diff, far.auc) == (made.diff, pytest.approx(1 - made.auc))
    # The first two say the same: {4}, {7} and {0, 2} are left.
    made = own(scores, ["a", "a", "b"])
    assert made.diff == pytest.approx((1 - 3 + 0) / 3)
    assert made.auc == pytest.approx((1 + 0 + 0.5) / 3)
    with pytest.raises(ModgapError, match="different words"):
        own(scores, ["a"] * 3)
    with pytest.raises(ModgapError, match=r"not \(2, 3, 3\)"):
        own(scores, words(2))


def sets(rng: np.random.Generator, n: int, effect: float, text: float = 3.0) -> np.ndarray:
    """Scores of a speech's level, a text's level, noise, and an effect of belonging together."""
    made = rng.normal(size=(n, 1)) + text * rng.normal(size=n) + rng.normal(size=(n, n))
    return made + effect * np.eye(n)


def test_the_interval_by_loops() -> None:
    rng = np.random.default_rng(0)
    scores, texts = sets(rng, 12, 1.0), ["same", "same", *words(10)]
    made = own(scores, texts, resamples=4000)
    names = sorted(set(texts))
    drawn = []
    for _ in range(1500):
        chosen = [texts.index(x) if x != "same" else x for x in rng.choice(names, len(names))]
        clips = [c for x in chosen for c in ([0, 1] if x == "same" else [x])]
        each = []
        for a in clips:
            others = [scores[a, b] for b in clips if texts[a] != texts[b]]
            each.append((scores[a, a] - np.mean(others), np.mean(scores[a, a] > np.array(others))))
        drawn.append(np.mean(each, axis=0))
    (low, auc_low), (high, auc_high) = np.quantile(drawn, (0.025, 0.975), axis=0)
    room = 0.12 * (high - low)
    assert (made.diff_low, made.diff_high) == pytest.approx((low, high), abs=room)
    assert (made.auc_low, made.auc_high) == pytest.approx((auc_low, auc_high), abs=0.04)


@pytest.mark.parametrize("text", [0.0, 3.0])
def test_intervals_hold_the_true_difference(text: float) -> None:
    """Nominal 95 %, whatever the texts score with any speech."""
    rng = np.random.default_rng(1)
    held = alone = 0
    for n in range(250):
        scores = sets(rng, 40, 0.5, text)
        made = own(scores, words(40), resamples=500, seed=n)
        held += made.diff_low <= 0.5 <= made.diff_high
        each = np.diag(scores) - (scores.sum(1) - np.diag(scores)) / 39
        alone += abs(each.mean() - 0.5) <= 1.96 * each.std(ddof=1) / np.sqrt(40)
    assert 0.91 * 250 <= held <= 0.985 * 250
    if text:  # the clips' differences by themselves: an interval that is far too wide
        assert alone == 250


def test_a_mean_differs_long_before_it_leaves_the_band() -> None:
    """What the band of single pairs does not tell: all clips are a little nearer to their own."""
    scores = sets(np.random.default_rng(2), 60, 0.8)
    made = own(scores, words(60))
    off = scores[~np.eye(60, dtype=bool)]
    assert np.quantile(off, 0.05) < np.diag(scores).mean() < np.quantile(off, 0.95)
    assert made.diff_low > 0
    assert made.auc_low > 0.5


def test_a_layers_row_by_loops() -> None:
    rng = np.random.default_rng(3)
    s, t = rng.normal(size=(7, 2, 5)).astype(np.float32), rng.normal(size=(7, 2, 5))
    t = (t + 0.5 * s).astype(np.float32)
    t[3, 0] = 0  # a state without a direction
    texts = [*words(6), "clip 0"]
    table = layer_table(s, t, texts)
    assert table.columns.tolist() == [*COLUMNS, *PAIRED]
    null = mismatched(s, t, texts=texts)
    assert null.pairs == 7 * 6 - 2
    for k in (0, 1):

        def cosine(a: int, b: int, k: int = k) -> float:
            x, y = s[a, k].astype(float), t[b, k].astype(float)
            size = np.sqrt((x @ x) * (y @ y))
            return float(x @ y / size) if size else 0.0

        def away(a: int, b: int, k: int = k) -> float:
            return float(np.sqrt(((s[a, k].astype(float) - t[b, k]) ** 2).sum()))

        row = table.iloc[k]
        for key, score, nearer in (("cosine", cosine, 1), ("euclidean", away, -1)):
            diffs, shares, every = [], [], []
            for a in range(7):
                others = [score(a, b) for b in range(7) if texts[a] != texts[b]]
                diffs.append(score(a, a) - np.mean(others))
                shares.append(np.mean([nearer * (score(a, a) - x) > 0 for x in others]))
                every += others
            assert row[key] == pytest.approx(np.mean([score(a, a) for a in range(7)]))
            assert row[f"{key}_diff"] == pytest.approx(np.mean(diffs))
            assert row[f"{key}_auc"] == pytest.approx(np.mean(shares))
            assert row[f"{key}_diff_low"] < row[f"{key}_diff"] < row[f"{key}_diff_high"]
            assert row[f"{key}_null"] == pytest.approx(np.mean(every))
            assert row[f"{key}_null_high"] == pytest.approx(np.quantile(every, 0.95))


def test_all_the_same_words_have_no_mismatched_pair() -> None:
    s = np.ones((3, 1, 2))
    with pytest.raises(ModgapError, match="different words"):
        mismatched(s, s, texts=["x"] * 3)


def made_controls(clips: int = 8) -> Controls:
    rng = np.random.default_rng(4)
    s, t = rng.normal(size=(2, clips, 3, 4))
    table = layer_table(s, t, words(clips))
    return Controls(
        table, CkaMap(np.eye(3), (0, 1, 2), 9, 1), clips, 0, clips, 1, "drop", "Be kind."
    )


def test_the_figure_draws_the_intervals() -> None:
    made = made_controls()
    for key in ("cosine", "euclidean"):
        fig = OwnAgainstOthers(made, key).figure(dark=True)
        for trace, name in zip(fig.data, (f"{key}_diff", f"{key}_auc"), strict=True):
            assert trace.y.tolist() == made.layers[name].tolist()
            high = trace.y + trace.error_y.array
            assert high.tolist() == pytest.approx(made.layers[f"{name}_high"].tolist())
            low = trace.y - trace.error_y.arrayminus
            assert low.tolist() == pytest.approx(made.layers[f"{name}_low"].tolist())
        assert sorted(line.y0 for line in fig.layout.shapes) == [0.0, 0.5]
    few = OwnAgainstOthers(made_controls(4)).figure()  # no intervals
    assert "customdata" not in few.data[0].hovertemplate
    with pytest.raises(ModgapError, match="not of 'aps'"):
        OwnAgainstOthers(made, "aps")


def test_controls_of_the_first_version_are_read(tmp_path: Path) -> None:
    made = made_controls()
    write_controls(tmp_path, "m", "d", made)
    _, _, same = read_controls(tmp_path)
    pd.testing.assert_frame_equal(same.layers, made.layers)
    assert (same.markers, same.system, same.paired) == ("drop", "Be kind.", True)
    record = tmp_path / "controls.json"
    about = json.loads(record.read_text())
    assert (about["version"], about["path"]) == (3, "argmax")
    for wrong, said in (({"version": 4}, "version 4"), ({"path": "best"}, "path 'best'")):
        record.write_text(json.dumps(about | wrong))
        with pytest.raises(StoreError, match=f"{said} is not known here"):
            read_controls(tmp_path)
    for name in ("markers", "system", "path"):
        del about[name]
    record.write_text(json.dumps(about | {"version": 1}))
    made.layers[list(COLUMNS)].to_parquet(tmp_path / "controls.parquet")
    _, _, old = read_controls(tmp_path)
    assert (old.markers, old.system, old.paired, old.path) == ("keep", None, False, "argmax")
    assert len(against_controls(old).curves) == 3
    with pytest.raises(ModgapError, match="without the paired difference"):
        OwnAgainstOthers(old)
    assert made_again("mine") == (
        "Made without the paired difference: run `modgap controls --run mine` again."
    )


def test_a_runs_controls_are_of_its_own_prompts_and_clips(
    run: Any,  # noqa: F811
    tmp_path: Path,
    tiny_folder: Path,
) -> None:
    """The layers' means are those of the run's table, which another piece of code has written."""
    name, folder = str(tiny_folder), tmp_path / "run"
    data = str(make_manifest(tmp_path / "data", 6))
    done = run("eval", "--data", data, "--model", name, "--out", str(folder), "--limit", "4",
               "--markers", "drop", "--system", "Be brief.", "--max-new-tokens", "1")  # fmt: skip
    assert done.exit_code == 0, done.output
    opened = open_run(folder)
    assert prompt_of(opened) == ("drop", "Be brief.")
    printed = run("controls", "--run", str(folder))
    assert printed.exit_code == 0, printed.output
    assert "4 clips (0 left out)" in printed.stdout  # and not the 6 of the manifest
    assert "minus the mean of others" in printed.stdout
    (kept,) = (folder / "controls").iterdir()
    _, _, made = read_controls(kept)
    assert (made.markers, made.system) == ("drop", "Be brief.")
    for key in ("cosine", "euclidean"):
        means = layer_means(opened, key).sort_values("layer")
        assert made.layers[key].tolist() == pytest.approx(means["value"].tolist(), rel=1e-4)
    # The default prompt gives others, so that the means above tell something.
    assert run("controls", "--data", data, "--model", name, "--limit", "4",
               "--out", str(tmp_path / "plain")).exit_code == 0  # fmt: skip
    plain = read_controls(tmp_path / "plain")[2].layers["cosine"]
    assert np.abs(plain - made.layers["cosine"]).max() > 1e-3


def test_a_run_without_a_prompt_was_made_with_the_default(tmp_path: Path) -> None:
    said = [question("a")]
    assert prompt_of(open_run(write_run(tmp_path / "none", said, {}))) == ("keep", None)
    for n, bad in enumerate([{"markers": "some"}, {"system": 3}, {"markers": ["keep"]}]):
        opened = open_run(write_run(tmp_path / str(n), said, {}, {"settings": bad}))
        with pytest.raises(StoreError, match="how its clips were prompted"):
            prompt_of(opened)

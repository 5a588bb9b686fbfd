"""`modgap gap` and `modgap report`, and the figures that they share with the pages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modgap.core.errors import ModgapError, SettingsError
from modgap.figures.correlation import GapScatter, LayerR2
from modgap.figures.gap import AccuracyBars, Decomposition, ReasonShares
from modgap.figures.report import report_html
from modgap.gap.accuracy import gap_table
from modgap.gap.controls import kept_controls, read_controls
from modgap.gap.correlation import fits, gaps, layer_curve, layer_means, points
from modgap.gap.failure_reasons import false_alarms, reasons
from modgap.gap.run_data import open_run
from modgap.gap.run_folders import known_runs
from modgap.gap.run_table import Change, clip_rows, count_clips
from tests.cli.test_main import place, run  # noqa: F401
from tests.evaluation.runs import make_manifest
from tests.gap.made import answer, question, write_run

ODD = "<script>alert(1)</script> $x$"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four checkpoints, voices of items, an intervention, a failure, and names like markup."""
    rng = np.random.default_rng(0)
    rows, layers = [], []
    names = [f"a@{k}" for k in range(1, 4)] + ["a", ODD]
    asked = [question(f"i{i}v{v}", item=f"i{i}", voice=f"v{v}", topic=ODD if i % 2 else "t")
             for i in range(12) for v in range(3)]  # fmt: skip
    for k, name in enumerate(names):
        for q in asked:
            said = q["question"]
            spoken = bool(rng.random() < 0.2 * k + 0.1)
            rows += [answer(name, said, "base", True), answer(name, said, "text", True),
                     answer(name, said, "speech", spoken, heard=ODD, wer=float(rng.random())),
                     answer(name, said, "speech+angle", bool(rng.random() < 0.5))]  # fmt: skip
            layers += [
                {"model": name, "question": said, "layer": n, "cosine": 0.1 * k + n,
                 "euclidean": 5.0 - k, "aps_cos": 0.1 * k + 0.05 * float(rng.normal()),
                 "aps_euc": 9.0 - k, "monotonicity": float(rng.random())}
                for n in (0, 1)
            ]  # fmt: skip
    lost = [{"model": "a", "question": "i0v0", "input": "pipeline", "kind": "AudioError",
             "reason": ODD}]  # fmt: skip
    return write_run(tmp_path / "mine", asked, {"answers": [rows], "layers": [layers],
                                                "failures": [lost]}, {"data": ODD})  # fmt: skip


def test_the_report_holds_everything_and_asks_no_network(folder: Path) -> None:
    made = open_run(folder)
    page = report_html(made, title=ODD)
    body = page.split("</script>", 1)[1]
    assert ODD not in re.sub(r'<script type="text/javascript">.*?</script>', "", body, flags=re.S)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert not re.findall(r'(?:src|href)="(?!#)[^"]+"', body)
    for heading in ("Accuracy and gap", "By group", "Why spoken questions fail",
                    "Similarity against the gap", "Per question", "Within items",
                    "Protocol", "could not be run"):  # fmt: skip
        assert heading in body
    assert body.count('class="plotly-graph-div"') >= 10
    value = gap_table(made, ["a"]).set_index("quantity").loc["speech", "value"]
    assert f"<td>{100 * value:.1f}</td>" in body


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    empty = open_run(write_run(tmp_path / "r", [question("a")], {}))
    with pytest.raises(ModgapError, match="no answers to report on"):
        report_html(empty)


def test_a_run_with_text_alone_has_a_report(tmp_path: Path) -> None:
    rows = [answer("m", "a", "text", True)]
    made = open_run(write_run(tmp_path / "r", [question("a")], {"answers": [rows]}))
    assert "Accuracy and gap" in report_html(made)


def test_commands(run: Any, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    printed = run("gap", str(folder), "--by", "topic", "--where", "voice=v0")
    assert printed.exit_code == 0, printed.output
    for text in ("A_s: on speech", "similarity against the gap", "why spoken questions fail"):
        assert text in printed.stdout
    found = json.loads(run("gap", str(folder), "--model", "a", "--json").stdout,
                       parse_constant=lambda name: pytest.fail(name))  # fmt: skip
    assert {r["model"] for r in found["gap"]} == {"a"}
    assert found["lines"][0]["r2"] is None
    out = tmp_path / "out"
    assert run("gap", str(folder), "--out", str(out)).exit_code == 0
    pd.testing.assert_frame_equal(
        pd.read_parquet(out / "gap.parquet"), gap_table(open_run(folder)), check_dtype=False
    )
    page = tmp_path / "deep" / "report.html"
    assert run("report", str(folder), "--out", str(page)).exit_code == 0
    assert page.stat().st_size > 4_000_000


def test_controls_are_kept_in_the_run(
    run: Any,  # noqa: F811
    tmp_path: Path,
    tiny_folder: Path,
) -> None:
    name = str(tiny_folder)
    said = [question(f"q{n}") for n in range(2)]
    rows = [answer(name, q["question"], i, True) for q in said for i in ("text", "speech")]
    layers = [{"model": name, "question": "q0", "layer": 0, "cosine": 0.5}]
    data = {"name": str(make_manifest(tmp_path / "data", 4)), "limit": None}
    mine = write_run(tmp_path / "mine", said, {"answers": [rows], "layers": [layers]},
                     {"data": data})  # fmt: skip
    assert "Baselines and controls" not in report_html(open_run(mine))
    out = tmp_path / "out"
    printed = run("controls", "--run", str(mine), "--limit", "3", "--out", str(out))
    assert printed.exit_code == 0, printed.output
    assert "3 clips (0 left out)" in printed.stdout
    (kept,) = kept_controls(mine, [name]).values()
    model, source, made = read_controls(kept)
    assert (model, source, made.clips) == (name, data["name"], 3)
    for file in ("cka.html", "controls-cosine.html", "controls-euclidean-own.html", "cka.parquet"):
        assert (out / file).stat().st_size
    page = report_html(open_run(mine))
    assert "Baselines and controls" in page
    assert "<th>euclidean_auc</th>" in page
    about = json.loads((kept / "controls.json").read_text())
    (kept / "controls.json").write_text(json.dumps(about | {"version": 1}))  # as they once were
    page = report_html(open_run(mine))
    assert "Made without the paired difference: run `modgap controls --run mine`" in page
    assert "euclidean_auc" not in page


@pytest.mark.parametrize(
    ("words", "said"),
    [(("gap", "nowhere"), "There is no run in nowhere"),
     (("gap", "{}", "--by", "x"), "no group 'x'"),
     (("gap", "{}", "--where", "topic"), "--where takes GROUP=VALUE"),
     (("gap", "{}", "--model", "x"), "no model 'x'"),
     (("report", "{}", "--model", "x"), "no model 'x'"),
     (("controls", "--run", "{}", "--model", "x"), "no model 'x'"),
     (("app", "--run", "nowhere"), "There is no run in nowhere")],
)  # fmt: skip
def test_refused(run: Any, folder: Path, words: tuple[str, ...], said: str) -> None:  # noqa: F811
    result = run(*(w.format(folder) for w in words))
    assert result.exit_code == 2
    assert said in result.stderr


def test_figures_draw_what_the_tables_say(folder: Path) -> None:
    made = open_run(folder)
    table = gap_table(made)
    bars = AccuracyBars(table).figure(dark=True)
    assert [b.name for b in bars.data] == ["base LLM, text", "text", "speech", "speech, angle"]
    speech = table[table["quantity"] == "speech"]
    assert bars.data[2].y.tolist() == pytest.approx((100 * speech["value"]).tolist())
    ends = bars.data[2].y + bars.data[2].error_y.array
    assert ends.tolist() == pytest.approx((100 * speech["high"]).tolist())
    parts = Decomposition(table)
    assert parts.relative
    drawn = parts.figure().data
    assert (np.array(drawn[0].x) + np.array(drawn[1].x)).tolist() == pytest.approx(
        drawn[2].x.tolist()
    )
    alarms = false_alarms(made, tolerance=0.5)
    *drawn, marks = ReasonShares(reasons(made), alarms).figure().data
    assert marks.x.tolist() == pytest.approx((100 * alarms["share"]).tolist())
    assert "&lt;script&gt;" in " ".join(marks.hovertext)
    total: dict[float, float] = {}
    for bar in drawn:
        for y, x in zip(bar.y, bar.x, strict=True):
            total[y] = total.get(y, 0.0) + x
    assert list(total.values()) == pytest.approx([100.0] * len(total))
    found = points(layer_means(made, "aps_cos"), gaps(made))
    lines = fits(found)
    scatter = GapScatter(found, lines, "aps_cos").figure(chosen=2)
    marks = [t for t in scatter.data if t.customdata is not None]
    assert sorted(int(c[0]) for t in marks for c in t.customdata) == list(found.index)
    assert any(t.marker.size == 20 for t in scatter.data)
    line = next(t for t in scatter.data if t.mode == "lines" and t.legendgroup == "a"
                and t.fill is None)  # fmt: skip
    own = next(f for f in lines if f.group == "a")
    assert line.y.tolist() == pytest.approx((100 * (own.intercept + own.slope * line.x)).tolist())
    curve = LayerR2(layer_curve(layer_means(made, "aps_cos"), gaps(made)), "aps_cos").figure(
        current=1
    )
    assert any("published" in a.text for a in curve.layout.annotations)
    assert any("&lt;script&gt;" in t for t in bars.layout.xaxis.ticktext)
    with pytest.raises(ModgapError, match="no point to draw"):
        GapScatter(found.iloc[:0], [], "aps_cos")
    with pytest.raises(ModgapError, match="lacks the column"):
        AccuracyBars(table.drop(columns="low"))


def test_the_table_of_clips(folder: Path) -> None:
    made = open_run(folder)
    every = clip_rows(made, "a", limit=100)
    assert len(every) == count_clips(made, "a") == 36
    counts = [count_clips(made, "a", c) for c in
              (Change.LOST, Change.FIXED, Change.BOTH, Change.NEITHER)]  # fmt: skip
    assert sum(counts) == 36
    lost = clip_rows(made, "a", Change.LOST, limit=100)
    assert not lost["speech right"].any()
    assert lost["text right"].all()
    assert set(lost["question"]) == set(every[~every["speech right"]]["question"])
    assert set(lost["reason"]) <= {"not heard", "not used", "wrong form"}
    by = clip_rows(made, "a", sort="aps_cos", limit=100)["aps_cos"]
    assert by.is_monotonic_increasing
    down = clip_rows(made, "a", sort="wer", descending=True, limit=100)["wer"]
    assert down.is_monotonic_decreasing
    pages = [clip_rows(made, "a", start=10 * n, limit=10)["question"] for n in range(4)]
    assert pd.concat(pages).tolist() == every["question"].tolist()
    assert count_clips(made, "a", words="SAY I1V") == 3
    assert count_clips(made, "a", where={"voice": ["v0"]}) == 12
    assert set(every["topic"]) == {"t", ODD}
    assert clip_rows(made, "a", words="nothing has this").empty
    with pytest.raises(SettingsError, match="not by 'size'"):
        clip_rows(made, "a", sort="size")


def test_runs_are_found_by_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import modgap.gap.run_folders

    cache = tmp_path / "cache"
    twin = write_run(cache / "runs" / "mine", [question("a")], {})
    (cache / "runs" / "no run").mkdir()
    monkeypatch.setattr(modgap.gap.run_folders, "SHIPPED", tmp_path / "nothing here")
    monkeypatch.setenv("MODGAP_CACHE", str(cache))
    monkeypatch.setenv("MODGAP_RUNS", json.dumps([str(folder), str(tmp_path / "gone")]))
    assert known_runs() == {"mine": twin, "mine (2)": folder}
    monkeypatch.setenv("MODGAP_RUNS", "not JSON")
    assert known_runs() == {"mine": twin}

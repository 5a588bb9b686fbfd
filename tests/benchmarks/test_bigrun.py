"""The big run of the benchmark holds the real rows of the questions that it draws."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bigrun import make, measure, report
from modgap.gap.run_data import open_run
from tests.gap.made import answer, question, write_run


def test_a_big_run_is_drawn_from_a_real_one(tmp_path: Path) -> None:
    asked = [question(f"q{n}", topic=f"t{n % 3}") for n in range(9)]
    rows = [answer(m, f"q{n}", kind, (n + len(kind)) % 2 == 0) for m in ("a", "b") for n in range(9)
            for kind in ("text", "speech")]  # fmt: skip
    layers = [{"model": m, "question": f"q{n}", "layer": k, "aps_cos": 0.1 * n + k}
              for m in ("a", "b") for n in range(9) for k in (0, 1)]  # fmt: skip
    source = write_run(tmp_path / "small", asked, {"answers": [rows], "layers": [layers]},
                       {"models": {"a": {}, "b": {}}})  # fmt: skip
    make(source, tmp_path / "big", 500, 1)
    run = open_run(tmp_path / "big")
    assert (run.questions, run.models) == (500, ("a",))
    known = {(r["question"], r["input"]): r["correct"] for r in rows if r["model"] == "a"}
    found = run.sql("SELECT question, input, correct FROM answers")
    assert len(found) == 1000
    for row in found.itertuples():
        assert known[row.question.partition("#")[0], row.input] == row.correct
    assert len({q.partition("#")[0] for q in found["question"]}) == 9
    assert run.sql("SELECT count(*) AS n FROM layers")["n"][0] == 1000
    made = measure(tmp_path / "big")
    assert "500 clips, 1,000 answers, 1,000 rows of layers" in report(made)

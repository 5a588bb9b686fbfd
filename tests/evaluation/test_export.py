"""`modgap runs export`: a run's answers as VoiceBench's files of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from modgap.cli import main
from modgap.core.errors import SettingsError, StoreError
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.judging.export import export_results
from modgap.evaluation.judging.rescore import score_file
from modgap.evaluation.judging.voicebench_results import ResultName, ResultsFile, read_results
from modgap.evaluation.runs.plan import Loader
from modgap.evaluation.runs.record import read_run
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.runner import evaluate
from modgap.evaluation.runs.shards import read_rows
from tests.evaluation import voicebench_like as like
from tests.evaluation.runs import make_manifest
from tests.gap.made import answer, question, write_run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return like.make(tmp_path_factory.mktemp("voicebench"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path, tiny_folder: Path) -> Path:
    """Every subset through the tiny model, by units that mix the order of the questions."""
    out = tmp_path_factory.mktemp("runs") / "run"
    loader = Loader(unit=5, batch=4, store=False)
    evaluate(out, str(data), [str(tiny_folder)], RunSettings(max_new_tokens=3), loader=loader)
    return out


def answers(run: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(r["question"], r["input"]): r for r in read_rows(run, "answers")}


def test_the_files_have_voicebench_s_names_and_fields(
    run: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    made = export_results(run, tmp_path)
    wanted = {
        ResultName(str(tiny_folder), subset, split, modality).file
        for subset, splits in like.SPLITS.items()
        for split in splits
        for modality in ("audio", "text")
    }
    assert {m.path.name for m in made} == {p.name for p in tmp_path.iterdir()} == wanted
    rows = answers(run)
    for m in made:
        name = ResultName.parse(m.path.name)
        assert name is not None
        given = {"audio": "speech", "text": "text"}[name.modality]
        for n, (row, original) in enumerate(
            zip(read_results(m.path), like.rows(name.subset, name.split), strict=True)
        ):
            theirs = {k: v for k, v in row.items() if k not in ("response", "modgap")}
            assert theirs == {k: v for k, v in original.items() if k != "audio"}
            assert row["response"] == rows[f"{name.subset}/{name.split}#{n}", given]["response"]


def test_score_reads_them_and_agrees_with_the_run(run: Path, tmp_path: Path) -> None:
    rows = answers(run)
    for m in export_results(run, tmp_path):
        given = "speech" if m.modality == "audio" else "text"
        for scored in score_file(m.path):
            row, v = rows.pop((scored.question.id, given)), scored.verdict
            assert (v.correct, v.extracted, v.rule, v.expected) == tuple(
                row[k] for k in ("correct", "extracted", "rule", "expected")
            )
    assert not rows
    some = next(p for p in tmp_path.iterdir() if "mmsu-law-audio" in p.name)
    made = CliRunner().invoke(main.app, ["score", str(some), "--json"])
    assert json.loads(made.stdout)[str(some)]["n"] == 2


def test_what_a_kill_left_is_gone_on_with(run: Path, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    export_results(run, whole)
    export_results(run, torn)
    victims = sorted(torn.iterdir())
    victims[0].unlink()
    blob = victims[1].read_bytes()
    first = blob.index(b"\n") + 1
    victims[1].write_bytes(blob[: first + 10])  # killed in the middle of the second line
    lines = victims[2].read_bytes().splitlines(keepends=True)
    victims[2].write_bytes(lines[1])  # the order of the lines is not the data set's any more
    made = {m.path: m for m in export_results(run, torn)}
    assert [(made[v].before, made[v].now) for v in victims[:4]] == [(0, 2), (1, 1), (1, 1), (2, 0)]
    for path in torn.iterdir():
        again, before = (list(read_results(p)) for p in (path, whole / path.name))
        key = lambda r: r["modgap"]["question"]  # noqa: E731
        assert sorted(again, key=key) == sorted(before, key=key)
    # A line is of the question that it names, not of the one that has its number.
    numbers = [s.question.id.rpartition("#")[2] for s in score_file(victims[2])]
    assert numbers == ["1", "0"]


def test_another_protocol_s_file_is_refused(run: Path, tmp_path: Path) -> None:
    from modgap.evaluation.runs.protocol import Protocol

    found = read_run(run)
    assert found is not None
    protocol = Protocol.from_record(found["protocol"])
    assert protocol.digest == found["protocol"]["digest"]
    (model,) = found["models"]
    other = Protocol(max_new_tokens=99)
    name = ResultName(model, "bbh")
    with ResultsFile(tmp_path, name, other) as file:
        file.append(read_questions("demo", 1)[0], "x")
    made = CliRunner().invoke(main.app, ["runs", "export", str(run), "--out", str(tmp_path)])
    assert (made.exit_code, made.stdout) == (2, "")
    assert "another protocol" in made.stderr


def test_a_run_of_before_meta_was_kept_asks_its_data_set(
    run: Path, tmp_path: Path, data: Path
) -> None:
    import shutil

    old = tmp_path / "old"
    shutil.copytree(run, old)
    table = pq.read_table(old / "questions.parquet").drop_columns(["meta"])
    pq.write_table(table, old / "questions.parquet")
    export_results(run, tmp_path / "a")
    export_results(old, tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    about = json.loads((old / "run.json").read_text())
    about["data"]["name"] = str(tmp_path / "moved")
    (old / "run.json").write_text(json.dumps(about))
    with pytest.raises(SettingsError, match="name it with --data"):
        export_results(old, tmp_path / "c")
    with pytest.raises(SettingsError, match="does not hold the questions of the run"):
        export_results(old, tmp_path / "c", data=str(make_manifest(tmp_path / "other", 2)))
    export_results(old, tmp_path / "c", data=str(data))
    assert len(list((tmp_path / "c").iterdir())) == len(list((tmp_path / "a").iterdir()))


def made_run(folder: Path, models: list[str]) -> Path:
    """Two subsets whose names are no names of files, and inputs that VoiceBench does not know."""
    asked = [{**question(f"q{n}"), "subset": "../up" if n else "a b", "meta": "{}"} for n in (0, 1)]
    rows = [
        answer(m, f"q{n}", kind, True)
        for m in models
        for n in (0, 1)
        for kind in ("text", "speech", "pipeline", "speech+all")
    ]
    protocol = {
        "format": "modgap-run",
        "version": 1,
        "models": {name: {} for name in models},
        "protocol": {"max_new_tokens": 4},
        "data": {"name": "x", "limit": None},
    }
    return write_run(folder, asked, {"answers": [rows]}, protocol)


def test_names_that_are_none_of_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_results(made_run(tmp_path / "run", ["m/x"]), out)
    subsets, modalities = (".._up", "a_b"), ("audio", "text")
    assert sorted(p.name for p in out.iterdir()) == [
        f"m_x-{s}-test-{m}.jsonl" for s in subsets for m in modalities
    ]
    twins = made_run(tmp_path / "twins", ["m/x", "m x"])
    with pytest.raises(SettingsError, match="would both be m_x-a_b-test-audio"):
        export_results(twins, tmp_path / "two")
    assert len(export_results(twins, tmp_path / "one", models=["m x"])) == 4
    with pytest.raises(SettingsError, match="has no model 'z'; it has m/x, m x"):
        export_results(twins, tmp_path / "one", models=["z"])
    with pytest.raises(StoreError, match="There is no run"):
        export_results(tmp_path, out)

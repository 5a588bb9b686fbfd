"""Runs whose files come from anyone: a sentence each, and nobody waits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from modgap.core.errors import StoreError
from modgap.evaluation.interventions.kept_tables import FOLDER, kept_answers
from modgap.evaluation.runs.questions_table import read_roster
from modgap.evaluation.runs.record import locked, read_run
from modgap.evaluation.runs.shards import read_rows
from modgap.gap import bounded_tables
from modgap.gap.controls import folder_in_run, read_controls
from modgap.gap.overview import overview
from modgap.gap.run_data import open_run
from modgap.gap.run_folders import known_runs
from tests.gap.made import answer, question, write_run

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
OWN = {"format": "modgap-run", "version": 1, "inputs": ["text"], "models": {"m": {}},
       "interventions": {}, "data": {"name": "demo"}}  # fmt: skip


def made(folder: Path, **more: Any) -> Path:
    rows = [answer("m", "a", "text", True)]
    return write_run(folder, [question("a")], {"answers": [rows]}, {**OWN, **more})


def sentence(problem: pytest.ExceptionInfo[StoreError]) -> str:
    said = str(problem.value)
    assert len(said) < 400
    assert "\n" not in said
    assert any(advice in said for advice in ("name another", "again", "remove", "use the modgap"))
    return said


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("version", 99),
        ("version", "1"),
        ("version", ["x" * 100_000]),
        ("models", 5),
        ("models", "m"),
        ("models", {"m": 5}),
        ("inputs", 5),
        ("inputs", {"text": 1}),
        ("settings", [1]),
        ("data", 5),
        ("bases", {"m": "base"}),
        ("base", "base"),
        ("interventions", {"x": "y"}),
        ("judge", 5),
        ("recognizer", "whisper"),
        ("protocol", "x\n" * 100_000),
    ],
)
def test_a_run_json_of_other_kinds_is_a_sentence(tmp_path: Path, part: str, value: Any) -> None:
    folder = made(tmp_path / "r", **{part: value})
    for read in (open_run, read_run, overview):
        with pytest.raises(StoreError) as problem:
            read(folder)
        assert part in sentence(problem)


def test_a_run_that_says_what_it_should_is_read(tmp_path: Path) -> None:
    folder = made(tmp_path / "r")
    assert open_run(folder).models == ("m",)
    assert overview(folder)["table"][0]["accuracy"] == 1
    # Whoever only reads answers takes names of models in a list, and no version.
    written = made(tmp_path / "list", models=["m"], version=None)
    (written / "run.json").write_text(json.dumps({"models": ["m"]}))
    assert open_run(written).models == ("m",)


@pytest.mark.parametrize("depth", [100, 5_000, 1_000_000])
def test_a_deeply_nested_run_json_is_a_sentence(tmp_path: Path, depth: int) -> None:
    folder = made(tmp_path / "r")
    inner = "[" * depth + "]" * depth
    (folder / "run.json").write_text(f'{{"format": "modgap-run", "version": 1, "x": {inner}}}')
    with pytest.raises(StoreError, match="nested deeper") as problem:
        open_run(folder)
    sentence(problem)
    with pytest.raises(StoreError) as problem:
        read_run(folder)
    sentence(problem)


@pipes
def test_a_pipe_among_a_runs_parts_is_named(tmp_path: Path) -> None:
    folder = made(tmp_path / "r")
    os.mkfifo(folder / "answers" / "part-00001.parquet")
    with pytest.raises(StoreError, match=r"answers/part-00001\.parquet.* not a plain") as problem:
        open_run(folder)
    sentence(problem)
    with pytest.raises(StoreError, match=r"part-00001\.parquet") as problem:
        list(read_rows(folder, "answers"))
    sentence(problem)


@pipes
@pytest.mark.parametrize("name", ["run.json", "questions.parquet"])
def test_a_pipe_in_place_of_a_runs_own_file_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path))
    folder = made(tmp_path / "runs" / "piped")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "piped" not in known_runs()
    with pytest.raises(StoreError, match="There is no run in"):
        open_run(folder)
    reader = read_run if name == "run.json" else lambda folder: list(read_roster(folder))
    with pytest.raises(StoreError) as problem:
        reader(folder)
    assert "name another" in str(problem.value) or "not a plain file" in str(problem.value)


@pipes
def test_pipes_in_place_of_lock_controls_and_tables(tmp_path: Path) -> None:
    folder = made(tmp_path / "r")
    os.mkfifo(folder / ".lock")
    with pytest.raises(StoreError, match=r"remove its \.lock") as problem, locked(folder):
        pass
    sentence(problem)
    controls = folder_in_run(folder, "m")
    controls.mkdir(parents=True)
    for name in ("controls.json", "controls.parquet", "cka.parquet"):
        os.mkfifo(controls / name)
    with pytest.raises(StoreError, match="modgap controls"):
        read_controls(controls)
    (controls / "controls.json").unlink()
    (controls / "controls.json").write_text('{"version": 1}')
    with pytest.raises(StoreError, match=r"controls\.parquet is missing, or not a plain file"):
        read_controls(controls)


def test_tables_of_interventions_come_from_the_run_itself(tmp_path: Path) -> None:
    folder, outside = made(tmp_path / "r"), tmp_path / "secret.parquet"
    outside.write_bytes(b"x")
    (folder / FOLDER).mkdir()
    (folder / FOLDER / "m-answers.parquet").write_bytes(b"x")
    (folder / FOLDER / "n-answers.parquet").symlink_to(outside)
    assert list(kept_answers(folder)) == ["m"]


def test_reading_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(made(tmp_path / "r"))
    monkeypatch.setattr(bounded_tables, "SECONDS", 0.2)
    endless = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range < b.range"
    with pytest.raises(StoreError, match=r"longer than 0\.2 s to read") as problem:
        run.sql(endless)
    assert "again" in str(problem.value)
    assert int(run.sql("SELECT count(*) AS n FROM answers")["n"][0]) == 1


@pytest.mark.parametrize("meta", ["[" * 100_000, "5", "{", "x"])
def test_a_question_whose_meta_is_something_else_is_a_sentence(tmp_path: Path, meta: str) -> None:
    asked = {**question("a"), "choices": ["x", "y"], "meta": meta}
    folder = write_run(tmp_path / "r", [asked], {"answers": [[answer("m", "a", "text", True)]]})
    run = open_run(folder)
    for read in (lambda: run.right_options, lambda: list(read_roster(folder))):
        with pytest.raises(StoreError, match="is no JSON object") as problem:
            read()
        sentence(problem)

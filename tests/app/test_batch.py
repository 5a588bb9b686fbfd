"""Own files uploaded as a data set: a run as `modgap eval` makes it, chosen when it is whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from modgap.evaluation.data.uploaded import CLIPS
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.runner import evaluate
from modgap.evaluation.runs.shards import read_rows
from modgap.gap.run_data import open_run
from modgap.ui import batch, runs
from modgap.ui.server import batch_request
from modgap.ui.server.jobs import Jobs, MakeWay
from modgap.ui.server.service import service
from tests.app.conftest import finish, go, visit_of
from tests.app.test_first_use import said
from tests.app.test_pages import press
from tests.evaluation.test_uploaded import HEAD, LOOSE, SOUNDS, manifest, zipped

Open = Callable[..., AppTest]
SHORT = RunSettings(inputs=("text", "speech"), pipeline_llm="own", max_new_tokens=3)


@pytest.fixture(autouse=True)
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random models never end an answer by themselves."""
    import modgap.evaluation.data.asked_as as asked

    other = asked.AskedAs(max_new_tokens=3, why="a test")
    monkeypatch.setattr(asked, "OTHER", other)


def choose(at: AppTest, *files: tuple[str, bytes]) -> AppTest:
    go(at, "gap")
    uploads = [(name, data, "application/octet-stream") for name, data in files]
    at.file_uploader(key="batch_files").set_value(uploads).run()
    assert not at.exception
    return at


def answers(folder: Path) -> list[tuple[Any, ...]]:
    rows = read_rows(folder, "answers", ["question", "input", "response", "correct"])
    return sorted(tuple(row.values()) for row in rows)


def test_a_zip_becomes_a_run_that_is_shown(
    open_app: Open, tiny_folder: Path, tmp_path: Path
) -> None:
    files = [("set/" + name, data) for name, data in LOOSE]
    at = choose(open_app(), ("own.zip", zipped(*files)))
    at.text_input(key="batch_name").set_value("../My run!").run()
    finish(press(at, "Run"))
    assert not at.error
    at.run()
    assert visit_of(at).runs.batch is None
    assert at.selectbox(key="gap_run").value == "My-run"
    assert any("The run My-run is whole: 3 clips" in text for text in told(at))
    folder = tmp_path / "cache" / "runs" / "My-run"
    run = open_run(folder)
    assert list(run.models) == [tiny_folder.name]
    # The same by the library, from the files themselves.
    own = tmp_path / "own"
    own.mkdir()
    for name, data in LOOSE:
        (own / name).write_bytes(data)
    evaluate(tmp_path / "same", str(own / "questions.csv"), [str(tiny_folder)], SHORT)
    assert answers(folder) == answers(tmp_path / "same")
    assert run.facets["voice"] == ("robot",)
    # The same files again: nothing is asked anew, and no second run comes of it.
    before = sorted(folder.rglob("part-*"))
    finish(press(at, "Run"))
    assert sorted(folder.rglob("part-*")) == before
    assert [p.name for p in folder.parent.iterdir()] == ["My-run"]
    assert at.dataframe, "the page shows it"
    go(at, "correlation")
    assert at.selectbox(key="gap_run").value == "My-run"
    other = choose(at, ("m.csv", manifest("s0.wav")), ("s0.wav", SOUNDS["s0.wav"]))
    finish(press(other, "Run"))
    assert sorted(p.name for p in folder.parent.iterdir()) == ["My-run", "My-run-2"]


def told(at: AppTest) -> list[str]:
    notes = [i.value for i in at.info]
    return [*said(at), *(n.replace("\\", "").replace("\u2060", "") for n in notes)]


def test_what_cannot_be_used_is_said_and_nothing_begins(open_app: Open, tmp_path: Path) -> None:
    outside = HEAD + "../../../etc/passwd,a,b,,,\n"
    at = choose(open_app(), ("m.csv", outside.encode()), ("s.wav", SOUNDS["s0.wav"]))
    press(at, "Run")
    (error,) = at.error
    assert "is not among the files" in error.value.replace("\u2060", "")
    assert not visit_of(at).jobs
    assert not (tmp_path / "cache" / "runs").exists()


def test_the_operator_switches_it_off(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLIPS, "0")
    at = go(open_app(), "gap")
    assert not [u for u in at.get("file_uploader") if u.key == "batch_files"]


def test_on_a_shared_server_the_run_is_its_visitors(
    open_app: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runs, "may_open_paths", lambda: False)
    at = choose(open_app(), *LOOSE)
    finish(press(at, "Run"))
    at.run()
    assert at.selectbox(key="gap_run").value == "questions"
    assert not (tmp_path / "cache" / "runs").exists()
    other = go(open_app(), "gap")
    names = [o for s in other.selectbox if s.key == "gap_run" for o in s.options]
    assert "questions" not in names


def test_a_cancelled_run_goes_on(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    get = service().pool.get

    def slow(choice: Any) -> Any:
        begun.set()
        assert go_on.wait(60)
        return get(choice)

    monkeypatch.setattr(service().pool, "get", slow)
    at = press(choose(open_app(), *LOOSE), "Run")
    assert begun.wait(60)
    press(at, "Cancel")
    go_on.set()
    at.run()
    assert any("is not whole: Cancelled." in text for text in told(at))
    finish(press(at, "Go on with it"))
    at.run()
    assert any("is whole: 3 clips" in text for text in told(at))


def test_a_long_run_makes_way(tiny_model: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(batch_request, "TURN", 0.0)
    order: list[str] = []
    jobs = Jobs()
    hold = threading.Event()
    turns = []

    def long(progress: Any) -> str:
        turns.append(1)
        for _ in range(3):
            progress(0.1 * len(order), "unit")
            if jobs.crowded():
                order.append("way")
                raise MakeWay
            hold.wait(5)
        order.append("long")
        return "done"

    def short(progress: Any) -> None:
        order.append("short")

    try:
        first = jobs.submit("long", long, "a")
        second = jobs.submit("short", short, "b")
        hold.set()
        for job, session in ((first, "a"), (second, "b")):
            while (view := jobs.get(job.id, session)) is not None and view.active:
                hold.wait(0.01)
        assert order == ["way", "short", "long"]
        assert len(turns) == 2
        end = jobs.get(first.id, "a")
        assert end is not None
        assert end.result == "done"
    finally:
        jobs.close()


def test_names_of_runs(tmp_path: Path) -> None:
    made = batch._folder(tmp_path, "x", tmp_path / "manifest.jsonl", SHORT)
    assert made == tmp_path / "x"
    made.mkdir()
    assert batch._folder(tmp_path, "x", tmp_path / "m", SHORT) == tmp_path / "x-2"

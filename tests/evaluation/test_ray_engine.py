"""The same run on a real Ray cluster of two nodes, and what happens when a worker dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from modgap.evaluation.runs.plan import Loader
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.runner import evaluate
from modgap.interventions.intervention import Intervention
from modgap.scoring.question import Question
from tests.evaluation.runs import make_manifest, row_counts, tables
from tests.tiny import make_tiny_checkpoint

ray = pytest.importorskip("ray", reason="the engine ray needs the package ray")

ROOT = Path(__file__).parents[2]
SETTINGS = RunSettings(interventions=(("all", (Intervention(tokens="all"),)),), max_new_tokens=3)
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two raylets on this machine, one CPU each, so that two workers are on two nodes."""
    from ray.cluster_utils import Cluster

    held = {k: os.environ.get(k) for k in ("PYTHONPATH", "MODGAP_CACHE", "OMP_NUM_THREADS")}
    os.environ |= {
        "PYTHONPATH": str(ROOT),
        "MODGAP_CACHE": str(tmp_path_factory.mktemp("cache")),
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    try:
        made.add_node(num_cpus=1, object_store_memory=80 << 20)
        made.wait_for_nodes()
        ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        for name, value in held.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("models")
    return [str(make_tiny_checkpoint(root / f"{n}", seed=n)) for n in range(2)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_manifest(tmp_path_factory.mktemp("data"), 40, bad=[4, 17])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path, folders: list[str]) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    evaluate(out, str(data), folders, SETTINGS, loader=Loader(unit=4, store=False))
    return out


def workers() -> dict[int, int]:
    """Processes of this cluster's actors, and the raylet (the node) of each."""
    mine, found = f"MODGAP_CACHE={os.environ['MODGAP_CACHE']}".encode(), {}
    for folder in Path("/proc").iterdir():
        try:
            if not (folder / "cmdline").read_bytes().startswith(b"ray::_Actor"):
                continue
            if mine in (folder / "environ").read_bytes().split(b"\0"):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                found[int(folder.name)] = int(parent)
        except OSError:  # not a process, or one that ended meanwhile
            continue
    return found


class Watcher:
    """A progress callback that kills a worker once, in the middle of the run."""

    def __init__(self, kill_at: float) -> None:
        self.kill_at = kill_at
        self.killed: list[int] = []
        self.nodes: set[int] = set()

    def __call__(self, fraction: float, note: str) -> None:
        if fraction < self.kill_at or self.killed:
            return
        found = workers()
        self.nodes = set(found.values())
        self.killed = [min(found)]
        os.kill(self.killed[0], signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for workers in /proc")
def test_two_nodes_give_the_same_run_also_when_a_worker_is_killed(
    cluster: Any, tmp_path: Path, whole: Path, data: Path, folders: list[str], caplog: Any
) -> None:
    from modgap.evaluation.runs.ray_engine import RayEngine

    out, watcher = tmp_path / "run", Watcher(0.3)
    summary = evaluate(
        out, str(data), folders, SETTINGS, loader=Loader(unit=4, store=False),
        engine=RayEngine(workers=2), part_seconds=0.0, progress=watcher,
    )  # fmt: skip
    assert len(watcher.killed) == 1
    assert len(watcher.nodes) == 2
    assert "A worker died" in caplog.text
    assert (summary.now, summary.before) == (80, 0)
    assert tables(out) == tables(whole)
    assert row_counts(out) == row_counts(whole)


def test_a_run_begun_here_is_gone_on_with_by_ray(
    cluster: Any, tmp_path: Path, whole: Path, data: Path, folders: list[str]
) -> None:
    from modgap.core.errors import Cancelled
    from modgap.evaluation.runs.ray_engine import RayEngine

    def stop(fraction: float, note: str) -> None:
        if fraction > 0.4:
            raise Cancelled

    out, loader = tmp_path / "run", Loader(unit=4, store=False)
    with pytest.raises(Cancelled):
        evaluate(out, str(data), folders, SETTINGS, loader=loader, progress=stop)
    summary = evaluate(
        out, str(data), folders, SETTINGS, loader=loader, engine=RayEngine(workers=2)
    )
    assert summary.before > 0
    assert tables(out) == tables(whole)
    assert row_counts(out) == row_counts(whole)


def deadly() -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_question_that_kills_its_worker_is_recorded_and_the_others_are_done(
    cluster: Any, tmp_path: Path, data: Path, folders: list[str], monkeypatch: Any
) -> None:
    from modgap.evaluation.data.datasets import iter_questions
    from modgap.evaluation.runs import plan as plans
    from modgap.evaluation.runs.ray_engine import RayEngine

    def poisoned(name: str, limit: int | None = None) -> Any:
        for question in iter_questions(name, limit):
            bad = question.id == "q2"
            yield Question(**{**vars(question), "load": deadly}) if bad else question

    monkeypatch.setattr(plans, "iter_questions", poisoned)
    out = tmp_path / "run"
    evaluate(
        out, str(data), folders[:1], RunSettings(max_new_tokens=1), limit=8,
        loader=Loader(unit=4, store=False), engine=RayEngine(workers=1),
    )  # fmt: skip
    found = tables(out)
    lost = {(r["question"], r["input"], r["kind"]) for r in found["failures"]}
    assert lost >= {("q2", "text", "WorkerDied"), ("q2", "speech", "WorkerDied")}
    assert {q for q, _, kind in lost if kind == "WorkerDied"} == {"q2"}
    assert {r["question"] for r in found["answers"]} == {f"q{n}" for n in range(8)} - {"q2"}


def test_a_model_that_does_not_load_stops_no_other(
    cluster: Any, tmp_path: Path, data: Path, folders: list[str]
) -> None:
    from modgap.evaluation.runs.ray_engine import RayEngine

    settings = RunSettings(inputs=("text",), max_new_tokens=1)
    summary = evaluate(
        tmp_path / "run", str(data), [str(tmp_path / "gone"), folders[0]], settings, limit=9,
        loader=Loader(unit=4, store=False), engine=RayEngine(workers=1),
    )  # fmt: skip
    assert list(summary.unloadable) == [str(tmp_path / "gone")]
    assert summary.now == 9

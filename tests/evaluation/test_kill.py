"""A real `modgap eval`, ended by kill -9 again and again; a real disk limit."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.runs import make_manifest, row_counts, tables

ROOT = Path(__file__).parents[2]
QUESTIONS, KILLS = 60, 12
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill")]


def command(out: Path, data: Path, model: Path) -> list[str]:
    options = (
        "--max-new-tokens 3 --unit 3 --batch 4 --part-seconds 0 --device cpu "
        "--intervention all::angle,tokens=all"
    )
    return [
        *(sys.executable, "-m", "modgap.cli", "eval", "--data", str(data), "--model", str(model)),
        *("--out", str(out), *options.split()),
    ]


def start(args: list[str], **options: Any) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        args, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def finish(args: list[str], **options: Any) -> tuple[int, str, str]:
    process = start(args, **options)
    said, complained = process.communicate(timeout=300)
    return process.returncode, said, complained


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_manifest(tmp_path_factory.mktemp("data"), QUESTIONS, bad=[5, 31, 32])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: Path, tiny_folder: Path) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    code, said, complained = finish(command(out, data, tiny_folder))
    assert code == 0, complained
    assert f"{QUESTIONS} clips in" in said
    return out


def test_killed_again_and_again_it_ends_as_if_never_killed(
    tmp_path: Path, whole: Path, data: Path, tiny_folder: Path
) -> None:
    out, rng, killed = tmp_path / "run", random.Random(7), 0
    for _ in range(KILLS):
        before = len(list(out.glob("answers/part-*")))
        process = start(command(out, data, tiny_folder))
        # Some die at the start, most in the middle of the work: a little after a new part.
        deadline = time.monotonic() + 120
        wait_for = rng.choice((0, 1, 1, 2))
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(out.glob("answers/part-*"))) >= before + wait_for:
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.15) if wait_for else rng.uniform(0, 3))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    code, _, complained = finish(command(out, data, tiny_folder))
    assert code == 0, complained
    assert killed >= KILLS // 2
    assert tables(out) == tables(whole)
    assert row_counts(out) == row_counts(whole)
    assert not list(out.glob("**/.*.tmp"))


def test_a_limit_on_files_is_one_line_and_the_same_command_goes_on(
    tmp_path: Path, whole: Path, data: Path, tiny_folder: Path
) -> None:
    """The operating system itself refuses the bytes: no file may grow beyond what is allowed."""
    out = tmp_path / "run"
    smallest = min(p.stat().st_size for p in (whole / "answers").glob("part-*"))

    def limit() -> None:
        # questions.parquet of the beginning fits, a part of the answers does not.
        resource.setrlimit(resource.RLIMIT_FSIZE, (smallest - 1, smallest - 1))

    code, said, complained = finish(command(out, data, tiny_folder), preexec_fn=limit)
    assert code == 2
    assert said == ""
    (line,) = complained.splitlines()
    assert line.startswith("modgap: error: File too large")
    assert not list(out.glob("answers/part-*"))
    assert finish(command(out, data, tiny_folder))[0] == 0
    assert tables(out) == tables(whole)
    assert row_counts(out) == row_counts(whole)

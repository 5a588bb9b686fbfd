"""``modgap demo train``: from nothing to the family, resumable, with progress bars."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from safetensors import safe_open

from modgap.core.errors import ModgapError
from modgap.demo.closed_world.settings import FSDD_ADDRESS, TrainSettings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Stages that run side by side: none of a pair needs the other's result.
ROUNDS: tuple[tuple[str, ...], ...] = (
    ("text", "encoder"),
    ("spread",),
    ("bridge",),
    ("full", "lora"),
)


class TrainingError(ModgapError):
    """A stage failed; the message names its log."""


def fetch_fsdd(folder: Path) -> Path:
    """Download the Free Spoken Digit Dataset (about 10 MB) by its public address.

    Raises
    ------
    TrainingError
        The address cannot be reached; the message says how to give a local copy.
    """
    target = folder / "fsdd"
    if (target / "recordings").is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "fsdd.zip"
    try:
        with urlopen(f"{FSDD_ADDRESS}/archive/refs/heads/master.zip", timeout=60) as response:
            archive.write_bytes(response.read())
    except OSError as error:
        raise TrainingError(
            f"The digit recordings could not be fetched from {FSDD_ADDRESS} ({error}). "
            "Download them elsewhere and give their folder: --fsdd DIR."
        ) from error
    partial = folder / "fsdd.partial"
    (partial / "recordings").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as handle:
        for name in handle.namelist():
            if "/recordings/" in name and name.endswith(".wav"):
                # Only the base name is used: an archive must not choose where files go.
                (partial / "recordings" / Path(name).name).write_bytes(handle.read(name))
    partial.rename(target)
    archive.unlink()
    return target


def _last_line(path: Path) -> dict[str, float]:
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - 2000))
            lines = handle.read().decode(errors="ignore").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            return dict(json.loads(line))
        except ValueError:
            continue
    return {}


def _steps(s: TrainSettings, stage: str) -> int:
    return int(getattr(s, f"{stage}_steps"))


def _describe(stage: str, row: dict[str, float]) -> str:
    shown = [f"{k} {row[k]:.3f}" for k in ("loss", "ctc", "speech", "token_accuracy") if k in row]
    return f"{stage:8s} {', '.join(shown)}"


def _finished(s: TrainSettings, stage: str) -> bool:
    last = "final" if stage not in ROUNDS[-1] else f"snapshots/{_steps(s, stage):06d}"
    state = s.work / stage / "state.safetensors"
    if not (s.work / stage / f"{last}.safetensors").is_file() or not state.is_file():
        return False
    with safe_open(state, framework="pt") as handle:
        return int((handle.metadata() or {}).get("step", 0)) >= _steps(s, stage)


def _run_round(s: TrainSettings, stages: tuple[str, ...], progress: Progress) -> None:
    import torch

    processes: dict[str, subprocess.Popen[bytes]] = {}
    bars: dict[str, TaskID] = {}
    environment = {**os.environ, "KMP_BLOCKTIME": "0", "TOKENIZERS_PARALLELISM": "false"}
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    cores = os.cpu_count() or 1
    threads = max(1, cores // len(stages))
    environment["OMP_NUM_THREADS"] = str(threads)
    # One GPU is shared best in turns; CPU cores are split.
    waiting = list(stages)
    width = 1 if torch.cuda.is_available() or cores == 1 else len(stages)
    try:
        while waiting or processes:
            while waiting and len(processes) < width:
                stage = waiting.pop(0)
                bars[stage] = progress.add_task(stage, total=_steps(s, stage))
                command = [sys.executable, "-m", "modgap.demo.closed_world.stages", stage, "--work",
                           str(s.work), "--threads", str(threads)]  # fmt: skip
                with (s.work / f"{stage}.out").open("ab") as out:
                    processes[stage] = subprocess.Popen(
                        command, stdout=out, stderr=subprocess.STDOUT, env=environment
                    )
            time.sleep(0.5)
            for stage in list(processes):
                row = _last_line(s.work / stage / "log.jsonl")
                progress.update(bars[stage], completed=row.get("step", 0),
                                description=_describe(stage, row))  # fmt: skip
                code = processes[stage].poll()
                if code is None:
                    continue
                del processes[stage]
                if code != 0:
                    raise TrainingError(
                        f"Stage {stage!r} ended with code {code}; see {s.work / stage}.out. "
                        "Run the same command again to resume."
                    )
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


def train(s: TrainSettings, quiet: bool = False) -> Path:
    """Make the whole family.

    Parameters
    ----------
    s : TrainSettings
    quiet : bool
        No progress bars.

    Returns
    -------
    Path
        The weights folder inside ``s.work``; give it to ``modgap demo eval --weights`` or set
        ``MODGAP_DEMO_WEIGHTS`` to use it.

    Raises
    ------
    FileNotFoundError
        ``s.fsdd`` holds no recordings.
    TrainingError
        The digits could not be fetched or a stage failed. Whatever was finished is kept.
    """
    from dataclasses import replace

    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from modgap.demo.clips import read_fsdd
    from modgap.demo.closed_world.package import package
    from modgap.demo.closed_world.stages import training_features

    if s.fsdd is None:
        s = replace(s, fsdd=fetch_fsdd(s.work))
    assert s.fsdd is not None
    read_fsdd(s.fsdd)  # a wrong folder is named before anything is written
    s.save()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, disable=quiet) as progress:
        bar = progress.add_task("clips and features")

        def shards(done: int, total: int) -> None:
            progress.update(bar, completed=done, total=total)

        training_features(s, max(1, min(8, os.cpu_count() or 1)), shards)
        for stages in ROUNDS:
            missing = tuple(stage for stage in stages if not _finished(s, stage))
            if missing:
                _run_round(s, missing, progress)
    return package(s, s.work / "weights")

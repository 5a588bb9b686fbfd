"""The whole training, stage after stage, each in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from modgap.core.errors import ModgapError
from modgap.demo.training.settings import TrainSettings

__all__ = ["ORDER", "train"]

#: What is done in which order, and whether several processes share it.
ORDER: tuple[tuple[str, bool], ...] = (
    ("plain", False),
    ("turns", True),
    ("sentences", True),
    ("speech", True),
    ("heldout", False),
    ("answers", True),
    ("listen", False),
    ("adapter", False),
    ("lora", False),
)


def train(
    s: TrainSettings,
    cores: int | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Do what is left to do of the training.

    Parameters
    ----------
    s : TrainSettings
    cores : int, optional
        Processes of a stage that can be shared, threads of one that can't; by default all cores.
    say : callable, optional
        Told each stage's name as it begins.

    Raises
    ------
    ModgapError
        A stage failed; its last lines are in the message, and the next call goes on there.
    """
    s.save()
    cores = cores or os.cpu_count() or 1
    for stage, shared in ORDER:
        if say is not None:
            say(stage)
        if shared:
            commands = [_command(s, stage, 1, (k, cores)) for k in range(cores)]
        else:
            commands = [_command(s, stage, cores, (0, 1))]
        log = s.work / f"{stage}.log"
        with log.open("a") as out:
            running = [subprocess.Popen(c, stdout=out, stderr=out) for c in commands]
            try:
                codes = [process.wait() for process in running]
            finally:
                for process in running:
                    process.kill()  # those that are left when this one is interrupted
        if any(codes):
            last = " ".join(log.read_text(errors="replace").splitlines()[-1:])
            raise ModgapError(f"The stage {stage} failed ({last}); its log is {log}.")


def _command(s: TrainSettings, stage: str, threads: int, part: tuple[int, int]) -> list[str]:
    """A process of a stage, as its own program."""
    return [
        sys.executable, "-m", "modgap.demo.training.stages", stage, "--work", str(s.work),
        "--threads", str(threads), "--part", str(part[0]), str(part[1]),
    ]  # fmt: skip

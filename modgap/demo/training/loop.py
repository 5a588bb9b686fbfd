"""The training loop: steps, schedule, log, snapshots, and a state that survives a kill.

Everything a run needs lies in one safetensors file that is replaced in one move: weights, both
moments of the optimizer, and the number of finished steps. Batches and every other draw depend on
(seed, step) only, so a resumed run does exactly what an undisturbed one would have done.

The rate is held after the warm-up and falls only in the last part of the run. What was there before
it fell is kept: a run that turns out to have been too short is made longer from there.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modgap.core.files import cut_torn_line, write_atomic
from modgap.demo.checkpoints import read_tensors, write_tensors

__all__ = ["LoopSettings", "Run", "schedule"]


@dataclass(frozen=True)
class LoopSettings:
    """Schedule of one stage.

    Attributes
    ----------
    name : str
    steps : int
    warmup : int
        Steps in which the rate rises.
    decay : float
        Share of the steps in which it falls, at the end.
    final : float
        Share of the peak rate that is left at the end.
    clip : float
        Longest gradient.
    save_seconds : float
        Time between two saved states: what a kill can cost.
    snapshots : tuple of int
        Numbers of finished steps at which a snapshot is taken.
    log_every : int
    """

    name: str
    steps: int
    warmup: int
    decay: float = 0.3
    final: float = 0.02
    clip: float = 1.0
    save_seconds: float = 120.0
    snapshots: tuple[int, ...] = ()
    log_every: int = 20

    @property
    def decay_from(self) -> int:
        """The step from which on the rate falls."""
        return self.steps - round(self.steps * self.decay)


def schedule(step: int, s: LoopSettings) -> float:
    """Factor of the peak rate: linear up, level, linear down."""
    rising = min(1.0, (step + 1) / max(1, s.warmup))
    rest = (s.steps - step) / max(1, s.steps - s.decay_from)
    return rising * (s.final + (1 - s.final) * min(1.0, max(0.0, rest)))


class Run:
    """One stage's run in a folder.

    Parameters
    ----------
    folder : Path
        Holds ``state.safetensors``, ``level.safetensors``, ``log.jsonl`` and the snapshots.
    parameters : dict of str to Parameter
        The trainable parameters by name (in a fixed order).
    rates : dict of str to float
        Peak rate of each parameter.
    settings : LoopSettings
    seed : int
        Of what the steps draw.
    """

    def __init__(
        self,
        folder: Path,
        parameters: dict[str, torch.nn.Parameter],
        rates: dict[str, float],
        settings: LoopSettings,
        seed: int = 0,
    ) -> None:
        self.folder, self.parameters, self.settings = folder, parameters, settings
        self.seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        groups: dict[tuple[float, float], dict[str, Any]] = {}
        for name, p in parameters.items():
            decay = 0.01 if p.ndim >= 2 else 0.0
            start = {"params": [], "lr": rates[name], "peak": rates[name], "weight_decay": decay}
            groups.setdefault((rates[name], decay), start)["params"].append(p)
        self.optimizer = torch.optim.AdamW(list(groups.values()), betas=(0.9, 0.98), foreach=True)
        self.step = 0
        self._resume()

    @property
    def state_path(self) -> Path:
        """The file a resumed run starts from."""
        return self.folder / "state.safetensors"

    @property
    def level_path(self) -> Path:
        """The state before the rate fell."""
        return self.folder / "level.safetensors"

    def _resume(self) -> None:
        if not self.state_path.is_file():
            return
        tensors, meta = read_tensors(self.state_path)
        other = int(meta["steps"]) != self.settings.steps
        if other and int(meta["step"]) > int(meta["decay_from"]):
            tensors, meta = read_tensors(self.level_path)
        self.step = int(meta["step"])
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(tensors[f"w.{name}"])
                if f"m.{name}" in tensors:
                    self.optimizer.state[p] = {
                        "step": torch.tensor(float(self.step)),
                        "exp_avg": tensors[f"m.{name}"],
                        "exp_avg_sq": tensors[f"v.{name}"],
                    }
        # Lines after the saved step belong to work that is done again.
        log = self.folder / "log.jsonl"
        if log.is_file():
            cut_torn_line(log)
            rows = [json.loads(line) for line in log.read_text().splitlines()]
            kept = [json.dumps(row) + "\n" for row in rows if row.get("step", 0) <= self.step]
            write_atomic(log, "".join(kept).encode())

    def save(self, path: Path | None = None) -> None:
        """Write the state."""
        tensors: dict[str, Tensor] = {}
        for name, p in self.parameters.items():
            tensors[f"w.{name}"] = p
            state = self.optimizer.state.get(p)
            if state:
                tensors[f"m.{name}"] = state["exp_avg"]
                tensors[f"v.{name}"] = state["exp_avg_sq"]
        numbers = {
            "step": self.step, "steps": self.settings.steps, "decay_from": self.settings.decay_from,
        }  # fmt: skip
        write_tensors(path or self.state_path, tensors, {k: str(v) for k, v in numbers.items()})

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to the training log."""
        with (self.folder / "log.jsonl").open("a") as handle:
            handle.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def run(
        self,
        step_function: Callable[[int], dict[str, float]],
        snapshot: Callable[[int], None] | None = None,
        stop_after: int | None = None,
    ) -> None:
        """Do the remaining steps.

        Parameters
        ----------
        step_function : callable
            Called with the step's number; computes the loss, calls backward, returns numbers.
        snapshot : callable, optional
            Called with the number of finished steps at the settings' snapshot steps.
        stop_after : int, optional
            End early after so many steps, without saving (tests use it as a kill).
        """
        s = self.settings
        last_save = began = time.monotonic()
        sums: dict[str, list[float]] = {}
        count = 0
        while self.step < s.steps:
            if stop_after is not None and self.step >= stop_after:
                return
            if self.step == s.decay_from:
                self.save(self.level_path)
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(self.step, s)
            self.optimizer.zero_grad(set_to_none=False)
            torch.manual_seed(hash((self.seed, self.step)) & 0x7FFF_FFFF)
            numbers = step_function(self.step)
            norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), s.clip)
            if not math.isfinite(float(norm)):
                raise FloatingPointError(f"{s.name}: the gradient is not finite at {self.step}")
            self.optimizer.step()
            self.step += 1
            count += 1
            for k, v in numbers.items():
                sums.setdefault(k, []).append(v)
            if self.step % s.log_every == 0 or self.step == s.steps:
                mean = {k: round(sum(v) / len(v), 4) for k, v in sums.items()}
                seconds = round((time.monotonic() - began) / count, 3)
                self.log({"stage": s.name, "step": self.step, "seconds_per_step": seconds, **mean})
                sums, count, began = {}, 0, time.monotonic()
            if self.step in s.snapshots and snapshot:
                snapshot(self.step)
            if time.monotonic() - last_save > s.save_seconds or self.step == s.steps:
                self.save()
                last_save = time.monotonic()

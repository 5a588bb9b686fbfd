"""The training loop: steps, schedule, log, snapshots, and a state that survives a kill.

Everything a run needs lies in one safetensors file that is replaced in one move: weights, both
moments of the optimizer, and the number of finished steps. Batches depend on (seed, step) only, so
a resumed run does exactly what an undisturbed one would have done.
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

from modgap.demo.checkpoints import read_tensors, write_tensors


@dataclass(frozen=True)
class LoopSettings:
    """Schedule of one stage."""

    name: str
    steps: int
    warmup: int
    final_lr: float = 0.03  #: share of the peak learning rate left at the end
    clip: float = 1.0
    save_every_seconds: float = 120.0
    snapshots: tuple[int, ...] = ()
    log_every: int = 10


def schedule(step: int, s: LoopSettings) -> float:
    """Factor of the peak learning rate: linear warm-up, then linear decay."""
    if step < s.warmup:
        return (step + 1) / s.warmup
    rest = (s.steps - step) / max(1, s.steps - s.warmup)
    return s.final_lr + (1 - s.final_lr) * max(0.0, min(1.0, rest))


class Run:
    """One stage's run in a folder.

    Parameters
    ----------
    folder : Path
        Holds ``state.safetensors``, ``log.jsonl`` and the snapshots.
    parameters : dict of str to Parameter
        The trainable parameters by name (in a fixed order).
    rates : dict of str to float
        Peak learning rate of each parameter.
    settings : LoopSettings
    """

    def __init__(
        self,
        folder: Path,
        parameters: dict[str, torch.nn.Parameter],
        rates: dict[str, float],
        settings: LoopSettings,
    ) -> None:
        self.folder, self.parameters, self.settings = folder, parameters, settings
        folder.mkdir(parents=True, exist_ok=True)
        groups: list[dict[str, Any]] = [
            {"params": [p], "lr": rates[n], "peak": rates[n],
             "weight_decay": 0.01 if p.ndim >= 2 else 0.0}
            for n, p in parameters.items()
        ]  # fmt: skip
        merged: dict[tuple[float, float], dict[str, Any]] = {}
        for g in groups:
            key = (g["peak"], g["weight_decay"])
            merged.setdefault(key, {**g, "params": []})["params"] += g["params"]
        self.optimizer = torch.optim.AdamW(list(merged.values()), betas=(0.9, 0.98), foreach=True)
        self.step = 0
        self._resume()

    @property
    def state_path(self) -> Path:
        """The file a resumed run starts from."""
        return self.folder / "state.safetensors"

    def _resume(self) -> None:
        if not self.state_path.is_file():
            return
        tensors, meta = read_tensors(self.state_path)
        self.step = int(meta["step"])
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(tensors[f"w.{name}"])
                if self.step:
                    self.optimizer.state[p] = {
                        "step": torch.tensor(float(self.step)),
                        "exp_avg": tensors[f"m.{name}"].to(p.device),
                        "exp_avg_sq": tensors[f"v.{name}"].to(p.device),
                    }
        # Lines after the saved step belong to work that is done again.
        log = self.folder / "log.jsonl"
        if log.is_file():
            lines = [ln for ln in log.read_text().splitlines() if ln.endswith("}")]
            kept = [ln for ln in lines if json.loads(ln).get("step", 0) <= self.step]
            log.write_text("".join(ln + "\n" for ln in kept))

    def save(self) -> None:
        """Write the state."""
        tensors: dict[str, Tensor] = {}
        for name, p in self.parameters.items():
            tensors[f"w.{name}"] = p
            state = self.optimizer.state.get(p)
            if state:
                tensors[f"m.{name}"] = state["exp_avg"]
                tensors[f"v.{name}"] = state["exp_avg_sq"]
        write_tensors(self.state_path, tensors, {"step": str(self.step)})

    def log(self, row: dict[str, Any]) -> None:
        """Append a row to the training log."""
        with (self.folder / "log.jsonl").open("a") as handle:
            handle.write(json.dumps(row) + "\n")

    def run(
        self,
        step_function: Callable[[int], dict[str, float]],
        snapshot: Callable[[int], None] | None = None,
        progress: Callable[[int, int, dict[str, float]], None] | None = None,
        stop_after: int | None = None,
    ) -> None:
        """Do the remaining steps.

        Parameters
        ----------
        step_function : callable
            Called with the step's number; computes the loss, calls backward, returns numbers.
        snapshot : callable, optional
            Called with the number of finished steps at the settings' snapshot steps.
        progress : callable, optional
            Called with (finished steps, all steps, numbers).
        stop_after : int, optional
            End early after so many steps, without saving (tests use it as a kill).
        """
        s = self.settings
        last_save, began = time.monotonic(), time.monotonic()
        sums: dict[str, float] = {}
        count = 0
        while self.step < s.steps:
            if stop_after is not None and self.step >= stop_after:
                return
            factor = schedule(self.step, s)
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            self.optimizer.zero_grad(set_to_none=False)
            numbers = step_function(self.step)
            norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), s.clip)
            if not math.isfinite(float(norm)):
                raise FloatingPointError(f"{s.name}: the gradient is not finite at {self.step}")
            self.optimizer.step()
            self.step += 1
            for k, v in numbers.items():
                sums[k] = sums.get(k, 0.0) + v
            count += 1
            if self.step % s.log_every == 0 or self.step == s.steps:
                mean = {k: round(v / count, 4) for k, v in sums.items()}
                seconds = round((time.monotonic() - began) / count, 3)
                self.log({"stage": s.name, "step": self.step, "seconds_per_step": seconds, **mean})
                if progress:
                    progress(self.step, s.steps, mean)
                sums, count, began = {}, 0, time.monotonic()
            if self.step in s.snapshots and snapshot:
                snapshot(self.step)
            if time.monotonic() - last_save > s.save_every_seconds or self.step == s.steps:
                self.save()
                last_save = time.monotonic()

"""A training's states as the family's weights folder: what is shipped, in few bits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from modgap.core.errors import SettingsError
from modgap.core.files import write_atomic
from modgap.demo.checkpoints import read_tensors
from modgap.demo.compact import Bits, read_compact, write_compact
from modgap.demo.compose import ADAPTER, LLM
from modgap.demo.family import FORMAT
from modgap.demo.training.aligning import STRATEGIES
from modgap.demo.training.settings import TrainSettings

__all__ = ["package", "snapshot_steps", "trained"]

#: Rounding to 8 bits is far below what the last steps of a training change; a snapshot's
#: difference from the end of its run is small, and so are the steps of its 4 bits.
FINAL_BITS: Bits = 8
SNAPSHOT_BITS: Bits = 4
#: Snapshots that are shipped of each strategy: together with the finals they stay below 45 MB.
SHIPPED = {"adapter": 1, "lora": 3}


def snapshot_steps(s: TrainSettings, strategy: str) -> list[int]:
    """Steps of the run's snapshots, ascending."""
    folder = s.work / strategy / "snapshots"
    return sorted(int(p.stem) for p in folder.glob("*.safetensors"))


def trained(s: TrainSettings, strategy: str, step: int | None = None) -> dict[str, Tensor]:
    """What a run has trained, in 16 bit: names begin with ``adapter.`` or ``llm.``.

    Parameters
    ----------
    s : TrainSettings
    strategy : {"adapter", "lora"}
    step : int, optional
        Of a snapshot; None: the last saved state.

    Raises
    ------
    SettingsError
        There is no such run or snapshot.
    """
    if strategy not in STRATEGIES:
        raise SettingsError(f"strategy is one of {', '.join(STRATEGIES)}, not {strategy!r}.")
    folder = s.work / strategy
    file = folder / ("state.safetensors" if step is None else f"snapshots/{step:06d}.safetensors")
    if not file.is_file():
        steps = ", ".join(map(str, snapshot_steps(s, strategy))) or "none yet"
        raise SettingsError(f"{file} is not there; snapshots of this run: {steps}.")
    tensors, _ = read_tensors(file)
    named = {k.removeprefix("w."): v for k, v in tensors.items() if not k.startswith(("m.", "v."))}
    return {k: v.half() for k, v in named.items() if k.startswith((ADAPTER, LLM))}


def package(s: TrainSettings, out: Path, shots: Mapping[str, int] = SHIPPED) -> Path:
    """Write the weights folder of the strategies that were trained.

    Parameters
    ----------
    s : TrainSettings
    out : Path
        A folder for ``MODGAP_DEMO_WEIGHTS``; files of the same names are replaced.
    shots : mapping of str to int
        How many snapshots of each strategy to keep, spread over those that were taken.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    SettingsError
        No strategy was trained yet.
    """
    done = [n for n in STRATEGIES if (s.work / n / "state.safetensors").is_file()]
    if not done:
        raise SettingsError(f"Nothing was trained yet in {s.work}: run modgap demo train first.")
    out.mkdir(parents=True, exist_ok=True)
    members: dict[str, dict[str, Any]] = {}
    for strategy in done:
        file = out / f"{strategy}.safetensors"
        write_compact(file, trained(s, strategy), FINAL_BITS)
        final = read_compact(file)
        steps = snapshot_steps(s, strategy)
        last = _steps(s, strategy)
        members[f"demo:{strategy}"] = _entry(file, strategy, last, last)
        kept = _spread([n for n in steps if n < last], shots.get(strategy, 0))
        for number, step in enumerate(kept, 1):
            file = out / f"{strategy}-{number}.safetensors"
            write_compact(file, trained(s, strategy, step), SNAPSHOT_BITS, final)
            members[f"demo:{strategy}@{number}"] = _entry(file, strategy, step, last)
        log = s.work / strategy / "log.jsonl"
        write_atomic(out / f"{strategy}_log.jsonl", log.read_bytes())
    family = {
        "format": FORMAT, "default": f"demo:{'lora' if 'lora' in done else done[0]}",
        "encoder": s.encoder.name, "llm": s.llm.name, "members": members,
    }  # fmt: skip
    write_atomic(out / "family.json", (json.dumps(family, indent=1) + "\n").encode())
    return out


def _spread(steps: list[int], count: int) -> list[int]:
    """At most `count` of the steps, at even distances in their order."""
    count = min(count, len(steps))
    return [steps[(2 * k + 1) * len(steps) // (2 * count)] for k in range(count)]


def _steps(s: TrainSettings, strategy: str) -> int:
    """The step of the last saved state."""
    from safetensors import safe_open

    with safe_open(s.work / strategy / "state.safetensors", framework="pt") as held:
        return int(held.metadata()["step"])


def _entry(file: Path, strategy: str, step: int, steps: int) -> dict[str, Any]:
    return {
        "file": file.name, "strategy": strategy, "step": step, "steps": steps,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "accuracies": {},
    }  # fmt: skip

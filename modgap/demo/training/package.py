"""A trained state as weights to ship, and as a `modgap_composite` folder to load.

What is shipped is what was trained: the adapter, and where there is one, the LoRA, in 16 bit. The
folder also holds the released encoder and LLM, linked where the file system can link.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from torch import Tensor

from modgap.core.errors import SettingsError
from modgap.core.files import write_atomic
from modgap.demo.checkpoints import read_tensors, write_tensors
from modgap.demo.training.aligning import STRATEGIES
from modgap.demo.training.batches import COMPOSITE
from modgap.demo.training.low_rank import peft_config, peft_names
from modgap.demo.training.settings import TrainSettings

__all__ = ["compose", "snapshot_steps", "trained"]

_ADAPTER, _LLM = "adapter.", "llm."


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
    return {k: v.half() for k, v in named.items() if k.startswith((_ADAPTER, _LLM))}


def compose(s: TrainSettings, tensors: dict[str, Tensor], out: Path) -> Path:
    """Make the composite folder of trained weights.

    Parameters
    ----------
    s : TrainSettings
        Names encoder and LLM.
    tensors : dict of str to Tensor
        As `trained` gives them.
    out : Path
        The folder; replaced when it exists.
    """
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _linked(s.encoder, partial / "encoder")
    _linked(s.llm, partial / "llm")
    adapter = {k.removeprefix(_ADAPTER): v for k, v in tensors.items() if k.startswith(_ADAPTER)}
    write_tensors(partial / "adapter.safetensors", adapter, {"format": "pt"})
    lora = {k.removeprefix(_LLM): v for k, v in tensors.items() if k.startswith(_LLM)}
    if lora:
        rank = next(v.shape[0] for k, v in lora.items() if k.endswith("lora_A"))
        file = partial / "lora" / "adapter_model.safetensors"
        write_tensors(file, peft_names(lora), {"format": "pt"})
        peft_config(rank).save_pretrained(partial / "lora")
    write_atomic(partial / "config.json", COMPOSITE.to_json().encode())
    shutil.rmtree(out, ignore_errors=True)
    partial.replace(out)
    return out


def _linked(source: Path, to: Path) -> None:
    to.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        try:
            os.link(file, to / file.name)
        except OSError:
            shutil.copyfile(file, to / file.name)

"""From a finished training run to the shipped folder: checkpoints, snapshots, ``family.json``.

Layout of the weights folder::

    family.json                     names, steps, accuracies, sha256 of every weights file
    base/                           the text LLM of stage A (Qwen2ForCausalLM)
    full/, lora/                    final checkpoints (Qwen2AudioForConditionalGeneration)
    full/snapshots/NN.safetensors   all weights of an intermediate checkpoint
    lora/snapshots/NN.safetensors   its difference to base/: adapters, encoder, projector
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from modgap.demo.checkpoints import (
    load_named,
    merge_lora,
    read_tensors,
    text_as_speech,
    write_tensors,
)
from modgap.demo.closed_world.features import feature_extractor
from modgap.demo.closed_world.model import Shape, build_speech, build_text
from modgap.demo.closed_world.settings import TrainSettings
from modgap.demo.closed_world.tokens import CHAT_TEMPLATE, Prompts, build_tokenizer

STRATEGIES = ("full", "lora")
#: Intermediate snapshots shipped per strategy, beside the final checkpoint.
SHIPPED_SNAPSHOTS = 4


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assemble(
    shape: Shape,
    prompts: Prompts,
    text: dict[str, Tensor],
    trained: dict[str, Tensor],
    scale: float,
) -> Any:
    """The speech LLM from the text LLM and the tensors that stage C trained."""
    model = build_speech(shape, prompts, 0)
    weights = {k: v.detach() for k, v in model.named_parameters()} | text_as_speech(text)
    return load_named(model, merge_lora(weights, trained, scale)).eval()


def save_checkpoint(model: Any, tokenizer: Any, folder: Path) -> None:
    """An ordinary checkpoint folder: 16-bit weights that load as float32 by default."""
    from transformers import GenerationConfig, Qwen2AudioProcessor

    folder.mkdir(parents=True, exist_ok=True)
    model = model.half()
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=48,
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id,
    )
    model.save_pretrained(folder)
    # transformers notes the dtype of the file; arithmetic on a CPU wants float32.
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for part in (config, config.get("text_config", {}), config.get("audio_config", {})):
        part["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    if config["model_type"] == "qwen2_audio":
        Qwen2AudioProcessor(
            feature_extractor=feature_extractor(), tokenizer=tokenizer, chat_template=CHAT_TEMPLATE
        ).save_pretrained(folder)
    else:
        tokenizer.save_pretrained(folder)


def trained_tensors(s: TrainSettings, strategy: str, step: int | None = None) -> dict[str, Tensor]:
    """Tensors of stage C: of a snapshot, or (``None``) of the finished run in full precision."""
    if step is not None:
        path = s.work / strategy / "snapshots" / f"{step:06d}.safetensors"
        return read_tensors(path)[0]
    tensors, _ = read_tensors(s.work / strategy / "state.safetensors")
    return {
        k.removeprefix("w."): v
        for k, v in tensors.items()
        if k.startswith("w.") and not k.startswith("w.ctc_head.")
    }


def snapshot_steps(s: TrainSettings, strategy: str) -> list[int]:
    """Steps of the run's snapshots, ascending."""
    folder = s.work / strategy / "snapshots"
    return sorted(int(p.stem) for p in folder.glob("*.safetensors"))


def pick_snapshots(steps: list[int], count: int) -> list[int]:
    """``count`` steps before the last one, denser where training is young and changes most."""
    before = steps[:-1]
    if len(before) <= count:
        return before
    places = [round((len(before) - 1) * (i / (count - 1)) ** 1.2) for i in range(count)]
    return [before[i] for i in sorted(set(places))]


def package(s: TrainSettings, out: Path, picks: dict[str, list[int]] | None = None) -> Path:
    """Write the weights folder of a finished run.

    Parameters
    ----------
    s : TrainSettings
        Of the run.
    out : Path
        The folder; replaced when it exists.
    picks : dict of str to list of int, optional
        Snapshot steps to ship per strategy; by default spread over the run.

    Returns
    -------
    Path
        ``out``.
    """
    tokenizer = build_tokenizer()
    prompts = Prompts(tokenizer)
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    text, _ = read_tensors(s.work / "spread" / "final.safetensors")
    base = load_named(build_text(s.shape, prompts, 0), text)
    save_checkpoint(base, tokenizer, partial / "base")
    members: dict[str, Any] = {}
    for strategy in STRATEGIES:
        folder = partial / strategy
        last = s.full_steps if strategy == "full" else s.lora_steps
        final = trained_tensors(s, strategy)
        save_checkpoint(assemble(s.shape, prompts, text, final, s.lora_scale), tokenizer, folder)
        steps = (picks or {}).get(strategy) or pick_snapshots(
            snapshot_steps(s, strategy), SHIPPED_SNAPSHOTS
        )
        for number, step in enumerate(steps, 1):
            path = folder / "snapshots" / f"{number:02d}.safetensors"
            tensors = {k: v.half() for k, v in trained_tensors(s, strategy, step).items()}
            write_tensors(path, tensors, {"strategy": strategy, "step": str(step)})
            members[f"demo:{strategy}@{number}"] = {
                "strategy": strategy,
                "step": step,
                "steps": last,
                "file": str(path.relative_to(partial)),
                "sha256": sha256(path),
                "accuracies": {},
            }
        members[f"demo:{strategy}"] = {
            "strategy": strategy,
            "step": last,
            "steps": last,
            "file": strategy,
            "sha256": sha256(folder / "model.safetensors"),
            "accuracies": {},
        }
        shutil.copy(s.work / strategy / "log.jsonl", folder / "training_log.jsonl")
    for stage in ("text", "encoder", "spread", "bridge"):
        shutil.copy(s.work / stage / "log.jsonl", partial / f"{stage}_log.jsonl")
    family = {
        "default": "demo:full",
        "lora_scale": s.lora_scale,
        "base": {"file": "base", "sha256": sha256(partial / "base" / "model.safetensors")},
        "members": members,
    }
    (partial / "family.json").write_text(json.dumps(family, indent=1) + "\n")
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    if out.exists():
        out.replace(old)
    partial.replace(out)
    shutil.rmtree(old, ignore_errors=True)
    return out

"""The shipped models by name: ``demo``, ``demo:full``, ``demo:lora``, ``demo:full@1``, ...

Every name resolves to an ordinary checkpoint folder. Final checkpoints are such folders already;
intermediate snapshots are stored compactly and written out on first use.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from modgap.core.errors import ModelError

WEIGHTS = Path(__file__).parent / "weights"
ENVIRONMENT = "MODGAP_DEMO_WEIGHTS"


def weights_root(root: Path | str | None = None) -> Path:
    """The weights folder: the argument, else ``MODGAP_DEMO_WEIGHTS``, else the shipped one."""
    if root is not None:
        return Path(root)
    return Path(os.environ.get(ENVIRONMENT) or WEIGHTS)


def _family(root: Path | str | None) -> tuple[Path, dict[str, Any]]:
    folder = weights_root(root)
    path = folder / "family.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"The embedded models are missing ({path}). Reinstall modgap, train them with "
            f"'modgap demo train', or set {ENVIRONMENT} to a weights folder."
        )
    return folder, json.loads(path.read_text())


def names(root: Path | str | None = None) -> list[str]:
    """Names of all speech LLMs of the family: the default, the finals, the snapshots in order."""
    _, family = _family(root)
    members = family["members"]

    def key(name: str) -> tuple[str, int]:
        strategy, _, number = name.partition("@")
        return strategy, int(number or 1000)

    finals = sorted(n for n in members if "@" not in n)
    return ["demo", *finals, *sorted((n for n in members if "@" in n), key=key)]


def _member(name: str, root: Path | str | None) -> tuple[Path, dict[str, Any], str, dict[str, Any]]:
    folder, family = _family(root)
    full_name = family["default"] if name == "demo" else name
    member = family["members"].get(full_name)
    if member is None:
        raise ModelError(
            f"There is no embedded model {name!r}. Use one of: {', '.join(names(root))}."
        )
    return folder, family, full_name, member


def describe(name: str, root: Path | str | None = None) -> dict[str, Any]:
    """What is known about a member.

    Returns
    -------
    dict
        ``name`` (resolved), ``strategy``, ``step``, ``steps``, ``sha256`` and ``accuracies``
        (shares in [0, 1] by condition, empty when not evaluated).

    Raises
    ------
    ModelError
        Unknown name; the message lists the names.
    """
    _, _, full_name, member = _member(name, root)
    keys = ("strategy", "step", "steps", "sha256", "accuracies")
    return {"name": full_name, **{k: member[k] for k in keys}}


def resolve(name: str, cache_dir: Path | str, root: Path | str | None = None) -> Path:
    """The member's checkpoint folder, for ``from_pretrained``.

    Parameters
    ----------
    name : str
        See :func:`names`.
    cache_dir : Path
        Where intermediate snapshots are written out, once, under a name that holds their hash.
        Safe when two processes do it at the same time.
    root : Path, optional
        Another weights folder, see :func:`weights_root`.

    Raises
    ------
    ModelError
        Unknown name; the message lists the names.
    FileNotFoundError
        The weights are not there; the message says how to get them.
    """
    folder, family, full_name, member = _member(name, root)
    if "@" not in full_name:
        return folder / member["file"]
    strategy = member["strategy"]
    # Everything that goes into the folder is part of its name.
    key = json.dumps([member["sha256"], family["base"]["sha256"], family["lora_scale"],
                      family["members"][f"demo:{strategy}"]["sha256"]])  # fmt: skip
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    target = Path(cache_dir) / f"{full_name.replace(':', '-').replace('@', '-')}-{digest}"
    if (target / "model.safetensors").is_file():
        return target
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _write_out(folder, strategy, folder / member["file"], family, partial)
        try:
            partial.rename(target)
        except OSError:
            # Another process was faster; its folder is the same.
            if not (target / "model.safetensors").is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _write_out(folder: Path, strategy: str, snapshot: Path, family: dict[str, Any],
               target: Path) -> None:  # fmt: skip
    """Final folder's files with the snapshot's weights, in the names the final file uses."""
    import torch
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

    from modgap.demo.checkpoints import load_named, merge_lora, read_tensors, text_as_speech

    final = folder / strategy
    skip = {"model.safetensors", "snapshots", "training_log.jsonl"}
    target.mkdir(parents=True)
    model = Qwen2AudioForConditionalGeneration.from_pretrained(final, dtype=torch.float32)
    weights = {k: v.detach() for k, v in model.named_parameters()}
    if strategy == "lora":
        weights |= text_as_speech(read_tensors(folder / "base" / "model.safetensors")[0])
    trained, _ = read_tensors(snapshot)
    load_named(model, merge_lora(weights, trained, float(family["lora_scale"])))
    model.half().save_pretrained(target)
    for path in final.iterdir():
        # Copied last: they also restore the dtype that saving has noted in config.json.
        if path.name not in skip:
            shutil.copy(path, target / path.name)
    Qwen2AudioConfig.from_pretrained(target)

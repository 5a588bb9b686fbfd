"""The embedded models by name: ``demo``, ``demo:lora``, ``demo:adapter``, ``demo:lora@1``, ...

Every name resolves to an ordinary `modgap_composite` folder. What this project trained is shipped
in few bits; the released encoder and text model between which it stands are fetched once
(`modgap fetch`). The folder is put together of both on first use. ``demo:base`` is the text model
by itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from modgap.core.errors import ModelError
from modgap.models.bases.first_use import bring
from modgap.models.bases.local import NOTE
from modgap.models.bases.sources import SOURCES
from modgap.models.loading.embedded import BASE

__all__ = ["ENVIRONMENT", "FORMAT", "base_folder", "describe", "names", "resolve",
           "weights_root"]  # fmt: skip

WEIGHTS = Path(__file__).parent / "weights"
ENVIRONMENT = "MODGAP_DEMO_WEIGHTS"
#: Of family.json.
FORMAT = 2


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
    family = json.loads(path.read_text())
    if family.get("format") != FORMAT:
        raise ModelError(
            f"{path} is of another version of modgap: train the family again with 'modgap demo "
            f"train', or leave {ENVIRONMENT} unset."
        )
    return folder, family


def names(root: Path | str | None = None) -> list[str]:
    """Names of all speech LLMs of the family: the default, the finals, the snapshots in order.

    The default's own name leads to the same model; it is not listed a second time.
    """
    _, family = _family(root)
    members = family["members"].keys() - {family["default"]}

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
            f"There is no embedded model {name!r}. Use one of: {', '.join(names(root))}, {BASE}."
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


def base_folder(
    part: str, cache_dir: Path | str | None = None, root: Path | str | None = None
) -> Path:
    """The folder of a released model that the family is built on.

    Parameters
    ----------
    part : {"encoder", "llm"}
    cache_dir : Path, optional
        Where base models are kept; by default modgap's own folder of models.
    root : Path, optional
        Another weights folder, see :func:`weights_root`. Its family.json names base models, or
        folders inside of it.

    Raises
    ------
    ModelError
        It is neither on this machine nor to be fetched; the message says how to get it.
    """
    folder, family = _family(root)
    name = str(family[part])
    return bring(name, cache_dir) if name in SOURCES else folder / name


def resolve(name: str, cache_dir: Path | str, root: Path | str | None = None) -> Path:
    """The member's checkpoint folder, for ``from_pretrained``.

    Parameters
    ----------
    name : str
        See :func:`names`; or ``demo:base``.
    cache_dir : Path
        Where base models are kept, and where members are put together, once, under a name that
        holds the hash of all that they are made of. Safe when two processes do it at the same time.
    root : Path, optional
        Another weights folder, see :func:`weights_root`.

    Raises
    ------
    ModelError
        Unknown name (the message lists the names), or base models that are not on this machine.
    FileNotFoundError
        The weights are not there; the message says how to get them.
    """
    if name == BASE:
        return base_folder("llm", cache_dir, root)
    folder, family, full_name, member = _member(name, root)
    encoder, llm = (base_folder(part, cache_dir, root) for part in ("encoder", "llm"))
    from modgap.demo.compact import read_compact
    from modgap.demo.compose import compose, composite

    final = family["members"][full_name.partition("@")[0]]
    key = json.dumps([member["sha256"], final["sha256"], _told(encoder), _told(llm),
                      composite(encoder).to_json()])  # fmt: skip
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    target = Path(cache_dir) / f"{full_name.replace(':', '-').replace('@', '-')}-{digest}"
    if (target / "config.json").is_file():
        return target
    tensors = read_compact(folder / final["file"])
    if member is not final:
        tensors = read_compact(folder / member["file"], tensors)
    return compose(encoder, llm, {k: v.half() for k, v in tensors.items()}, target)


def _told(folder: Path) -> str:
    """What a base model's files are: the note beside them, or their sizes and times."""
    note = folder / NOTE
    if note.is_file():
        return note.read_text()
    stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(folder.iterdir())]
    return json.dumps(stats)

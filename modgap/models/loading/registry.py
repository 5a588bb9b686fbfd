"""Which family a checkpoint is of: the package's own, an installed one, or a file that was named.

The package's registry is the folder itself: a module of `modgap.models.families` whose name is a
transformers model type is that family's adapter. Installed packages add theirs by the entry point
group ``modgap.families``, whose names are model types. A file is read, and so run, because the user
named it, and never for another reason.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM

#: The package whose modules are the families; looked up by name, as what they stand on is below.
FAMILIES = "modgap.models.families"
GROUP = "modgap.families"

#: One family: a class, the file or the entry point's name that leads to it.
Named = str | Path | type[SpeechLM]

#: What to do with checkpoints that can be had in another form, by how their model types begin.
_CONVERT = "get the checkpoint's folder and run `modgap convert` on it"
_ELSEWHERE = {
    "phi4mm": (
        "it needs remote code. Load the release in transformers' own format: "
        "microsoft/Phi-4-multimodal-instruct@refs/pr/70"
    ),
    "ultravox": _CONVERT,
    "omni_speech": _CONVERT,
    "omni2_speech": _CONVERT,
}


def known_types() -> list[str]:
    """List the transformers model types that have an adapter in the package."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    names = (
        module.name for module in pkgutil.iter_modules(importlib.import_module(FAMILIES).__path__)
    )
    ours = "modgap_"  # types of folders that only modgap reads
    return sorted(n for n in names if n in CONFIG_MAPPING_NAMES or n.startswith(ours))


def installed() -> dict[str, EntryPoint]:
    """The families of installed packages, by model type; none of their code is run yet."""
    return {point.name: point for point in entry_points(group=GROUP)}


def family_module(model_type: str) -> Any:
    """The module of a family of the package, by its model type."""
    return importlib.import_module(f"{FAMILIES}.{model_type}")


def family_of(
    name: str, config: dict[str, Any], family: Named | Sequence[Named] | None = None
) -> type[SpeechLM]:
    """The adapter of a checkpoint's family.

    Parameters
    ----------
    name : str
        The checkpoint's.
    config : dict
        Its config.json.
    family : class, path or name, or a sequence of them, optional
        What the user named. One by itself has to take this checkpoint; of a sequence, the first
        that takes it is chosen, and a checkpoint that none takes is of a family of the package.

    Raises
    ------
    ModelError
        There is none, or what was named cannot be used.
    """
    choice = isinstance(family, Sequence) and not isinstance(family, str)
    named: list[Any] = list(family) if choice else [] if family is None else [family]  # type: ignore[arg-type]
    adapters = [named_family(one) for one in named]
    for adapter in adapters:
        if adapter.takes(config):
            return _unless_refused(name, adapter, config)
    if adapters and not choice:
        raise ModelError(
            f"{name} is of model type {config.get('model_type')!r}, but the family that was named "
            f"is for {adapters[0].model_type!r}: name the one of this model, or set its model_type."
        )
    model_type = config.get("model_type")
    if isinstance(model_type, str):
        # A thinker that was saved by itself is still of the whole's family.
        model_type = model_type.removesuffix("_thinker")
    if model_type in known_types():
        return _unless_refused(name, family_module(str(model_type)).ADAPTER, config)
    if model_type in installed():
        return _unless_refused(name, named_family(str(model_type)), config)
    if _is_text_model(config):
        return family_module("text_only").ADAPTER
    raise ModelError(_no_family(name, str(model_type), adapters))


def _unless_refused(name: str, adapter: type[SpeechLM], config: dict[str, Any]) -> type[SpeechLM]:
    why = adapter.refusal(config)
    if why is not None:
        kind = config.get("model_type")
        raise ModelError(f"{name} is of model type {kind!r}, which is not loaded: {why}.")
    return adapter


def _no_family(name: str, model_type: str, adapters: Sequence[type[SpeechLM]]) -> str:
    hint = next((text for kind, text in _ELSEWHERE.items() if model_type.startswith(kind)), "")
    if hint:
        return f"{name} is of model type {model_type!r}, which is not loaded: {hint}."
    # Folders that only modgap reads are made by it, and known.
    ours = [found for found in known_types() if not found.startswith("modgap_")]
    known = ", ".join([*(a.model_type for a in adapters), *ours, *installed()])
    return (
        f"{name} is of model type {model_type!r}, which has no adapter. Known: {known}; "
        "--family FILE names your own."
    )


def named_family(family: Named) -> type[SpeechLM]:
    """The adapter that a user named: a class, a Python file, or the name of an installed family.

    Raises
    ------
    ModelError
        It cannot be read, fails when it is run, or holds no adapter.
    """
    if isinstance(family, type):
        return _checked(family, family.__name__)
    path = Path(family).expanduser()
    if path.is_file():
        return _from_file(path.resolve(), hashlib.sha256(path.read_bytes()).hexdigest())
    point = installed().get(str(family))
    if point is None:
        there = ", ".join(installed()) or "none"
        raise ModelError(
            f"There is no file {family}, and no installed family of that name (installed: {there}):"
            " name a Python file with ADAPTER in it."
        )
    try:
        found = point.load()
    except Exception as err:  # another package's code
        raise ModelError(f"The installed family {family} cannot be used: {_said(err)}.") from err
    return _checked(getattr(found, "ADAPTER", found), str(family))


@cache
def _from_file(path: Path, content: str) -> type[SpeechLM]:
    """The adapter of a file, run once as long as its content stays the same."""
    module_name = f"modgap_family_{path.stem}_{content[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path} is no Python file: a family's file ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # where dataclasses and transformers look a class's module up
    beside = str(path.parent)
    added = beside not in sys.path
    if added:
        sys.path.append(beside)  # last: what lies there takes no library's place
    try:
        spec.loader.exec_module(module)
    except Exception as err:  # the user's code
        del sys.modules[module_name]
        raise ModelError(f"{path.name} cannot be used as a family: {_said(err)}.") from err
    finally:
        if added:
            sys.path.remove(beside)
    return _checked(getattr(module, "ADAPTER", None), path.name)


def _checked(adapter: Any, what: str) -> type[SpeechLM]:
    if not (isinstance(adapter, type) and issubclass(adapter, SpeechLM)):
        raise ModelError(
            f"{what} holds no family: set ADAPTER to a subclass of modgap.SpeechLM "
            "(docs/adding-a-model.md)."
        )
    missing = sorted(getattr(adapter, "__abstractmethods__", ()))
    if missing or not hasattr(adapter, "model_type"):
        raise ModelError(
            f"{adapter.__name__} in {what} lacks {', '.join(missing) or 'model_type'}: see "
            "docs/adding-a-model.md."
        )
    return adapter


def is_foreign(family: type[SpeechLM]) -> bool:
    """Whether a family is not of the package."""
    return not family.__module__.startswith(f"{FAMILIES}.")


def file_of(family: type[SpeechLM]) -> str | None:
    """Name of the file that a foreign family is from; None for those of the package."""
    if not is_foreign(family):
        return None
    try:
        return Path(inspect.getfile(family)).name
    except (OSError, TypeError):  # written in a notebook
        return family.__module__


def code_of(family: type[SpeechLM], folder: Path | None = None) -> str | None:
    """SHA-256 of a foreign family's source, which decides the numbers as weights do; else None.

    With it counts the code that the checkpoint's folder brings, which such a family may run.
    """
    if not is_foreign(family):
        return None
    try:
        source = Path(inspect.getfile(family)).read_text("utf-8")
    except (OSError, TypeError):  # written in a notebook
        try:
            source = inspect.getsource(family)
        except (OSError, TypeError):
            source = family.__qualname__
    digest = hashlib.sha256(source.encode())
    for file in sorted(folder.glob("*.py")) if folder is not None else ():
        digest.update(f"{file.name} ".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _said(err: BaseException) -> str:
    lines = str(err).strip().splitlines()
    return f"{type(err).__name__}: {lines[0][:150]}" if lines else type(err).__name__


def _is_text_model(config: dict[str, Any]) -> bool:
    """Whether a checkpoint is a causal text model, by the class that its config names."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    named = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(str(config.get("model_type")))
    return named is not None and named in (config.get("architectures") or ())

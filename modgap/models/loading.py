"""From a name to a model: the embedded family, a folder, or a checkpoint on the hub.

The registry is the folder itself: a module of this package whose name is a transformers model type
is that family's adapter.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import modgap.models as package
from modgap.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.identity import identity

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be named without knowing where it lies.

    Attributes
    ----------
    name : str
        For `load_model`.
    description : str
        One line for a list.
    shipped : bool
        Whether it comes with modgap; the others are fetched from the hub when they are loaded.
    """

    name: str
    description: str
    shipped: bool


def list_models() -> list[ModelEntry]:
    """List the embedded family and, per adapter, a released checkpoint it is made for."""
    entries = []
    if importlib.util.find_spec("modgap.demo.family") is not None:
        family = importlib.import_module("modgap.demo.family")
        entries = [
            ModelEntry(name, _one_line(family.describe(name)), shipped=True)
            for name in family.names()
        ]
    for model_type in known_types():
        adapter = _adapter(model_type)
        entries += [
            ModelEntry(name, text, shipped=False) for name, text in adapter.checkpoints.items()
        ]
    return entries


def _one_line(description: Any) -> str:
    return description if isinstance(description, str) else str(description["description"])


def known_types() -> list[str]:
    """List the transformers model types that have an adapter."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in names if name in CONFIG_MAPPING_NAMES)


def load_model(
    name: str | Path,
    *,
    dtype: str | torch.dtype = "auto",
    device: str | torch.device = "auto",
    device_map: str | dict[str, Any] | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    cache_dir: str | Path | None = None,
) -> SpeechLM:
    """Load a speech language model.

    Parameters
    ----------
    name : str or Path
        ``"demo"`` and its variants (``"demo:lora"``, ``"demo:full@3"``), a folder that holds a
        transformers checkpoint, or a hub id such as ``"Qwen/Qwen2-Audio-7B-Instruct"``. Only a hub
        id ever makes a download.
    dtype : str or torch.dtype
        "auto" is bfloat16 on a CUDA device and float32 elsewhere, whatever the files hold.
    device : str or torch.device
        "auto" is the first CUDA device if there is one, else the CPU.
    device_map : str or dict, optional
        Passed to transformers instead of `device`, to spread a model over devices (accelerate).
    revision : str, optional
        Of a hub checkpoint: branch, tag or commit.
    trust_remote_code : bool
        Whether code that a checkpoint brings may run on this machine.
    cache_dir : str or Path, optional
        Where downloads and checkpoints put together from parts are kept.

    Raises
    ------
    ModelError
        The name leads to no model, the family has no adapter, files are missing or damaged, the hub
        cannot be reached or refuses, or the device or dtype is not there.

    Examples
    --------
    >>> import modgap
    >>> model = modgap.load_model("demo")  # doctest: +SKIP
    """
    where, folder = _locate(str(name), revision, cache_dir)
    device = _device(device)
    dtype = _dtype(dtype, device if device_map is None else None)
    _check_device_map(device_map)

    import transformers

    options = {
        "revision": revision or "main",
        "cache_dir": None if folder else cache_dir,
        "local_files_only": folder is not None,
        "trust_remote_code": trust_remote_code,
    }
    with _explained(str(name), folder):
        config_dict, _ = transformers.PretrainedConfig.get_config_dict(where, **options)
        model_type = config_dict.get("model_type")
    if model_type not in known_types():
        raise ModelError(
            f"{name} is of model type {model_type!r}, which has no adapter. Known types: "
            f"{', '.join(known_types())}."
        )
    adapter = _adapter(model_type)
    with _explained(str(name), folder):
        processor = getattr(transformers, adapter.processor_class).from_pretrained(where, **options)
        hf, report = getattr(transformers, adapter.model_class).from_pretrained(
            where,
            dtype=dtype,
            device_map=device_map,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    if report["missing_keys"]:
        raise ModelError(
            f"{name} lacks weights that its config asks for ({len(report['missing_keys'])}, for "
            f"example {sorted(report['missing_keys'])[0]}): get the checkpoint's files again."
        )
    if device_map is None:
        hf.to(device)
    hf.eval().requires_grad_(False)
    commit = getattr(hf.config, "_commit_hash", None) if folder is None else None
    return adapter(
        hf,
        processor,
        name=str(name),
        revision=commit or revision,
        identity=identity(config_dict, processor, folder, commit),
    )


def _adapter(model_type: str) -> type[SpeechLM]:
    return importlib.import_module(f"{package.__name__}.{model_type}").ADAPTER


def _locate(
    name: str, revision: str | None, cache_dir: str | Path | None
) -> tuple[str, Path | None]:
    """Return what from_pretrained takes, and the folder if it is one."""
    if name == "demo" or name.startswith("demo:"):
        family = importlib.import_module("modgap.demo.family")
        folder = Path(family.resolve(name, cache_dir))
    else:
        folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"The folder {name} holds no config.json: name the folder of a transformers "
                "checkpoint (config.json, *.safetensors, tokenizer and processor files)."
            )
        if revision is not None:
            raise ModelError("A folder has no revisions: leave revision out.")
        return str(folder), folder
    if not _HUB_ID.fullmatch(name):
        raise ModelError(
            f'There is no folder {name}, and it is not a hub id such as "Qwen/Qwen2-Audio-7B-'
            'Instruct". The embedded models are "demo", "demo:lora" and "demo:full".'
        )
    return name, None


def _device(device: str | torch.device) -> torch.device:
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as err:
        raise ModelError(
            f'The device {str(device)!r} cannot be used here ({_first_line(err)}). Try "cpu".'
        ) from err
    return found


def _dtype(dtype: str | torch.dtype, device: torch.device | None) -> torch.dtype:
    if dtype == "auto":
        on_cuda = torch.cuda.is_available() if device is None else device.type == "cuda"
        return torch.bfloat16 if on_cuda else torch.float32
    found = _DTYPES.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise ModelError(
            f'Unknown dtype {str(dtype)!r}: use "auto" or one of {", ".join(_DTYPES)}.'
        )
    return found


def _check_device_map(device_map: Any) -> None:
    if device_map is not None and importlib.util.find_spec("accelerate") is None:
        raise ModelError("A device map needs accelerate: pip install accelerate")


@contextmanager
def _explained(name: str, folder: Path | None) -> Iterator[None]:
    """Turn what from_pretrained may raise, which is nearly anything, into one sentence."""
    try:
        yield
    except ModelError:
        raise
    except Exception as err:
        raise ModelError(_explain(name, folder, err)) from err


def _explain(name: str, folder: Path | None, err: Exception) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    causes: list[BaseException] = []
    cause: BaseException | None = err
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__

    def caused(*kinds: type[BaseException]) -> bool:
        return any(isinstance(c, kinds) for c in causes)

    text = _first_line(err)
    if caused(torch.OutOfMemoryError, MemoryError):
        return (
            f"{name} does not fit into memory: try dtype bfloat16, a smaller model or a device map."
        )
    if caused(json.JSONDecodeError) or "not a valid JSON" in str(err):
        return f"A JSON file of {name} is damaged: get the checkpoint's files again."
    if folder is None:
        if caused(GatedRepoError):
            return (
                f"{name} is gated: accept its terms on the hub, then log in with `hf auth login`."
            )
        if caused(RevisionNotFoundError):
            return f"{name} has no such revision: name one of its branches, tags or commits."
        if caused(RepositoryNotFoundError):
            return f"The hub knows no model {name} (or it is private): check the id."
        if caused(LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) or (
            "connect" in str(err).lower()
        ):
            return (
                f"{name} is not on this machine and the hub cannot be reached: check the network, "
                "or name a folder that holds the checkpoint."
            )
    if "safetensors" in str(err) and isinstance(err, OSError):
        return f"{name} has no weights in safetensors files; other formats are not loaded."
    if any("tokenizer" in str(c).lower() for c in causes):
        return f"The tokenizer of {name} cannot be read: are its tokenizer files there? ({text})"
    return f"{name} cannot be loaded: {text}"


def _first_line(err: BaseException) -> str:
    lines = str(err).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(err).__name__

"""From a name to a model: the embedded family, a folder, or a checkpoint on the hub."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.loading.adapters import split
from modgap.models.loading.hardware import bfloat16_in_hardware
from modgap.models.loading.identity import held_identity, identity
from modgap.models.loading.load_errors import explained, first_line
from modgap.models.loading.locate import locate, read_config
from modgap.models.loading.quantized import check_quantize, check_widths, quantization_config
from modgap.models.loading.registry import (
    Named,
    code_of,
    family_module,
    family_of,
    file_of,
    known_types,
)
from modgap.models.loading.sizes import refuse_too_large
from modgap.models.weights import check_weights

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
    details : dict
        For the embedded family what is known of the checkpoint: strategy, step, accuracies.
    """

    name: str
    description: str
    shipped: bool
    details: dict[str, Any] = field(default_factory=dict)


#: Bytes of weights from which on half as many numbers to read and multiply are felt.
LARGE = 100e6
#: Options of `load_model` that say what a model is; the others say how it is held.
ONE_MODELS = ("adapter", "revision", "family")


def list_models() -> list[ModelEntry]:
    """List the embedded family and, per adapter, a released checkpoint it is made for.

    An installation without the embedded weights lists the others.
    """
    family = importlib.import_module("modgap.demo.family")
    entries = []
    # Any other error than missing weights is a defect that should be seen.
    with contextlib.suppress(FileNotFoundError):
        for name in family.names():
            details = family.describe(name)
            entries.append(ModelEntry(name, _embedded(details), True, details))
    for model_type in known_types():
        adapter = family_module(model_type).ADAPTER
        entries += [
            ModelEntry(name, text, shipped=False) for name, text in adapter.checkpoints.items()
        ]
    return entries


def _embedded(details: dict[str, Any]) -> str:
    trained = {"adapter": "speech adapter alone", "lora": "speech adapter and LoRA"}
    strategy = trained.get(details["strategy"], details["strategy"])
    return f"embedded, {strategy}, step {details['step']} of {details['steps']}"


def load_model(
    name: str | Path,
    *,
    dtype: str | torch.dtype = "auto",
    device: str | torch.device = "auto",
    device_map: str | dict[str, Any] | None = None,
    quantize: str | None = None,
    adapter: str | Path | None = None,
    revision: str | None = None,
    family: Named | Sequence[Named] | None = None,
    trust_remote_code: bool = False,
    cache_dir: str | Path | None = None,
) -> SpeechLM:
    """Load a speech language model.

    Parameters
    ----------
    name : str or Path
        ``"demo"`` and its variants (``"demo:lora"``, ``"demo:lora@2"``), a folder that holds a
        transformers checkpoint or a PEFT adapter, or a hub id such as
        ``"Qwen/Qwen2-Audio-7B-Instruct"``, maybe with a revision (``"org/name@v1"``). Only a hub id
        ever makes a download; an adapter whose base is one names it.
    dtype : str or torch.dtype
        "auto" is bfloat16 on a CUDA device, and on a CPU that multiplies it in hardware (AMX,
        AVX-512) for a folder of more than 100 MB of weights; else float32, whatever the files hold.
    device : str or torch.device
        "auto" is the first CUDA device if there is one, else the CPU.
    device_map : str or dict, optional
        Passed to transformers instead of `device`, to spread a model over devices (accelerate).
    quantize : "8bit" or "4bit", optional
        Hold the weights of the linear layers in so many bits (bitsandbytes).
    adapter : str or Path, optional
        The folder of a PEFT adapter to put on the model `name`.
    revision : str, optional
        Of a hub checkpoint: branch, tag or commit; the same as ``"org/name@revision"``.
    family : class, str or Path, or a sequence of them, optional
        A family of one's own: a subclass of `SpeechLM`, a Python file that has one as ``ADAPTER``
        (it is run), or the name of an installed one. See `family_of` for what is chosen.
    trust_remote_code : bool
        Whether code that a checkpoint brings may run on this machine.
    cache_dir : str or Path, optional
        Where downloads and checkpoints put together from parts are kept; by default the hub's own
        cache, and ``models`` in the cache of modgap.

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
    base, revision, tuned = split(str(name), adapter, revision)
    where, folder = locate(base, revision, cache_dir)
    device = device_of(device)
    dtype = dtype_of(dtype, device if device_map is None else None, folder)
    _check_device_map(device_map)
    spread = device_map is not None
    check_quantize(quantize, None if spread else device)
    if not spread:
        device_map = straight_to(device, quantize)

    config_dict, options = read_config(
        str(name), where, folder, revision, cache_dir, trust_remote_code
    )
    kind = family_of(str(name), config_dict, family)
    if not spread and (device.type == "cpu" or device_map is None):
        # On their way to a GPU they are in the CPU's memory where accelerate is missing.
        refuse_too_large(str(name), kind, where, options, dtype, quantize)
    with explained(str(name), folder), quiet(folder is not None):
        processor = kind.load_processor(where, options)
        if quantize is not None:
            options["quantization_config"] = quantization_config(quantize, dtype)
        hf, report = kind.load_weights(
            where, dtype=dtype, device_map=device_map, use_safetensors=True, **options
        )
        if device_map is None:
            hf.to(device)
    if "quantization_config" in config_dict:  # scales, which its own library has read
        report = {**report, "unexpected_keys": ()}
    check_weights(str(name), hf, report)
    if quantize == "4bit":
        check_widths(hf, device)
    if tuned is not None:
        with explained(str(name), folder):
            hf = tuned.put_on(hf)
    hf.eval().requires_grad_(False)
    commit = None if folder else str(options["revision"])
    model = kind(
        hf,
        processor,
        name=str(name),
        revision=commit or revision,
        identity=held_identity(
            identity(config_dict, processor, folder, commit, kind.weight_folders),
            quantize=quantize,
            adapter=None if tuned is None else tuned.identity,
            code=code_of(kind, folder),
        ),
    )
    model.quantization, model.adapter = quantize, None if tuned is None else tuned.folder.name
    model.family = file_of(kind)
    return model


def load_quietly(name: str, **options: Any) -> SpeechLM:
    """`load_model` without the bars and the advice of the libraries below it."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return load_model(name, **options)


@contextlib.contextmanager
def quiet(quiet: bool) -> Iterator[None]:
    """Silence transformers' progress bars, which are for downloads, while a folder is read."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    if quiet and shown:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if quiet and shown:
            logging.enable_progress_bar()


def device_of(device: str | torch.device) -> torch.device:
    """What "auto" is here, or the device of a name.

    Raises
    ------
    ModelError
        It is not there.
    """
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as err:
        raise ModelError(
            f'The device {str(device)!r} cannot be used here ({first_line(err)}). Try "cpu".'
        ) from err
    return found


def straight_to(device: torch.device, quantize: str | None = None) -> dict[str, Any] | None:
    """The device map that reads weights onto a device one by one, never all into the CPU's memory.

    None on the CPU, and where accelerate is missing, which transformers does it with. Quantized
    weights are made where they stay, so theirs always have one.
    """
    there = importlib.util.find_spec("accelerate") is not None
    return {"": device} if quantize or (device.type != "cpu" and there) else None


def dtype_of(
    dtype: str | torch.dtype, device: torch.device | None, folder: Path | None = None
) -> torch.dtype:
    """What "auto" is for a checkpoint on a device (None: spread over all); the dtype of a name."""
    if dtype == "auto":
        on_cuda = torch.cuda.is_available() if device is None else device.type == "cuda"
        half = on_cuda or (bfloat16_in_hardware() and _large(folder))
        return torch.bfloat16 if half else torch.float32
    found = _DTYPES.get(str(dtype).removeprefix("torch."))
    if found is None:
        raise ModelError(
            f'Unknown dtype {str(dtype)!r}: use "auto" or one of {", ".join(_DTYPES)}.'
        )
    return found


def _large(folder: Path | None) -> bool:
    """Whether a folder's weights are so large that a CPU's time goes into multiplying them."""
    if folder is None:
        return False
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors")) > LARGE


def _check_device_map(device_map: Any) -> None:
    if device_map is not None and importlib.util.find_spec("accelerate") is None:
        raise ModelError("A device map needs accelerate: pip install accelerate")

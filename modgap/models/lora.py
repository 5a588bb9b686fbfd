"""The LoRA adapter that a checkpoint brings beside its weights: loaded, switched, known."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from modgap.core.errors import ModelError

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM
from modgap.models.processor import hub_options, optional_file

#: Part of no weight's own name. transformers takes every weight whose name holds the adapter's name
#: for a part of the adapter, and makes those anew that the adapter's file lacks.
NAME = "modgap"


def load_adapter(hf: Any, where: str, subfolder: str, options: dict[str, Any]) -> set[str]:
    """Load a checkpoint's own adapter, if it has one, and switch it on.

    Parameters
    ----------
    hf : transformers.PreTrainedModel
    where : str
        Folder or hub id.
    subfolder : str
        Where in it; "" for beside the weights.
    options : dict
        What ``from_pretrained`` was told.

    Returns
    -------
    set of str
        Weights that the adapter's file lacks of layers that it has others of.

    Raises
    ------
    ModelError
        The adapter's file holds weights that have no place in the model.
    """
    names = ("adapter_config.json", "adapter_model.safetensors")  # a pickle is not read
    if not all(optional_file(where, name, options, subfolder) for name in names):
        return set()
    hub = hub_options(options)
    kwargs: dict[str, Any] = {**hub, "subfolder": subfolder} if subfolder else dict(hub)
    with _without_report():
        report = hf.load_adapter(
            where, adapter_name=NAME, use_safetensors=True, adapter_kwargs=kwargs
        )
    hf.set_adapter(NAME)
    astray = sorted(report.unexpected_keys)
    if astray:
        raise ModelError(
            f"The adapter in {subfolder or 'the checkpoint'} holds weights that have no place in "
            f"the model ({len(astray)}, for example {astray[0]}): get the checkpoint's files again."
        )
    return take_out_empty(hf, report.missing_keys)


def merge_adapter(hf: Any) -> None:
    """Add a loaded LoRA to the weights it belongs to, for good: layers take one product again."""
    for name, layer in [(n, m) for n, m in hf.named_modules() if _is_lora(m)]:
        layer.merge()
        parent, _, child = name.rpartition(".")
        setattr(hf.get_submodule(parent), child, layer.get_base_layer())


@contextmanager
def adapter_acting(model: SpeechLM, on: bool) -> Iterator[None]:
    """Have a checkpoint's own adapter act, or not, for as long as this is open.

    Nothing is done where the checkpoint has none, or where it is so already.
    """
    if model.lora == "none" or (model.lora == "on") is on:
        yield
        return
    with model.lock:
        model.use_lora(on)
        try:
            yield
        finally:
            model.use_lora(not on)


def take_out_empty(model: Any, missing: Iterable[str]) -> set[str]:
    """Unwrap the layers that an adapter's file holds nothing for.

    A config's ``target_modules`` are often bare names (Phi-4-multimodal's are ``qkv_proj``,
    ``o_proj`` and so on) that another part of the model, an encoder, has layers of, too. peft puts
    fresh weights on those, which are no part of what was trained.

    Parameters
    ----------
    model : nn.Module
        With the adapter's weights loaded.
    missing : iterable of str
        Names of the adapter's weights that its file lacks, as `model` names them.

    Returns
    -------
    set of str
        Those of them whose layer the file holds others of; all, if it holds nothing at all.
    """
    left = set(missing)
    layers = {name: layer for name, layer in model.named_modules() if _is_lora(layer)}
    empty: dict[str, set[str]] = {}
    for name, layer in layers.items():
        own = {
            f"{name}.{key}" for key, _ in layer.named_parameters() if not key.startswith("base_")
        }
        if own and own <= left:
            empty[name] = own
    if len(empty) == len(layers):
        return left
    for name, own in empty.items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layers[name].get_base_layer())
        left -= own
    return left


@contextmanager
def _without_report() -> Iterator[None]:
    """Keep transformers' table of missing weights off the terminal: it is read here."""
    logger = logging.getLogger("transformers.integrations.peft")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def adapter_state(hf: Any) -> Literal["none", "on", "off"]:
    """Whether a model has LoRA layers, and whether they act."""
    layers = _lora_layers(hf)
    if not layers:
        return "none"
    return "off" if all(layer.disable_adapters for layer in layers) else "on"


def switch_adapter(hf: Any, on: bool) -> None:
    """Let a model's LoRA layers act, or not."""
    for layer in _lora_layers(hf):
        layer.enable_adapters(on)


def _lora_layers(hf: Any) -> list[Any]:
    return [m for m in hf.modules() if _is_lora(m)]


def _is_lora(module: Any) -> bool:
    return hasattr(module, "lora_A") and hasattr(module, "enable_adapters")

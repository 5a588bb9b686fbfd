"""The LoRA adapter that a checkpoint brings beside its weights: loaded, switched, known."""

from __future__ import annotations

from typing import Any, Literal

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
        Weights that the adapter's config asks for and its file lacks.
    """
    names = ("adapter_config.json", "adapter_model.safetensors")  # a pickle is not read
    if not all(optional_file(where, name, options, subfolder) for name in names):
        return set()
    hub = hub_options(options)
    kwargs: dict[str, Any] = {**hub, "subfolder": subfolder} if subfolder else dict(hub)
    report = hf.load_adapter(where, adapter_name=NAME, use_safetensors=True, adapter_kwargs=kwargs)
    hf.set_adapter(NAME)
    return set(report.missing_keys)


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
    return [m for m in hf.modules() if hasattr(m, "lora_A") and hasattr(m, "enable_adapters")]

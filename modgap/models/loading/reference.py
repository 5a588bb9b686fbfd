"""A checkpoint, and its processor, as transformers (and peft) alone load them, to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.models.loading.adapters import split
from modgap.models.loading.load import device_of, dtype_of, quiet, straight_to
from modgap.models.loading.load_errors import explained
from modgap.models.loading.locate import locate, read_config
from modgap.models.loading.quantized import quantization_config

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM


def load_processor(
    name: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    adapter: str | Path | None = None,
    trust_remote_code: bool = False,
    **_: Any,
) -> tuple[Any | None, str]:
    """Load the processor that transformers has for a checkpoint, and say why where it has none.

    Parameters
    ----------
    name, revision, cache_dir, adapter, trust_remote_code
        As for `load_model`; its other options don't matter here.

    Returns
    -------
    transformers.ProcessorMixin or None, and str
    """
    import transformers

    base, revision, _tuned = split(name, adapter, revision)
    where, folder = locate(base, revision, cache_dir)
    options = read_config(name, where, folder, revision, cache_dir, trust_remote_code)[1]
    try:
        with quiet(folder is not None):
            found = transformers.AutoProcessor.from_pretrained(where, **options)
    except Exception as problem:  # a library that it needs, a file it lacks: each has its own kind
        line = (str(problem).strip().splitlines() or [""])[0]
        return None, f"it cannot be built here ({type(problem).__name__}: {line[:120]})"
    if not isinstance(found, transformers.ProcessorMixin):
        return None, "transformers has none for this model"
    return found, ""


def load_plain(
    model: SpeechLM,
    name: str,
    *,
    dtype: str = "auto",
    device: str = "auto",
    device_map: Any = None,
    quantize: str | None = None,
    adapter: str | Path | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    trust_remote_code: bool = False,
) -> Any | None:
    """Load the transformers model that `model` was made of once more, with nothing of modgap's.

    Parameters
    ----------
    model : SpeechLM
        Loaded with the same arguments.
    name, dtype, device, device_map, quantize, adapter, revision, cache_dir, trust_remote_code
        As for `load_model`.

    Returns
    -------
    transformers.PreTrainedModel or peft.PeftModel or None
        None where the model's class is not one of transformers.

    Raises
    ------
    ModelError
        As `load_model` does.
    """
    kind = type(model.hf)
    if not kind.__module__.startswith("transformers."):
        return None
    base, revision, tuned = split(name, adapter, revision)
    where, folder = locate(base, revision, cache_dir)
    _, options = read_config(name, where, folder, revision, cache_dir, trust_remote_code)
    on = device_of(device)
    held = dtype_of(dtype, on if device_map is None else None, folder)
    spread = straight_to(on, quantize) if device_map is None else device_map
    with explained(name, folder), quiet(folder is not None):
        hf = kind.from_pretrained(
            where,
            dtype=held,
            device_map=spread,
            use_safetensors=True,
            quantization_config=quantization_config(quantize, held),
            **model.own_config(where, options),
            **options,
        )
        if spread is None:
            hf.to(on)
        if model.lora != "none" and tuned is None and not getattr(hf, "peft_config", None):
            # What the family's own description says to do with the adapter it comes with.
            hf.load_adapter(
                where, adapter_name="plain", adapter_kwargs={"subfolder": model.adapter_folder}
            )
        if tuned is not None:
            from peft import PeftModel

            hf = PeftModel.from_pretrained(hf, tuned.folder, config=tuned.config_for(hf))
    return hf.eval()

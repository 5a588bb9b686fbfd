"""Whether the weights of a checkpoint are those of the model that was built for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from modgap.core.errors import ModelError

_AGAIN = "get the checkpoint's files again"
_CLASS = "its config.json names another kind of model than its weights are of"


def check_weights(name: str, module: Any, report: Mapping[str, Iterable[str]]) -> None:
    """Raise where a model would compute something else than its checkpoint means.

    transformers fills weights that are missing with random numbers, and leaves those out that it
    has no place for: a Qwen2 that is loaded as a Llama loses its biases without a word.

    Parameters
    ----------
    name : str
        Of the checkpoint, for the sentence.
    module : nn.Module
        As loaded.
    report : mapping
        ``missing_keys`` and ``unexpected_keys``, as `module` names its weights.

    Raises
    ------
    ModelError
    """
    missing = sorted(report.get("missing_keys", ()))
    if missing:
        raise ModelError(
            f"{name} lacks weights that its config asks for ({len(missing)}, for example "
            f"{missing[0]}): {_AGAIN}."
        )
    extra = sorted(homeless(module, report.get("unexpected_keys", ())))
    if extra:
        raise ModelError(
            f"{name} holds weights that the model has no place for ({len(extra)}, for example "
            f"{extra[0]}): {_CLASS}. Correct it, or {_AGAIN}."
        )


def homeless(module: Any, names: Iterable[str]) -> list[str]:
    """Those of the names that belong to a part which `module` has, but not to what it has of it.

    Those are all in the decoder, in any stack of layers, and of any layer that is there. Parts that
    a model leaves out on purpose (a talker, a head for other tasks) are none of them, nor are
    buffers that it computes by itself.

    Parameters
    ----------
    module : nn.Module
    names : iterable of str
        Weights of its checkpoint that found no place.

    Returns
    -------
    list of str
    """
    decoder = module.get_decoder() if hasattr(module, "get_decoder") else None
    return [name for name in names if _belongs(module, decoder, name)]


def _belongs(module: Any, decoder: Any, name: str) -> bool:
    here, inside = module, False
    parts = name.split(".")
    for part in parts[:-1]:
        below = here._modules.get(part)
        if below is None:
            break
        here = below
        inside = inside or here is decoder or isinstance(here, torch.nn.ModuleList)
    else:
        if isinstance(getattr(here, parts[-1], None), torch.Tensor):
            return False  # a buffer that is not kept
        inside = inside or not list(here.children())
    return here is not module and inside

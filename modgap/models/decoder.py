"""Where a transformers model keeps its stack of layers, and what stands behind them."""

from __future__ import annotations

from typing import Any

from torch import nn

from modgap.core.errors import ModelError

_NORMS = ("norm", "final_layer_norm", "final_layernorm")


def decoder_of(hf: Any) -> Any:
    """The part that has the layers.

    Raises
    ------
    ModelError
        It is not found, or of a kind that would fail, or mislead, later on.
    """
    decoder = hf.get_decoder()
    for _ in range(3):  # PEFT and some families wrap the stack
        if not hasattr(decoder, "layers"):
            decoder = getattr(decoder, "model", None)
    if not hasattr(decoder, "layers"):
        raise ModelError("This model's decoder layers were not found; its family needs an adapter.")
    if any(name.endswith("mamba") for name, _ in decoder.layers.named_modules()):
        raise ModelError(
            "This model has Mamba layers, whose memory is no cache of positions: Mamba and its "
            "hybrids are not supported."
        )
    if getattr(decoder, "project_out", None) is not None:
        raise ModelError(
            "This model's decoder narrows its states before the head, which is not supported."
        )
    return decoder


def final_norm(decoder: Any) -> Any:
    """What stands behind the last layer, under the names that text models have for it."""
    name = next((name for name in _NORMS if hasattr(decoder, name)), None)
    if name is None:
        raise ModelError(
            f"The final norm of this model's decoder ({type(decoder).__name__}) was not found; its "
            "family needs an adapter."
        )
    # Some of OPT have none: their states are what they are.
    return getattr(decoder, name) or nn.Identity()

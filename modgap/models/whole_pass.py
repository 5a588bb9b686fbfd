"""A pass through a model's own forward, for models that merge the clip there and nowhere below.

What a pass has to give is the finally normed states and the cache. Such a forward gives logits; the
states are picked up where they leave the final norm, and the head is asked for one position only.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

__all__ = ["whole_pass"]


def whole_pass(model: SpeechLM, inputs: dict[str, Any]) -> Any:
    """Run ``model.hf(**inputs)``.

    Returns
    -------
    object
        With ``last_hidden_state`` (B, S, d), ``past_key_values``, None without a cache, and what
        the forward gives as ``hidden_states``.
    """
    normed: list[Tensor] = []

    def leaving(_: Any, __: Any, out: Tensor) -> None:
        normed[:] = [out]  # hooks that look at a level may call the norm, too; the last is the pass

    def entering(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        return (args[0][..., -1:, :], *args[1:]) if args else None

    with model.lock:
        handles = [
            model.final_norm.register_forward_hook(leaving),
            model.head.register_forward_pre_hook(entering),
        ]
        try:
            out = model.hf(**inputs)
        finally:
            for handle in handles:
                handle.remove()
    return SimpleNamespace(
        last_hidden_state=normed[0],
        past_key_values=getattr(out, "past_key_values", None),
        hidden_states=getattr(out, "hidden_states", None),
    )

"""One plain pass over a prompt: the states of every level, keys and values, logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache

from modgap.models.hooks import visiting
from modgap.models.resume import KeysValues, keys_values

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import Prompt

__all__ = ["continued", "plain_run", "text_states"]


def continued(model: SpeechLM, prompt: Prompt, tail: tuple[int, ...]) -> dict[str, Any]:
    """A prompt's inputs with the tokens after which a next one is asked for."""
    inputs = dict(prompt.inputs)
    if len(tail) > 1:
        more = torch.tensor([tail[:-1]], device=model.device)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], more], dim=1)
    return inputs


def text_states(model: SpeechLM, prompt: Prompt) -> tuple[Tensor, ...]:
    """Raw states of every level at the content of a prompt, L + 1 of (n, d), by one pass."""
    with model.lock:
        states, _, _ = plain_run(model, prompt, (), int(prompt.content[0]))
    at = prompt.content - prompt.content[0]
    return tuple(h[at.to(h.device)] for h in states)


@torch.no_grad()
def plain_run(
    model: SpeechLM, prompt: Prompt, tail: tuple[int, ...], first: int
) -> tuple[tuple[Tensor, ...], Tensor, tuple[KeysValues, ...]]:
    """Raw states from position `first` on, logits and the cache of one plain pass."""
    inputs = continued(model, prompt, tail)
    states: list[Tensor] = []
    n_out = max(1, len(tail))
    with visiting(
        model, range(model.n_layers + 1), lambda _, h: states.append(h[0, first:].clone())
    ):
        # A cache that forgets nothing, whatever window the model's own would keep.
        out = model.trunk(**inputs, use_cache=True, past_key_values=DynamicCache())
    logits = model.logits(out.last_hidden_state[0, -n_out:]).float()
    return tuple(states), logits, keys_values(out.past_key_values)

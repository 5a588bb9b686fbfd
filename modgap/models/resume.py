"""A forward pass taken up in its middle: from a given layer and position, on a kept cache.

An edit of the hidden states of layer l at positions p0 and later changes neither the layers below
nor the positions before. What they left behind, keys and values, is used again.

The pass goes through the decoder's own forward, which knows its masks and rotary positions, with
the layers below switched off; so it holds for every decoder whose layers share nothing but the
hidden states. Plain decoders have a shorter way (`SpeechLM.plain_decoder`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.masking_utils import create_causal_mask

from modgap.models.hooks import visiting

KeysValues = tuple[Tensor, Tensor]
Change = Callable[[int, Tensor], Tensor | None]


def keys_values(cache: Any) -> tuple[KeysValues, ...]:
    """Keys and values of each layer, (1, H, S, D); later growth of the cache leaves them alone."""
    return tuple((layer.keys, layer.values) for layer in cache.layers)


def repeated(kept: Sequence[KeysValues], rows: int) -> DynamicCache:
    """A cache of `rows` equal sequences, without a copy until it grows.

    Parameters
    ----------
    kept : L of (keys, values), each Tensor (1, H, S, D)
        Only read: a layer of the cache grows by making a longer tensor, never in place.
    rows : int
    """
    cache: Any = DynamicCache()
    for keys, values in kept:
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys = keys.expand(rows, -1, -1, -1)
        layer.values = values.expand(rows, -1, -1, -1)
        cache.layers.append(layer)
    return cache


@torch.no_grad()
def resume(
    model: Any,
    hidden: Tensor,
    first: int,
    start: int,
    kept: Sequence[KeysValues],
    edit: Callable[[int, Tensor], Tensor] | None = None,
) -> tuple[Tensor, DynamicCache]:
    """Run layers ``first + 1`` to L on the positions from `start` on.

    Parameters
    ----------
    model : SpeechLM
    hidden : Tensor, shape (B, n, d)
        Level-`first` states of positions start..start+n-1 of B variants of one sequence.
    first : int
        Level, in 0..L-1.
    start : int
    kept : keys and values of the plain run, L of shape (1, H, S, D), S >= start + n
    edit : callable (level, Tensor (B, n, d)) -> Tensor, optional
        Called with the states of every level after `first`, up to L.

    Returns
    -------
    hidden : Tensor, shape (B, n, d)
        Raw states of level L, before the final norm.
    cache : DynamicCache
        Of all layers and the positions 0..start+n-1, B rows.
    """
    rows, n, _ = hidden.shape
    end = start + n
    cache: Any = DynamicCache()
    if start:  # what the plain run left before `start` is what it would leave in every variant
        cache = repeated([(k[:, :, :start], v[:, :, :start]) for k, v in kept], rows)
    positions = torch.arange(start, end, device=hidden.device).expand(rows, n)
    run = _run_plain_layers if model.plain_decoder else run_layers
    states = run(model, hidden, first, edit, position_ids=positions, past_key_values=cache)
    # The layers below did not run, so the cache lacks their positions from `start` on: those of the
    # plain run hold, as nothing below the edit has changed.
    below = repeated([(k[:, :, :end], v[:, :, :end]) for k, v in kept[:first]], rows)
    if cache.layers:
        cache.layers[:first] = below.layers
    return states, cache


@torch.no_grad()
def rerun(
    model: Any,
    inputs: dict[str, Any],
    rows: int,
    first: int,
    start: int,
    edit: Callable[[int, Tensor], Tensor],
) -> tuple[Tensor, DynamicCache]:
    """The same by a whole pass, for decoders that cannot be taken up in their middle.

    Parameters
    ----------
    inputs : dict
        Of one plain sequence; it is run `rows` times side by side.
    rows, first, start : int
        As in `resume`; positions before `start` are left as they are.
    edit : callable (level, Tensor (B, n, d)) -> Tensor
        Called with every level from `first` on, a copy that it may change in place.
    """
    many = {
        k: v.repeat(rows, *[1] * (v.dim() - 1)) if isinstance(v, Tensor) else v
        for k, v in inputs.items()
    }
    last: list[Tensor] = []

    def visit(level: int, states: Tensor) -> Tensor:
        new = edit(level, states[:, start:].clone())
        if level == model.n_layers:
            last.append(new)
        return torch.cat([states[:, :start], new], dim=1)

    cache = DynamicCache()
    with visiting(model, range(first, model.n_layers + 1), visit, first=True):
        model.trunk(**many, use_cache=True, past_key_values=cache)
    return last[0], cache


@torch.no_grad()
def run_layers(
    model: Any, hidden: Tensor, first: int, edit: Change | None = None, **inputs: Any
) -> Tensor:
    """Run the decoder from level `first` on and return the raw states of level L, (B, n, d).

    `inputs` go to the decoder's forward: positions, mask, cache.
    """
    levels = (first, model.n_layers) if edit is None else range(first, model.n_layers + 1)
    last: list[Tensor] = []

    def visit(level: int, states: Tensor) -> Tensor | None:
        if level == first:
            return hidden.to(states.device)  # whatever scaling the decoder began with
        new = edit(level, states) if edit is not None else None
        if level == model.n_layers:
            last.append(states if new is None else new)
        return new

    with _switched_off(model.layers[:first]), visiting(model, levels, visit, first=True):
        # As embeddings the states only give shapes: they come in at level `first`, by the hook.
        model.decoder(inputs_embeds=hidden, use_cache="past_key_values" in inputs, **inputs)
    return last[0]


@torch.no_grad()
def _run_plain_layers(
    model: Any,
    hidden: Tensor,
    first: int,
    edit: Change | None,
    *,
    position_ids: Tensor,
    **inputs: Any,
) -> Tensor:
    """The same for a decoder with one causal mask and one rotary embedding for all layers.

    Without the decoder's own forward, which costs a small model a fifth more per pass.
    """
    decoder = model.decoder
    mask = create_causal_mask(
        config=decoder.config,
        inputs_embeds=hidden,
        attention_mask=None,
        past_key_values=inputs["past_key_values"],
        position_ids=position_ids,
    )
    rotary = decoder.rotary_emb(hidden, position_ids)
    for level in range(first, model.n_layers):
        out = model.layers[level](
            hidden,
            attention_mask=mask,
            position_ids=position_ids,
            use_cache=True,
            position_embeddings=rotary,
            **inputs,
        )
        hidden = out[0] if isinstance(out, tuple) else out
        new = edit(level + 1, hidden) if edit is not None else None
        hidden = hidden if new is None else new
    return hidden


@contextmanager
def _switched_off(layers: Any) -> Iterator[None]:
    """Let layers pass their input through; accelerate keeps its own forward in ``__dict__``."""
    saved = [(layer, layer.__dict__.get("forward")) for layer in layers]

    def through(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return hidden_states

    try:
        for layer, _ in saved:
            layer.forward = through
        yield
    finally:
        for layer, forward in saved:
            if forward is None:
                layer.__dict__.pop("forward", None)
            else:
                layer.forward = forward

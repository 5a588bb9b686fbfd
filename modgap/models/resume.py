"""A forward pass taken up in its middle: from a given layer and position, on a kept cache.

An edit of the hidden states of layer l at positions p0 and later changes neither the layers below
nor the positions before. What they left behind, keys and values, is used again.

The pass goes through the decoder's own forward, which knows its masks and rotary positions, with
the layers below switched off; so it holds for every decoder whose layers share nothing but the
hidden states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

KeysValues = tuple[Tensor, Tensor]
Change = Callable[[int, Tensor], Tensor | None]


def keys_values(cache: Any) -> tuple[KeysValues, ...]:
    """Keys and values of each layer, (1, H, S, D); later growth of the cache leaves them alone."""
    return tuple((layer.keys, layer.values) for layer in cache.layers)


def repeated(kept: Sequence[KeysValues], rows: int) -> DynamicCache:
    """A cache of `rows` equal sequences, without a copy until it grows."""
    cache = DynamicCache()
    for number, (keys, values) in enumerate(kept):
        cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
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
    if start:
        cache = repeated([(k[:, :, :start], v[:, :, :start]) for k, v in kept], rows)
    states = run_layers(
        model,
        hidden,
        first,
        edit,
        position_ids=torch.arange(start, end, device=hidden.device).expand(rows, n),
        past_key_values=cache,
    )
    below = repeated([(k[:, :, :end], v[:, :, :end]) for k, v in kept[:first]], rows)
    if cache.layers:
        cache.layers[:first] = below.layers
    return states, cache


@torch.no_grad()
def run_layers(
    model: Any, hidden: Tensor, first: int, edit: Change | None = None, **inputs: Any
) -> Tensor:
    """Run the decoder from level `first` on and return the raw states of level L, (B, n, d).

    `inputs` go to the decoder's forward: positions, mask, cache.
    """
    last: list[Tensor] = []

    def leaving(level: int) -> Callable[[Any, Any, Any], Any]:
        def hook(_: Any, __: Any, output: Any) -> Any:
            out = output[0] if isinstance(output, tuple) else output
            new = edit(level, out) if edit is not None else None
            out = out if new is None else new
            if level == model.n_layers:
                last.append(out)
            if new is None:
                return None
            return (out, *output[1:]) if isinstance(output, tuple) else out

        return hook

    with ExitStack() as stack:
        stack.enter_context(_switched_off(model.layers[:first]))
        stack.enter_context(_entering(model.layers[first], hidden))
        for level in range(first + 1, model.n_layers + 1):
            if edit is not None or level == model.n_layers:
                handle = model.layers[level - 1].register_forward_hook(leaving(level))
                stack.callback(handle.remove)
        model.decoder(inputs_embeds=hidden, use_cache="past_key_values" in inputs, **inputs)
    return last[0]


@contextmanager
def _entering(layer: Any, hidden: Tensor) -> Iterator[None]:
    """Replace what enters a layer: the decoder may have scaled it."""

    def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (hidden.to(args[0].device), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": hidden.to(kwargs["hidden_states"].device)}

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


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

"""A forward pass taken up in its middle: from a given layer and position, on a kept cache.

An edit of the hidden states of layer l at positions p0 and later changes neither the layers below
nor the positions before. What they left behind, keys and values, is used again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.masking_utils import create_causal_mask

KeysValues = tuple[Tensor, Tensor]


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
    decoder = model.decoder
    rows, n, _ = hidden.shape
    cache = DynamicCache()
    end = start + n
    for number, (keys, values) in enumerate(kept):
        upto = end if number < first else start
        if upto:
            cache.update(
                keys[:, :, :upto].expand(rows, -1, -1, -1),
                values[:, :, :upto].expand(rows, -1, -1, -1),
                number,
            )
    positions = torch.arange(start, end, device=hidden.device)[None]
    before = DynamicCache()  # what the mask is told: so many positions came before
    if start:
        keys, values = kept[first]
        before.update(keys[:, :, :start], values[:, :, :start], 0)
    mask = create_causal_mask(
        config=decoder.config,
        inputs_embeds=hidden,
        attention_mask=None,
        past_key_values=before,
        position_ids=positions,
    )
    rotary = decoder.rotary_emb(hidden, positions)
    for level in range(first, model.n_layers):
        out = model.layers[level](
            hidden,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            position_embeddings=rotary,
        )
        hidden = out[0] if isinstance(out, tuple) else out
        if edit is not None:
            hidden = edit(level + 1, hidden)
    return hidden, cache

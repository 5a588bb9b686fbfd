"""Interventions under hooks, for passes that are not modgap's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from modgap.interventions.rules import apply_edit
from modgap.models.hooks import visiting

if TYPE_CHECKING:
    from modgap.interventions.intervention import Intervention
    from modgap.interventions.prefill import Prefill

__all__ = ["editing"]


@contextmanager
def editing(prefill: Prefill, stack: Sequence[Intervention]) -> Iterator[None]:
    """While it is open, every whole pass over the speech prompt is edited.

    The slow way, for passes that are not this module's own (transformers' ``generate``, a capture).
    The hooks are removed whatever happens. Passes over single tokens (decoding) go unchanged.
    """
    edits = [e for e in prefill.plan(stack) if not e.idle]
    content, model = prefill.pair.speech.content, prefill.model

    def visit(level: int, hidden: Tensor) -> Tensor | None:
        mine = [e for e in edits if level in e.intervention.layers]
        if not mine or hidden.shape[1] < prefill.pair.speech.length:
            return None
        hidden = hidden.clone()
        for row in range(len(hidden)):
            for edit in mine:
                at = content.to(hidden.device)
                new = apply_edit(edit, level, hidden[row, at], prefill.text[level])
                hidden[row, at[torch.as_tensor(edit.rows, device=at.device)]] = new
        return hidden

    levels = sorted({level for e in edits for level in e.intervention.layers})
    with visiting(model, levels, visit, first=True):
        yield

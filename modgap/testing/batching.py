"""Prompts of unequal length side by side: left-padded, masked, each clip encoded by itself.

An encoder that takes several clips at once pads them to the longest, and not every family's encoder
hides the padding. So each clip goes through it alone, as it would by itself; the decoder, which is
where the time goes, takes all of them together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache

from modgap.core.errors import ModelError
from modgap.models.decoding import check_decoding, decode_rows
from modgap.models.hooks import visiting
from modgap.models.prompt import Generation, Prompt
from modgap.models.resume import run_layers

if TYPE_CHECKING:
    from modgap.models.base import Progress, SpeechLM

__all__ = ["generate_batch", "run_batch", "states_batch"]


class _Enough(Exception):
    """Ends a pass before its first layer."""


@torch.no_grad()
def entering_states(model: SpeechLM, prompt: Prompt) -> Tensor:
    """What enters the first layer, (S, d): level 0, by the encoder and the embeddings alone."""
    seen: list[Tensor] = []

    def stop(_: int, hidden: Tensor) -> None:
        seen.append(hidden[0])
        raise _Enough

    with visiting(model, (0,), stop), contextlib.suppress(_Enough):
        model.trunk(**prompt.inputs, use_cache=False)
    return seen[0]


@torch.no_grad()
def run_batch(
    model: SpeechLM,
    prompts: Sequence[Prompt],
    edit: Callable[[int, Tensor], Tensor | None] | None = None,
    **inputs: Any,
) -> tuple[Tensor, Tensor]:
    """One pass of the decoder over several prompts.

    Parameters
    ----------
    model : SpeechLM
    prompts : sequence of B Prompt
    edit : callable (level, Tensor (B, S, d)) -> Tensor or None, optional
        Called with every level, 0 too; what it returns replaces the states.
    inputs : dict
        For the decoder's forward, such as ``past_key_values``.

    Returns
    -------
    states : Tensor (B, S, d)
        Raw states of level L, each prompt at the right end.
    mask : LongTensor (B, S)
        1 where a prompt is, 0 on its padding.

    Raises
    ------
    ModelError
        The family cannot run from the first layer's input alone.
    """
    reason = model.support()["batch"]
    if reason is not None:
        raise ModelError(f"{model.name} takes one prompt at a time: {reason}")
    with model.lock:
        rows = [entering_states(model, prompt) for prompt in prompts]
        longest = max(len(row) for row in rows)
        hidden = rows[0].new_zeros(len(rows), longest, rows[0].shape[-1])
        mask = torch.zeros(len(rows), longest, dtype=torch.long, device=hidden.device)
        for n, row in enumerate(rows):
            hidden[n, longest - len(row) :] = row
            mask[n, longest - len(row) :] = 1
        new = edit(0, hidden) if edit is not None else None
        states = run_layers(
            model,
            hidden if new is None else new,
            0,
            edit,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
            **inputs,
        )
    return states, mask


def states_batch(
    model: SpeechLM, prompts: Sequence[Prompt], *, final_norm: bool = True
) -> list[Tensor]:
    """Hidden states of every level at the content positions, (L + 1, n, d) for each prompt.

    As `modgap.models.capture.capture_states` gives them one by one, up to rounding.
    """
    kept: list[list[Tensor]] = [[] for _ in prompts]
    longest = max(prompt.length for prompt in prompts)

    def see(level: int, hidden: Tensor) -> None:
        for row, prompt in enumerate(prompts):
            at = prompt.content.to(hidden.device) + longest - prompt.length
            picked = hidden[row, at]
            last = level == model.n_layers and final_norm
            kept[row].append((model.final_norm(picked) if last else picked).to(model.device))

    run_batch(model, prompts, see)
    return [torch.stack(states) for states in kept]


@torch.no_grad()
def generate_batch(
    model: SpeechLM,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Generation]:
    """Answer several prompts together; see `SpeechLM.generate` for the settings."""
    check_decoding(max_new_tokens, temperature)
    cache = DynamicCache()
    with model.lock:
        states, mask = run_batch(model, prompts, past_key_values=cache)
        scores = model.logits(model.final_norm(states[:, -1])).float()
        return decode_rows(
            model,
            cache,
            scores,
            [prompt.length for prompt in prompts],
            mask=mask,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            progress=progress,
        )

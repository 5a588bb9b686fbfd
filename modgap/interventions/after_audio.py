"""Patching behind the audio: the text run's states in the place of the speech run's, by token.

The tokens behind the content are the same in both prompts (the audio's end, the end of the turn,
the begin of the answer), so each has its counterpart. What they hold was gathered from the speech
by attention; from which layer on the text's states there give the text's answer tells where that
gathering ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from modgap.core.errors import SettingsError
from modgap.interventions.prefill import BATCH, Prefill
from modgap.models.decoding import pieces

if TYPE_CHECKING:
    from torch import Tensor

    from modgap.models.base import Progress

__all__ = ["pieces_after", "scores_after"]


def pieces_after(prefill: Prefill) -> tuple[str, ...]:
    """The tokens behind the content that both prompts share, special ones by their names.

    Raises
    ------
    SettingsError
        There are none.
    """
    count = prefill.after
    if not count:
        raise SettingsError("No token stands behind the audio that the text prompt has, too.")
    ids = prefill.pair.speech.inputs["input_ids"][0, -count:].tolist()
    tokenizer = prefill.model.tokenizer
    special = set(tokenizer.all_special_ids)
    return tuple(
        str(tokenizer.convert_ids_to_tokens(id)) if id in special else text
        for id, text in zip(ids, pieces(tokenizer, ids), strict=True)
    )


def scores_after(
    prefill: Prefill, cells: Sequence[tuple[int, int]], progress: Progress | None = None
) -> np.ndarray:
    """Log-probability of the continuation with one token's state replaced.

    Parameters
    ----------
    prefill : Prefill
    cells : sequence of V (level, k)
        The level, in 0..L-1, and which of the `Prefill.after` tokens, from 0.
    progress : callable (fraction, note), optional

    Returns
    -------
    ndarray float64, shape (V,)
        Nats.
    """
    speech, text = prefill.pair.speech, prefill.pair.text
    # Both counted from the first content position on; text_rest begins behind the last one.
    start = speech.length - int(speech.content[0]) - prefill.after
    counterpart = text.length - int(text.content[-1]) - 1 - prefill.after
    found = []
    for begin in range(0, len(cells), BATCH):
        batch = cells[begin : begin + BATCH]
        if progress is not None:
            progress(begin / len(cells), f"variant {begin + 1} of {len(cells)}")
        offset = start + min(k for _, k in batch)

        def change(
            level: int,
            hidden: Tensor,
            batch: Sequence[tuple[int, int]] = batch,
            offset: int = offset,
        ) -> Tensor:
            for row, (at, k) in enumerate(batch):
                if at == level:
                    hidden[row, start + k - offset] = prefill.text_rest[level][counterpart + k]
            return hidden

        logits, _ = prefill.resumed(min(level for level, _ in batch), offset, len(batch), change)
        found.append(prefill.log_probability(logits))
    return np.concatenate(found) if found else np.zeros(0)

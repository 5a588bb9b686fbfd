"""What reading a prompt leaves: its layers' measures, and what its answer goes on from.

Prompts wait for their answers, which they get together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from modgap.models.decoding import decode_rows
from modgap.models.lora import adapter_acting
from modgap.models.resume import KeysValues, keys_values

if TYPE_CHECKING:
    from modgap.interventions.prefill import Prefill
    from modgap.models.base import Generation, SpeechLM
    from modgap.models.prompt import Prompt
    from modgap.models.sampling import Sampling
    from modgap.scoring.question import Question

__all__ = ["Waiting", "answer_batch", "layer_rows", "read_prompt"]


@dataclass(eq=False)
class Waiting:
    """A prompt that was read and is to be answered.

    Attributes
    ----------
    question : Question
    given : str
        The input.
    kept : L of (keys, values), each Tensor (1, H, length, D)
    logits : Tensor (vocabulary,)
        float32, of the first token.
    ids : LongTensor (length,)
        The prompt.
    seconds : float
        What reading it took.
    budget : int
        New tokens.
    seed : int
        Of sampled answers.
    adapter : bool
        Whether the checkpoint's own adapter acted when it was read, and acts when it is answered.
    options : tuple of float
        Log-probabilities of the choices.
    values : dict
        Further columns of its row.
    """

    question: Question
    given: str
    kept: tuple[KeysValues, ...]
    logits: Tensor
    ids: Tensor
    seconds: float
    budget: int
    seed: int = 0
    adapter: bool = True
    options: tuple[float, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Positions of the prompt."""
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Memory of the keys and values."""
        return sum(t.numel() * t.element_size() for pair in self.kept for t in pair)


@torch.no_grad()
def read_prompt(model: SpeechLM, prompt: Prompt) -> tuple[tuple[KeysValues, ...], Tensor]:
    """Keys and values of a prompt, and the logits (vocabulary,) of the first token."""
    with model.lock:
        out = model.trunk(**prompt.inputs, use_cache=True, past_key_values=DynamicCache())
        logits = model.logits(out.last_hidden_state[0, -1:]).float()[0]
    return keys_values(out.past_key_values), logits


def answer_batch(
    model: SpeechLM, batch: Sequence[Waiting], sampling: Sampling | None = None
) -> list[Generation]:
    """Answers to prompts together, greedy or by `sampling`; the shorter are padded on the left.

    Positions count from each prompt's own first token, as they did when it was read, so a prompt's
    answer is the one it would get alone, up to rounding.
    """
    lengths = [w.length for w in batch]
    longest = max(lengths)
    cache = DynamicCache()
    for layer in range(len(batch[0].kept)):
        both = [
            torch.cat([pad(w.kept[layer][part], (0, 0, longest - w.length, 0)) for w in batch])
            for part in (0, 1)
        ]
        cache.update(both[0], both[1], layer)
    mask = None
    if min(lengths) < longest:
        mask = torch.ones(len(batch), longest, dtype=torch.long, device=model.device)
        for row, length in enumerate(lengths):
            mask[row, : longest - length] = 0
    logits = torch.stack([w.logits for w in batch])
    with adapter_acting(model, batch[0].adapter):
        return decode_rows(
            model, cache, logits, lengths, mask=mask, max_new_tokens=batch[0].budget,
            seed=[w.seed for w in batch], sampling=sampling, prompts=[w.ids for w in batch],
        )  # fmt: skip


def layer_rows(prefill: Prefill) -> list[dict[str, Any]]:
    """Similarity and alignment of each level, as `modgap.analyze` has them; None: undefined."""
    coarse, paths = prefill.measured()
    columns = {
        "cosine": coarse.cosine,
        "euclidean": coarse.euclidean,
        "aps_cos": paths.aps_cos,
        "aps_euc": paths.aps_euc,
        "monotonicity": paths.monotonicity_cos,
    }
    return [
        {"layer": level} | {name: _number(values[level]) for name, values in columns.items()}
        for level in range(prefill.model.n_layers + 1)
    ]


def _number(value: Any) -> float | None:
    number = float(value)
    return None if math.isnan(number) else number

"""Answers that are expected: tried in one pass, and kept as far as the model says the same.

An intervention often leaves an answer, or its beginning, as it was. Speculative decoding
(Leviathan et al. 2023) with that answer as the draft gives exactly the greedy answer, in as many
passes as it leaves a draft, instead of one a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM

__all__ = ["Ahead"]


class Ahead:
    """Scores behind an answer, from passes over drafts.

    Parameters
    ----------
    model : SpeechLM
    cache : transformers cache
        Of one row, of the prompt alone. It grows by what is tried and shrinks again.
    length : int
        Positions of the prompt.
    drafts : sequence of sequences of int
        Token ids of answers that may be given, the likeliest first.
    limit : int
        Tokens of the answer, at most.
    """

    def __init__(
        self, model: SpeechLM, cache: Any, length: int, drafts: Sequence[Sequence[int]], limit: int
    ) -> None:
        self.model, self.cache, self.length = model, cache, length
        self.drafts = [list(d[:limit]) for d in drafts] if _can_shrink(cache) else []
        self._tried: list[int] = []  # ids that the cache holds behind the prompt
        self._scores: list[torch.Tensor] = []  # behind each of them, (vocabulary,)

    def after(self, ids: Sequence[int]) -> torch.Tensor | None:
        """Scores (1, vocabulary) behind the answer `ids`; None where no draft goes on as it does.

        The cache then holds all of `ids` but the last one.
        """
        n = len(ids)
        if n <= len(self._tried):
            if self._tried[:n] == list(ids):
                return self._scores[n - 1][None]
            self._shrink(n - 1)
        for draft in self.drafts:
            # With one token left of a draft, trying it saves nothing.
            if draft[:n] == list(ids) and len(draft) > n + 1:
                return self._try(draft[:-1], n)[None]
        self._tried, self._scores = list(ids), [*self._scores, torch.empty(0)]
        return None

    def _try(self, tokens: list[int], n: int) -> torch.Tensor:
        new, device = tokens[n - 1 :], self.model.device
        start = self.length + n - 1
        out = self.model.trunk(
            input_ids=torch.tensor([new], device=device),
            position_ids=torch.arange(start, start + len(new), device=device)[None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self._tried = list(tokens)
        self._scores[n - 1 :] = list(self.model.logits(out.last_hidden_state[0]).float())
        return self._scores[n - 1]

    def _shrink(self, n: int) -> None:
        self.cache.crop(n - len(self._tried))  # a negative number: so many go
        self._tried, self._scores = self._tried[:n], self._scores[:n]


def _can_shrink(cache: Any) -> bool:
    """Whether all of the cache's layers keep every position, so that the last ones can go."""
    from transformers.cache_utils import DynamicLayer

    layers: list[Any] = getattr(cache, "layers", None) or []
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)

"""How the next token is chosen: greedily, or as a checkpoint's ``generation_config`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Sampling"]

#: What transformers' ``generate`` takes where a generation_config says nothing.
_DEFAULTS: dict[str, Any] = {
    "do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 1.0, "repetition_penalty": 1.0,
}  # fmt: skip
#: What it may say besides, with the value that changes nothing: not followed here, and recorded.
_OTHERS: dict[str, Any] = {
    "num_beams": 1, "min_p": None, "typical_p": 1.0, "no_repeat_ngram_size": 0,
    "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "suppress_tokens": None, "bad_words_ids": None,
    "begin_suppress_tokens": None, "exponential_decay_length_penalty": None,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What is done to the logits before a token is chosen, in transformers' order.

    Attributes
    ----------
    temperature : float
        0 takes the likeliest token.
    top_k : int
        So many of the likeliest tokens are kept; 0 is all.
    top_p : float
        The likeliest tokens are kept that have so much of the probability together.
    repetition_penalty : float
        Of the tokens of the prompt and of the answer so far (arXiv 1909.05858); 1 is none.
    ignored : tuple of str
        What a generation_config asks for besides, which is not done.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    ignored: tuple[str, ...] = ()

    @classmethod
    def of_config(cls, config: Any, told: Mapping[str, Any] | None = None) -> Sampling:
        """What ``generate`` does with a generation_config, and with what it is told over it.

        Parameters
        ----------
        config : transformers.GenerationConfig
        told : mapping, optional
            Of the same names.
        """

        def said(name: str, default: Any) -> Any:
            value = (told or {}).get(name, getattr(config, name, None))
            return default if value is None else value

        found = {name: said(name, value) for name, value in _DEFAULTS.items()}
        ignored = tuple(n for n, v in _OTHERS.items() if said(n, v) not in (v, None))
        penalty = float(found["repetition_penalty"])
        if not found["do_sample"]:  # transformers warps nothing then, but penalises
            return cls(repetition_penalty=penalty, ignored=ignored)
        return cls(
            temperature=float(found["temperature"]), top_k=int(found["top_k"]),
            top_p=float(found["top_p"]), repetition_penalty=penalty, ignored=ignored,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """In JSON's terms."""
        return {**asdict(self), "ignored": list(self.ignored)}

    def choose(self, scores: Tensor, ids: Tensor, random: torch.Generator) -> int:
        """Choose the next token.

        Parameters
        ----------
        scores : Tensor (vocabulary,)
            float32 logits.
        ids : LongTensor (n,)
            Tokens of the prompt and of the answer so far, on the device of `scores`.
        random : torch.Generator
            On the CPU, so that a seed means the same on every device.
        """
        from transformers import (
            RepetitionPenaltyLogitsProcessor,
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        left: Any = scores[None]
        before: Any = ids[None]
        if self.repetition_penalty != 1:
            left = RepetitionPenaltyLogitsProcessor(self.repetition_penalty)(before, left)
        if not self.temperature:
            return int(left[0].argmax())
        if self.temperature != 1:
            left = TemperatureLogitsWarper(self.temperature)(before, left)
        if self.top_k:
            left = TopKLogitsWarper(self.top_k)(before, left)
        if self.top_p < 1:
            left = TopPLogitsWarper(self.top_p)(before, left)
        shares = torch.softmax(left[0].cpu().double(), dim=-1)
        return int(torch.multinomial(shares, 1, generator=random))

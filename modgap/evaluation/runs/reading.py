"""The prompts of a question read: what waits then for its answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from modgap.evaluation.runs.answering import Waiting, read_prompt
from modgap.models.lora import adapter_acting
from modgap.models.resume import KeysValues
from modgap.scoring.likeliest_option import answer_options
from modgap.scoring.option_likelihoods import option_logprobs

if TYPE_CHECKING:
    from modgap.evaluation.runs.asking import Asking
    from modgap.interventions.prefill import Prefill
    from modgap.models.prompt import Prompt
    from modgap.scoring.question import Question

__all__ = ["Reader"]


class Reader:
    """Reads prompts for a run's answers.

    Parameters
    ----------
    asking : Asking
        How the model is asked.
    """

    def __init__(self, asking: Asking) -> None:
        self.asking, self.model = asking, asking.model

    def typed(self, question: Question, prefill: Prefill, took: float) -> Waiting:
        """The typed question beside its speech: the pair's text where that has the same tokens."""
        prompt = self.asking.typed(question)
        same = torch.equal(prompt.inputs["input_ids"], prefill.pair.text.inputs["input_ids"])
        if not (same and self.asking.text_adapter):
            return self.read(question, "text", prompt)
        return self.waiting(
            question, "text", prompt, prefill.text_kept, prefill.text_logits[0], took,
            markers=self.asking.text_markers,
        )  # fmt: skip

    def read(self, question: Question, given: str, prompt: Prompt, **values: Any) -> Waiting:
        """Read a typed prompt, by itself; `values` are further columns of its row."""
        began = time.perf_counter()
        acts = self.asking.text_adapter
        with adapter_acting(self.model, acts):
            kept, logits = read_prompt(self.model, prompt)
            took = time.perf_counter() - began
            values = {**values, "markers": self.asking.text_markers}
            found = self.waiting(question, given, prompt, kept, logits, took, **values)
        return replace(found, adapter=acts)

    def waiting(
        self,
        question: Question,
        given: str,
        prompt: Prompt,
        kept: tuple[KeysValues, ...],
        logits: Tensor,
        seconds: float,
        **values: Any,
    ) -> Waiting:
        """What was read of a prompt in so many `seconds`, with the probabilities of its options."""
        began = time.perf_counter()
        options: Sequence[float] = ()
        if words := answer_options(question):
            options = option_logprobs(self.model, kept, logits, prompt.length, words)
        return Waiting(
            question,
            given,
            kept,
            logits,
            prompt.inputs["input_ids"][0],
            seconds + time.perf_counter() - began,
            self.asking.settings.budget,
            seed=self.asking.seed(question),
            options=tuple(options),
            values=values,
        )

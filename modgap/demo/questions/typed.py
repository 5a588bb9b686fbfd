"""What a text model answers to typed questions: greedy, under its chat template, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

__all__ = ["Typed"]

#: Half of the evaluation's: a short answer that has not come by then is no short answer.
NEW_TOKENS = 24
_BATCH = 64


class Typed:
    """A text model that answers.

    Parameters
    ----------
    folder : Path
        Its checkpoint, read in bfloat16.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        self._model.eval()
        mark = "<|here|>"
        prompt = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": mark}], add_generation_prompt=True, tokenize=False
        )
        self._before, self._after = str(prompt).split(mark)
        ends = self._model.generation_config.eos_token_id
        self._ends = torch.tensor(ends if isinstance(ends, list) else [ends])

    def __call__(self, texts: Sequence[str]) -> list[str]:
        """Answers to texts, in their order."""
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        answers = [""] * len(texts)
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            for n, said in zip(part, self._batch([texts[n] for n in part]), strict=True):
                answers[n] = said
            print(f"{start + len(part)} of {len(order)} answered", flush=True)
        return answers

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    @torch.inference_mode()
    def _batch(self, texts: Sequence[str]) -> list[str]:
        """What comes before the question is the same for all, and read once."""
        first = torch.tensor([self._ids(self._before)])
        cache = self._model(first, use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(len(texts))
        rows = [self._ids(text + self._after) for text in texts]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), int(self._ends[0]))
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for n, row in enumerate(rows):
            ids[n, width - len(row) :] = torch.tensor(row)
            mask[n, width - len(row) :] = 1
        mask = torch.cat([mask.new_ones(len(rows), first.shape[1]), mask], 1)
        places = (mask.cumsum(1) - 1)[:, first.shape[1] :]
        made: list[torch.Tensor] = []
        ended = torch.zeros(len(rows), dtype=torch.bool)
        while True:
            out = self._model(ids, attention_mask=mask, position_ids=places, logits_to_keep=1,
                              past_key_values=cache)  # fmt: skip
            token = out.logits[:, -1].argmax(-1)
            made.append(token)
            ended |= torch.isin(token, self._ends)
            if len(made) == NEW_TOKENS or bool(ended.all()):
                break
            ids, mask = token[:, None], torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
            places = mask.sum(1, keepdim=True) - 1
        return [self._text(row) for row in torch.stack(made, 1).tolist()]

    def _text(self, row: list[int]) -> str:
        stop = next((n for n, token in enumerate(row) if token in self._ends.tolist()), len(row))
        return str(self._tokenizer.decode(row[:stop], skip_special_tokens=True)).strip()

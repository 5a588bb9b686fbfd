"""What SmolLM2 writes: the turns of users, sentences around a word, and its answers.

An instruction-tuned model that is given nothing but the beginning of a user's turn goes on with
what it was tuned on. So the family's training texts are of the kind that its LLM expects, and
its targets are that LLM's own answers: nothing is taught but hearing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = ["Writer"]


class Writer:
    """SmolLM2, in batches.

    Parameters
    ----------
    folder : Path
        Its checkpoint folder.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
        self.end: int = self.tokenizer.convert_tokens_to_ids("<|im_end|>")

    def prompt(self, text: str) -> str:
        """The chat prompt of a user's turn, up to where the answer begins."""
        said = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
        )
        return str(said)

    def opening(self, beginning: str = "") -> str:
        """The chat prompt up to the beginning of the user's turn."""
        mark = "<|user|>"
        return self.prompt(mark).split(mark)[0] + beginning

    @torch.inference_mode()
    def go_on(
        self,
        prompts: Sequence[str],
        tokens: int,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> list[list[int]]:
        """Continue prompts.

        Parameters
        ----------
        prompts : sequence of str
        tokens : int
            How many tokens at most.
        temperature : float
            0 takes the likeliest token; above, one is drawn among the 100 likeliest.
        generator : torch.Generator, optional
            Draws.

        Returns
        -------
        list of list of int
            New tokens of each prompt, with the end mark where it came.
        """
        rows = [self.tokenizer(p, add_special_tokens=False)["input_ids"] for p in prompts]
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), self.end)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for k, row in enumerate(rows):
            ids[k, width - len(row) :] = torch.tensor(row)
            mask[k, width - len(row) :] = 1
        places = (mask.cumsum(1) - 1).clamp_min(0)
        out = self.model(ids, attention_mask=mask, position_ids=places, logits_to_keep=1)
        made: list[Tensor] = []
        ended = torch.zeros(len(rows), dtype=torch.bool)
        for _ in range(tokens):
            token = _draw(out.logits[:, -1], temperature, generator)
            made.append(token)
            ended |= token == self.end
            if bool(ended.all()):
                break
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], 1)
            places = mask.sum(1, keepdim=True) - 1
            out = self.model(
                token[:, None], attention_mask=mask, position_ids=places,
                past_key_values=out.past_key_values,
            )  # fmt: skip
        return [self._until_end(row) for row in torch.stack(made, 1).tolist()]

    def _until_end(self, row: list[int]) -> list[int]:
        return row[: row.index(self.end) + 1] if self.end in row else row

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as text, without marks."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))


def _draw(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """Tokens (B,) of logits (B, V)."""
    if not temperature:
        return logits.argmax(-1)
    top, ids = logits.float().topk(100)
    chosen = torch.multinomial((top / temperature).softmax(-1), 1, generator=generator)
    return ids.gather(1, chosen)[:, 0]

"""What SmolLM2 writes: the turns of users, sentences around a word, and its answers.

An instruction-tuned model that is given nothing but the beginning of a user's turn goes on with
what it was tuned on. So the family's training texts are of the kind that its LLM expects, and
its targets are that LLM's own answers: nothing is taught but hearing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["KEPT", "Writer", "Written"]

#: How many of the likeliest tokens are kept at each place, for those who learn from them.
KEPT = 8


@dataclass(frozen=True)
class Written:
    """A continuation.

    Attributes
    ----------
    tokens : list of int
        With the end mark where it came.
    likely : ndarray of int64, shape (n, KEPT)
        At each place the likeliest tokens.
    shares : ndarray of float32, shape (n, KEPT)
        Their probabilities among themselves.
    """

    tokens: list[int]
    likely: np.ndarray
    shares: np.ndarray


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
        self.end: Any = self.tokenizer.convert_tokens_to_ids("<|im_end|>")

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

    def answers(self, texts: Sequence[str], tokens: int, batch: int = 128) -> list[Written]:
        """Greedy answers to users' turns, in their order; similar lengths go together.

        Parameters
        ----------
        texts : sequence of str
        tokens : int
            How many tokens at most.
        batch : int
        """
        # The shorter ones of a batch are padded.
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        found: dict[int, Written] = {}
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            prompts = [self.prompt(texts[n]) for n in part]
            found |= dict(zip(part, self.go_on(prompts, tokens), strict=True))
        return [found[n] for n in range(len(texts))]

    @torch.inference_mode()
    def go_on(
        self,
        prompts: Sequence[str],
        tokens: int,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> list[Written]:
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
        likely: list[Tensor] = []
        shares: list[Tensor] = []
        ended = torch.zeros(len(rows), dtype=torch.bool)
        for _ in range(tokens):
            top, candidates = out.logits[:, -1].float().topk(100)
            likely.append(candidates[:, :KEPT])
            shares.append(top[:, :KEPT].softmax(-1))
            chosen = torch.zeros(len(rows), 1, dtype=torch.long)
            if temperature:
                odds = (top / temperature).softmax(-1)
                chosen = torch.multinomial(odds, 1, generator=generator)
            token = candidates.gather(1, chosen)[:, 0]
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
        chosen_all = torch.stack(made, 1).tolist()
        likely_all = torch.stack(likely, 1).numpy()
        shares_all = torch.stack(shares, 1).numpy()
        done = []
        for row, ids_, odds_ in zip(chosen_all, likely_all, shares_all, strict=True):
            count = row.index(self.end) + 1 if self.end in row else len(row)
            done.append(Written(row[:count], ids_[:count], odds_[:count]))
        return done

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as text, without marks."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

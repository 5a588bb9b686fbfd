"""Sequences of the alignment: a prompt with speech or a typed text in it, and what is to follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modgap.demo.training.answers import Answer
from modgap.models.prompt import TRANSCRIBE

__all__ = ["Packed", "Prompts", "Task", "pack", "target_loss"]


@dataclass
class Task:
    """Embeddings of a prompt, and the target.

    Attributes
    ----------
    prompt : Tensor, shape (p, d)
    tokens : ndarray of int64, shape (n,)
        What is to follow.
    likely, shares : ndarray, shape (n, k), or None
        The distribution to learn at each place; None: the tokens alone.
    """

    prompt: Tensor
    tokens: np.ndarray
    likely: np.ndarray | None = None
    shares: np.ndarray | None = None


@dataclass
class Packed:
    """Right-padded rows ready for the text model.

    Attributes
    ----------
    embeds : Tensor, shape (B, S, d)
    mask : Tensor of int64, shape (B, S)
    rows, columns : Tensor of int64, shape (N,)
        Where the states lie that predict the targets.
    """

    embeds: Tensor
    mask: Tensor
    rows: Tensor
    columns: Tensor


class Prompts:
    """SmolLM2's chat prompt around a clip, as `modgap_composite` makes it.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizer
    embedding : torch.nn.Embedding
        The text model's.
    """

    def __init__(self, tokenizer: Any, embedding: Any) -> None:
        mark = "<|here|>"
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": mark}], add_generation_prompt=True, tokenize=False
        )
        before, after = str(text).split(mark)
        self.tokenizer, self.embedding = tokenizer, embedding
        self.end = int(tokenizer.convert_tokens_to_ids("<|im_end|>"))
        self._before = self.ids(before)
        self._after = self.ids(after)
        self._asked = self.ids(f"\n{TRANSCRIBE}{after}")

    def ids(self, text: str) -> list[int]:
        """Tokens of a text."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def embed(self, ids: Sequence[int]) -> Tensor:
        """Embeddings (n, d) of tokens."""
        return self.embedding(torch.tensor(ids, dtype=torch.long))

    def around(self, content: Tensor, *, transcribe: bool = False) -> Tensor:
        """The whole prompt (p, d) with embeddings (n, d) in the user's turn."""
        before = self.embed(self._before).to(content.dtype)
        after = self.embed(self._asked if transcribe else self._after).to(content.dtype)
        return torch.cat([before, content, after])

    def transcript(self, content: Tensor, tokens: Sequence[int]) -> Task:
        """Speech (n, d) that is to be written down."""
        target = np.array([*tokens, self.end], dtype=np.int64)
        return Task(self.around(content, transcribe=True), target)

    def answer(self, content: Tensor, answer: Answer) -> Task:
        """Speech or a typed text (n, d) that is to be answered."""
        return Task(self.around(content), answer.tokens, answer.likely, answer.shares)


def pack(sequences: Sequence[Task], prompts: Prompts) -> Packed:
    """Pad sequences on the right and note where each target token is predicted."""
    full = [
        torch.cat([q.prompt, prompts.embed(list(q.tokens[:-1])).to(q.prompt.dtype)])
        for q in sequences
    ]
    width = max(len(f) for f in full)
    embeds = torch.stack([functional.pad(f, (0, 0, 0, width - len(f))) for f in full])
    mask = torch.zeros(len(full), width, dtype=torch.long)
    rows: list[int] = []
    columns: list[int] = []
    for b, (q, f) in enumerate(zip(sequences, full, strict=True)):
        mask[b, : len(f)] = 1
        rows += [b] * len(q.tokens)
        columns += range(len(q.prompt) - 1, len(f))
    return Packed(embeds, mask, torch.tensor(rows), torch.tensor(columns))


def target_loss(logits: Tensor, sequences: Sequence[Task]) -> list[Tensor]:
    """The mean loss per token of each sequence.

    Parameters
    ----------
    logits : Tensor, shape (N, V)
        Of all sequences' targets, one below the other.
    sequences : sequence of Task

    Returns
    -------
    list of Tensor
        Cross-entropy with the tokens, or where a sequence has a distribution, with that.
    """
    logp = logits.float().log_softmax(-1)
    losses, start = [], 0
    for q in sequences:
        own = logp[start : start + len(q.tokens)]
        start += len(q.tokens)
        if q.likely is None or q.shares is None:
            losses.append(-own.gather(1, torch.tensor(q.tokens)[:, None]).mean())
        else:
            near = own.gather(1, torch.tensor(q.likely))
            losses.append(-(near * torch.tensor(q.shares)).sum(1).mean())
    return losses

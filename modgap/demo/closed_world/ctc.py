"""The auxiliary heads of the encoder's training; none of them is shipped.

CTC (Graves et al. 2006) needs no word boundaries. Characters come first: a small encoder learns
them from nothing. Then the projector learns to put, where a token is said, what the text LLM's own
embedding of that token is, so that stage C begins with speech that the LLM can nearly read.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from modgap.demo.closed_world.model import speech_positions

ALPHABET = " abcdefghijklmnopqrstuvwxyz'"


def characters(text: str) -> list[int]:
    """CTC targets: letters, spaces and apostrophes from 1; 0 is the blank."""
    return [ALPHABET.index(c) + 1 for c in text.lower() if c in ALPHABET]


def ctc_loss(logits: Tensor, frames: Tensor, targets: list[list[int]]) -> Tensor:
    """Sum over the clips of the CTC loss per target.

    Parameters
    ----------
    logits : Tensor, shape (B, P, units + 1)
    frames : Tensor of int64, shape (B,)
        Mel frames of each clip.
    targets : list of list of int
        Units from 1.
    """
    logp = logits.float().log_softmax(-1).transpose(0, 1)
    lengths = torch.tensor([len(t) for t in targets], device=logits.device)
    flat = torch.tensor([c for t in targets for c in t], device=logits.device)
    loss = fn.ctc_loss(logp, flat, speech_positions(frames), lengths, reduction="none",
                       zero_infinity=True)  # fmt: skip
    return (loss / lengths.clamp_min(1)).sum()


class Encoder(nn.Module):
    """Audio tower with a character head."""

    def __init__(self, tower: nn.Module, width: int) -> None:
        super().__init__()
        self.tower = tower
        self.head = nn.Linear(width, len(ALPHABET) + 1)

    def ctc(self, states: Tensor, frames: Tensor, texts: list[str]) -> Tensor:
        """Sum over the clips of the loss per character."""
        return ctc_loss(self.head(states), frames, [characters(t) for t in texts])


class TokenHead(nn.Module):
    """Reads tokens off projected speech by the LLM's own embeddings.

    Parameters
    ----------
    table : Tensor, shape (V, d)
        The embeddings: an exact hit starts with a logit of 5.
    blank : int
        The token that means "nothing new": the placeholder of the clip.
    """

    def __init__(self, table: Tensor, blank: int) -> None:
        super().__init__()
        self.blank = blank
        rms = float(table.detach().pow(2).mean().sqrt())
        self.scale = nn.Parameter(torch.tensor(math.log(5.0 / (table.shape[1] * rms**2))))
        self.bias = nn.Parameter(torch.zeros(1))

    def ctc(self, projected: Tensor, table: Tensor, frames: Tensor,
            targets: list[list[int]]) -> Tensor:  # fmt: skip
        """Sum over the clips of the loss per token; ``table`` (V, d) gets no gradient."""
        logits = self.scale.exp() * (projected @ table.detach().T)
        blank = logits[..., self.blank : self.blank + 1] + self.bias
        shifted = [[token + 1 for token in tokens] for tokens in targets]
        return ctc_loss(torch.cat([blank, logits], -1), frames, shifted)

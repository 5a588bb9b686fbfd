"""Reading tokens, letters and sounds off the adapter: heads of the training, not shipped.

CTC (Graves et al. 2006) needs no word boundaries. A position reads as the token whose embedding in
the text LLM it points to, so the adapter learns to put, where a token is said, what the LLM knows
it by; and where nothing new is said, a lone space, over which an LLM reads without being taught.
Half-way through the adapter its states are also read as sounds, and a layer on as letters, of which
every utterance teaches all (intermediate CTC, Lee & Watanabe 2021, with smaller alphabets below as
in Sanabria & Metze 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LETTERS", "Speller", "TokenReader", "letters"]

LETTERS = " abcdefghijklmnopqrstuvwxyz0123456789'"


def letters(text: str) -> str:
    """A text's letters, digits and spaces; the rest is not heard."""
    kept = "".join(c if c in LETTERS else " " for c in text.lower())
    return " ".join(kept.split())


class TokenReader(nn.Module):
    """Tokens by cosine with their embeddings.

    Parameters
    ----------
    table : Tensor, shape (V, d)
        The text LLM's embeddings; they get no gradient.
    blank : int
        The token that stands for "nothing new".
    """

    table: Tensor

    def __init__(self, table: Tensor, blank: int) -> None:
        super().__init__()
        self.register_buffer("table", functional.normalize(table.float(), dim=-1), persistent=False)
        self.blank = blank
        self.sharpness = nn.Parameter(torch.tensor(3.5))
        self.often = nn.Parameter(torch.tensor(0.0))

    def log_probabilities(self, positions: Tensor, tokens: Tensor) -> Tensor:
        """Of the blank and of each of `tokens`.

        Parameters
        ----------
        positions : Tensor, shape (B, n, d)
        tokens : Tensor of int64, shape (K,)

        Returns
        -------
        Tensor, shape (B, n, 1 + K)
        """
        positions = positions.float()
        with torch.autocast("cpu", torch.bfloat16):
            ids = functional.pad(tokens, (1, 0), value=self.blank)
            near = functional.normalize(positions, dim=-1) @ self.table[ids].T
        scores = near.float() * self.sharpness.exp()
        return (scores + functional.pad(self.often[None], (0, len(tokens)))).log_softmax(-1)

    def loss(
        self, positions: Tensor, mask: Tensor, targets: list[list[int]], others: Tensor
    ) -> Tensor:
        """The CTC loss per token, mean over the batch.

        Among 49,152 tokens nearly all of the work would be on those that nobody says: a position
        chooses among the batch's own and some others.

        Parameters
        ----------
        positions : Tensor, shape (B, n, d)
        mask : Tensor of bool, shape (B, n)
        targets : list of list of int
        others : Tensor of int64, shape (K,)
            Tokens that are wrong nearly everywhere.
        """
        said = torch.tensor([t for row in targets for t in row])
        tokens, index = torch.unique(torch.cat([said, others]), return_inverse=True)
        logp = self.log_probabilities(positions, tokens).transpose(0, 1)
        lengths = torch.tensor([len(row) for row in targets])
        return functional.ctc_loss(
            logp, index[: len(said)] + 1, mask.sum(1), lengths, zero_infinity=True
        )

    @torch.no_grad()
    def read(self, positions: Tensor, mask: Tensor, tokens: Tensor) -> list[list[int]]:
        """The tokens that each row says, by the likeliest of `tokens` at each position."""
        best = self.log_probabilities(positions, tokens).argmax(-1)
        out = []
        for row, there in zip(best, mask, strict=True):
            ids = torch.unique_consecutive(row[there])
            out.append(tokens[ids[ids > 0] - 1].tolist())
        return out


class Speller(nn.Module):
    """Letters or sounds that the frames of a position say, several after one another.

    Parameters
    ----------
    width : int
        Of the adapter's layers.
    frames : int
        Places in a position; at 12.5 positions a second one letter each would be too few.
    alphabet : str
    """

    def __init__(self, width: int, frames: int, alphabet: str = LETTERS) -> None:
        super().__init__()
        self.frames, self.alphabet = frames, alphabet
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, frames * (1 + len(alphabet)))

    def numbers(self, written: str) -> list[int]:
        """The number of each sign, all of which are in the alphabet."""
        return [self.alphabet.index(c) + 1 for c in written]

    def log_probabilities(self, states: Tensor) -> Tensor:
        """Of "nothing new" and of each sign (B, n * frames, 1 + signs), of (B, n, width)."""
        size, n, _ = states.shape
        with torch.autocast("cpu", enabled=False):
            made = self.linear(self.norm(states.float()))
        return made.view(size, n * self.frames, -1).log_softmax(-1)

    def loss(self, states: Tensor, mask: Tensor, targets: list[list[int]]) -> Tensor:
        """The CTC loss per sign, mean over the batch.

        Parameters
        ----------
        states : Tensor, shape (B, n, width)
        mask : Tensor of bool, shape (B, n)
        targets : list of list of int
            As `numbers` makes them.
        """
        logp = self.log_probabilities(states).transpose(0, 1)
        said = torch.tensor([t for row in targets for t in row])
        lengths = torch.tensor([len(row) for row in targets])
        return functional.ctc_loss(
            logp, said, mask.sum(1) * self.frames, lengths, zero_infinity=True
        )

    @torch.no_grad()
    def read(self, states: Tensor, mask: Tensor) -> list[str]:
        """What each row says, by the likeliest sign at each place."""
        best = self.log_probabilities(states).argmax(-1).view(*mask.shape, self.frames)
        rows = [torch.unique_consecutive(b[m].flatten()) for b, m in zip(best, mask, strict=True)]
        return ["".join(self.alphabet[int(i) - 1] for i in row if i) for row in rows]

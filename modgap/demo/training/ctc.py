"""Reading tokens off the adapter's positions: the head of the first stage, which is not shipped.

CTC (Graves et al. 2006) needs no word boundaries. A position reads as the token whose embedding in
the text LLM it points to, so the adapter learns to put, where a token is said, what the LLM knows
it by.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["TokenReader"]


class TokenReader(nn.Module):
    """Tokens by cosine with their embeddings, and one learnt direction for "nothing new".

    Parameters
    ----------
    table : Tensor, shape (V, d)
        The text LLM's embeddings; they get no gradient.
    """

    table: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.register_buffer("table", functional.normalize(table.float(), dim=-1), persistent=False)
        self.blank = nn.Parameter(torch.zeros(table.shape[1]))
        self.sharpness = nn.Parameter(torch.tensor(3.5))

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
            near = functional.normalize(positions, dim=-1) @ self.table[tokens].T
        blank = (positions @ self.blank)[..., None]
        return torch.cat([blank, near.float() * self.sharpness.exp()], -1).log_softmax(-1)

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

"""The logit lens where the answer is said: how likely each layer makes it, speech against text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from modgap.analysis.sweeps import needs_target
from modgap.core.views import Viewed
from modgap.interventions.prefill import Prefill
from modgap.models.decoding import pieces

if TYPE_CHECKING:
    from modgap.models.base import Progress

__all__ = ["AnswerLens", "answer_lens"]

RUNS = ("speech", "text")


@dataclass(frozen=True, eq=False, repr=False)
class AnswerLens(Viewed):
    """The answer in every level's state at the last token of the prompt.

    Raw states through the final norm and the head, as in `logit_lens`; level L is what the model
    says. The arrays have a row for the speech run and one for the text run.

    Attributes
    ----------
    target : str
        The answer.
    token : str
        Its first token.
    probability : float64 ndarray (2, L + 1)
        Of `token`.
    rank : int64 ndarray (2, L + 1)
        How many tokens are likelier than `token`; 0: it is on top.
    logprob : float64 ndarray (2, L + 1)
        Of the whole answer, each token read where it is said (nats).
    """

    target: str
    token: str
    probability: np.ndarray
    rank: np.ndarray
    logprob: np.ndarray

    def table(self) -> pd.DataFrame:
        """One row a run and layer: ``run``, ``layer``, ``probability``, ``rank``, ``logprob``."""
        count = self.probability.shape[1]
        return pd.DataFrame(
            {
                "run": np.repeat(RUNS, count),
                "layer": np.tile(np.arange(count), len(RUNS)),
                "probability": self.probability.ravel(),
                "rank": self.rank.ravel(),
                "logprob": self.logprob.ravel(),
            }
        )


@torch.no_grad()
def answer_lens(
    prefill: Prefill, target: str = "", *, progress: Progress | None = None
) -> AnswerLens:
    """Read an answer out of every level where it is said.

    Parameters
    ----------
    prefill : Prefill
        From `with_target`.
    target : str
        Its name, for the record.
    progress : callable (fraction, note), optional

    Raises
    ------
    SettingsError
        The runs have no answer behind the prompt.
    """
    needs_target(prefill)
    model, first = prefill.model, prefill.continuation[0]
    report = progress or (lambda *_: None)
    probability, rank, logprob = [], [], []
    for number, states in enumerate(prefill.answer_states):
        for level, h in enumerate(states):
            report((number + level / len(states)) / len(RUNS), f"layer {level}")
            with model.lock:
                logits = model.logits(model.final_norm(h)).float()
            known = logits[0].double().log_softmax(-1)
            probability.append(float(known[first].exp()))
            rank.append(int((known > known[first]).sum()))
            logprob.append(float(prefill.log_probability(logits[None])[0]))
    shape = (len(RUNS), model.n_layers + 1)
    (token,) = pieces(model.tokenizer, [first])
    return AnswerLens(
        target,
        token,
        np.array(probability).reshape(shape),
        np.array(rank, np.int64).reshape(shape),
        np.array(logprob).reshape(shape),
    )

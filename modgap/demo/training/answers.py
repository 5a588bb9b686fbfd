"""What SmolLM2 answers to the training texts when they are typed: the targets of alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modgap.demo.training import shards
from modgap.demo.training.settings import TrainSettings
from modgap.demo.writer import KEPT, Writer

__all__ = ["ASKED", "Answer", "answer_texts", "asked_texts", "read_answers"]

#: Kinds of texts that are answered: the others are no turns of a conversation.
ASKED = ("turn", "question")
TOKENS = 24


@dataclass(frozen=True)
class Answer:
    """The beginning of SmolLM2's answer.

    Attributes
    ----------
    tokens : ndarray of int64, shape (n,)
    likely : ndarray of int64, shape (n, KEPT)
        At each place the likeliest tokens.
    shares : ndarray of float32, shape (n, KEPT)
        Their probabilities among themselves: what it nearly said teaches more than what it said.
    """

    tokens: np.ndarray
    likely: np.ndarray
    shares: np.ndarray


def asked_texts(texts: pd.DataFrame) -> list[str]:
    """Those of a table's texts that are answered, each once, in its order."""
    if texts.empty:
        return []
    return list(texts.text[texts.source.isin(ASKED)].drop_duplicates())


def answer_texts(writer: Writer, asked: Sequence[str]) -> pd.DataFrame:
    """Answers to texts.

    Returns
    -------
    DataFrame
        Columns text, tokens, likely, shares; the last two flattened.
    """
    asked = sorted(asked, key=len)
    rows = [
        {
            "text": text,
            "tokens": np.array(written.tokens, dtype=np.int32),
            "likely": written.likely.astype(np.int32).ravel(),
            "shares": written.shares.astype(np.float32).ravel(),
        }
        for text, written in zip(asked, writer.answers(asked, TOKENS), strict=True)
    ]
    return pd.DataFrame(rows, columns=["text", "tokens", "likely", "shares"])


def read_answers(s: TrainSettings) -> dict[str, Answer]:
    """The answers that are there, by text."""
    found = {}
    for folder in sorted((s.work / "answers").glob("*")):
        table = shards.read(folder)
        if table.empty:
            continue
        for text, tokens, likely, shares in zip(
            table.text, table.tokens, table.likely, table.shares, strict=True
        ):
            found[text] = Answer(
                tokens.astype(np.int64),
                likely.astype(np.int64).reshape(-1, KEPT),
                shares.reshape(-1, KEPT),
            )
    return found

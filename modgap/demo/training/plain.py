"""The training texts that no model wrote: WordNet's, and those by rule."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from modgap.demo.topics import asks_reserved
from modgap.demo.training import templates, wordnet
from modgap.demo.training.sayable import sayable
from modgap.demo.training.shards import stable_rng

__all__ = ["SHARD", "texts"]

SHARD = 512
DEFINITIONS, TEMPLATES = 14_000, 6_000


def _first(items: list[str], count: int) -> list[str]:
    """`count` of the items, chosen by their own hashes."""
    return sorted(items, key=lambda t: hashlib.sha256(t.encode()).digest())[:count]


def texts(folder: Path | None, seed: int) -> pd.DataFrame:
    """All of them, in an order in which any beginning is a fair sample.

    Parameters
    ----------
    folder : Path or None
        Of WordNet; without it there are only texts by rule.
    seed : int

    Returns
    -------
    DataFrame
        Columns text, source ("example", "definition", "template", "question").
    """
    found = [] if folder is None else list(wordnet.senses(folder))
    names = [*wordnet.names(found), *templates.GIVEN_NAMES]
    made = (templates.sentence(stable_rng("template", seed, k), names) for k in range(TEMPLATES))
    parts = {
        "example": list(wordnet.examples(found)),
        "definition": _first(list(wordnet.definitions(found)), DEFINITIONS),
        "template": [t for t in map(sayable, made) if t],
        "question": templates.questions(),
    }
    rows = [(t, source) for source, part in parts.items() for t in part if not asks_reserved(t)]
    table = pd.DataFrame(rows, columns=["text", "source"]).drop_duplicates("text")
    keys = [hashlib.sha256(f"{seed}|{t}".encode()).hexdigest() for t in table.text]
    return table.assign(key=keys).sort_values("key", ignore_index=True)[["text", "source"]]

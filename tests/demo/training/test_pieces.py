"""The small vocabulary that speech is written with."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modgap.demo.training.pieces import SPACE, Pieces

TEXTS = ["What is the capital of France?", "The capital is Paris.", "It is 15 miles to the sea.",
         "The ship is at sea; a ship is a vessel."] * 5  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A byte-level BPE that knows some words whole, and a space with any letter."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = set(pre_tokenizers.ByteLevel.alphabet())
    merges = [(SPACE, c) for c in sorted(letters - {SPACE})]
    vocabulary = [*sorted(letters), *map("".join, merges)]
    for word in ("the", "is", "capital", "ship", "sea", "to", "miles", "Paris"):
        made = SPACE + word[0]
        for c in word[1:]:
            merges.append((made, c))
            made += c
            vocabulary.append(made)
    model = models.BPE({name: i for i, name in enumerate(dict.fromkeys(vocabulary))}, merges)
    whole = Tokenizer(model)
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=whole)


@pytest.fixture(scope="module")
def pieces(tokenizer: Any) -> Pieces:
    return Pieces(tokenizer, TEXTS, 5)


def test_it_is_as_small_as_was_asked(tokenizer: Any, pieces: Pieces) -> None:
    names = tokenizer.convert_ids_to_tokens(pieces.ids)
    assert sum(len(n.lstrip(SPACE)) > 1 for n in names) == 5
    assert SPACE not in names
    assert pieces.ids == sorted(set(pieces.ids))


def test_what_is_written_is_read(tokenizer: Any, pieces: Pieces) -> None:
    for text in TEXTS:
        tokens = pieces.write(text)
        assert set(tokens) <= set(pieces.ids)
        assert Pieces.text(tokens, tokenizer) == text


@given(st.text(alphabet="".join(sorted({c for t in TEXTS for c in t if c.isalpha()})), min_size=1))
@settings(deadline=None, max_examples=50)
def test_other_words_of_the_same_letters_are_spelt(
    tokenizer: Any, pieces: Pieces, word: str
) -> None:
    assert Pieces.text(pieces.write(word), tokenizer) == word


def test_frequent_words_stay_whole(tokenizer: Any, pieces: Pieces) -> None:
    assert pieces.write(" the") == tokenizer(" the", add_special_tokens=False)["input_ids"]


def test_a_word_is_cut_where_it_costs_least(pieces: Pieces) -> None:
    word = f"{SPACE}ships"

    def cost(cuts: tuple[int, ...]) -> float:
        parts = [word[a:b] for a, b in itertools.pairwise((0, *cuts, len(word)))]
        return sum(pieces._cost.get(p, math.inf) for p in parts)

    every = (c for k in range(len(word)) for c in itertools.combinations(range(1, len(word)), k))
    assert sum(pieces._cost[p] for p in pieces._cut(word)) == pytest.approx(min(map(cost, every)))

"""What speech is written with: Whisper's cuts, in the text model's tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modgap.demo.compose import SPACE, shared_tokens
from modgap.demo.training.shared_tokens import SharedTokens, spoken


def bpe(folder: Path, words: list[str]) -> Any:
    """A byte-level BPE that knows some words whole, and a space with any letter."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    merges = [(SPACE, c) for c in sorted(alphabet - {SPACE})]
    vocabulary = [*sorted(alphabet), *map("".join, merges)]
    for word in words:
        made = SPACE + word[0]
        for c in word[1:]:
            merges.append((made, c))
            made += c
            vocabulary.append(made)
    model = models.BPE({name: i for i, name in enumerate(dict.fromkeys(vocabulary))}, merges)
    whole = Tokenizer(model)
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=whole)
    tokenizer.save_pretrained(folder)
    return tokenizer


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, SharedTokens]:
    """Two that know other words, and the way from the first to the second."""
    root = tmp_path_factory.mktemp("bpe")
    bpe(root / "whisper", ["capital", "is", "miles", "lobster"])
    llm = bpe(root / "llm", ["the", "miles", "capital", "is"])
    return root, llm, SharedTokens(root / "whisper", llm)


def test_a_shared_word_is_one_token_and_another_one_is_cut(both: Any) -> None:
    _, llm, shared = both
    names = llm.convert_ids_to_tokens(shared.write(" capital the lobster"))
    # "the" is the LLM's alone, so it is cut as Whisper cuts; "lobster" as the LLM does.
    assert names == [f"{SPACE}capital", f"{SPACE}t", "h", "e", f"{SPACE}l", *"obster"]


def test_what_is_written_is_read(both: Any) -> None:
    _, llm, shared = both
    for text in ("It is 15 miles to the sea.", "A lobster, 2 capital ships; why?"):
        tokens = shared.write(text)
        assert llm.convert_tokens_to_ids(SPACE) not in tokens
        assert spoken(tokens, llm) == text


@given(st.text(alphabet="abcdehilmoprst", min_size=1))
@settings(deadline=None, max_examples=50)
def test_other_words_are_spelt(both: Any, word: str) -> None:
    _, llm, shared = both
    assert spoken(shared.write(word), llm) == word


def test_shared_tokens_have_one_name(both: Any) -> None:
    root, llm, shared = both
    whisper, ids = shared_tokens(root / "whisper", root / "llm")
    ours, theirs = shared._whisper.get_vocab(), llm.get_vocab()
    assert len(whisper) == len((ours.keys() & theirs.keys()) - {SPACE})
    for i, j in zip(whisper.tolist(), ids.tolist(), strict=True):
        names = shared._whisper.convert_ids_to_tokens(i), llm.convert_ids_to_tokens(j)
        assert names[0] == names[1]

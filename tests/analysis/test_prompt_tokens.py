"""The prompts token by token, against the ids that the model gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import modgap
from modgap.analysis.prompt_tokens import PromptToken, tokens_of
from modgap.audio.clip import Clip
from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.loading.load import load_model
from modgap.models.prompt import Prompt

WORDS = "Ça va, “two”?"


def spread(tokens: tuple[PromptToken, ...]) -> list[int]:
    return [token.id for token in tokens for _ in range(token.count)]


def inside(tokens: tuple[PromptToken, ...]) -> list[int]:
    """Positions of the content."""
    return [
        token.position + n
        for token in tokens
        if token.role == "content"
        for n in range(token.count)
    ]


@pytest.mark.parametrize("markers", ["keep", "drop"])
def test_they_are_the_ids_of_the_pair(tiny_model: SpeechLM, clip: Clip, markers: str) -> None:
    made = modgap.prompt_tokens(tiny_model, clip, WORDS, markers=markers, instruction="Briefly.")
    pair = tiny_model.prepare(clip, WORDS, markers=markers, instruction="Briefly.")  # type: ignore[arg-type]
    for kind in ("speech", "text"):
        prompt: Prompt = getattr(pair, kind)
        tokens = getattr(made, kind)
        assert spread(tokens) == prompt.inputs["input_ids"][0].tolist()
        assert inside(tokens) == prompt.content.tolist()
        at = 0
        for token in tokens:
            assert token.position == at
            at += token.count
        assert at == prompt.length
    decoded = tiny_model.tokenizer.decode(
        pair.text.inputs["input_ids"][0], clean_up_tokenization_spaces=False
    )
    assert "".join(token.text for token in made.text) == decoded
    assert "".join(t.text for t in made.text if t.role == "content").strip() == WORDS


def test_the_sound_is_one_box_and_special_tokens_are_told(tiny_model: SpeechLM, clip: Clip) -> None:
    made = modgap.prompt_tokens(tiny_model, clip, WORDS)
    sound = [t for t in made.speech if t.role == "content"]
    assert len(sound) == 1
    assert sound[0].count == tiny_model.prepare(clip, WORDS).speech.content.numel()
    assert all(t.count == 1 for t in made.text)
    special = {t.text for t in made.text if t.role == "special"}
    assert special <= set(tiny_model.tokenizer.all_special_tokens) | {
        t.content for t in tiny_model.tokenizer.added_tokens_decoder.values() if t.special
    }
    assert special, "a chat template marks its turns"
    around = [[t.id for t in side if t.role not in ("content", "padding")] for side in
              (made.speech, made.text)]  # fmt: skip
    assert around[0] == around[1], "the two differ in their content alone"


def test_the_table_has_them_all(tiny_model: SpeechLM, clip: Clip) -> None:
    made = modgap.prompt_tokens(tiny_model, clip, WORDS)
    table = made.table()
    assert len(table) == len(made.speech) + len(made.text)
    assert table.groupby("prompt")["count"].sum().to_dict() == {
        "speech": len(spread(made.speech)), "text": len(spread(made.text)),
    }  # fmt: skip


def test_another_family(family_folder: Callable[[str], Path], clip: Clip) -> None:
    model = load_model(family_folder("modgap_composite"))
    made = modgap.prompt_tokens(model, clip, "two plus two")
    pair = model.prepare(clip, "two plus two")
    assert spread(made.speech) == pair.speech.inputs["input_ids"][0].tolist()
    assert inside(made.speech) == pair.speech.content.tolist()


def test_unknown_words_and_no_tokens(tiny_model: SpeechLM, clip: Clip) -> None:
    pair = tiny_model.prepare(clip, None)
    assert tokens_of(tiny_model.tokenizer, pair.text) == ()
    speech = pair.speech
    bare = Prompt("speech", {}, speech.content, speech.pad_content, speech.length)
    with pytest.raises(ModelError, match="no sequences of tokens"):
        tokens_of(tiny_model.tokenizer, bare)

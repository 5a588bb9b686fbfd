"""Answers and their verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.audio.clip import Clip
from modgap.models.base import SpeechLM
from modgap.scoring.answers import answer, verdict

WORDS = st.lists(st.sampled_from(["paris", "blue", "five", "cat", "7", "Rome"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("Paris", "paris", "right"),
        ("It is Paris.", "Paris", "right"),
        ("The capital is New York City!", "new york", "right"),
        ("York is new", "new york", "wrong"),
        ("Parisian", "Paris", "wrong"),
        ("concatenate", "cat", "wrong"),
        ("7", "seven", "right"),
        ("Seven.", "7", "right"),
        ("seventy", "7", "wrong"),
        ("5.5", "5", "wrong"),
        ("It is 5.", "5", "right"),
        ("-5", "5", "wrong"),
        ("minus −5", "-5", "right"),
        ("3,000", "3", "wrong"),
        ("don’t know", "don't know", "right"),
        ("'blue'", "blue", "right"),
        ("well-known", "known", "right"),
        ("ＰＡＲＩＳ", "paris", "right"),
        ("कि", "क", "wrong"),
        # A number is one word, however it is said or written, and no part of it is the answer.
        ("It is twenty-five.", "five", "wrong"),
        ("It is twenty five.", "20", "wrong"),
        ("It is twenty-five.", "25", "right"),
        ("twenty, five and seven", "five", "right"),
        ("five, seven", "seven", "right"),
        ("one hundred", "1", "wrong"),
        ("one hundred", "100", "right"),
        ("A hundred and five.", "one hundred five", "right"),
        ("A hundred and five.", "five", "wrong"),
        ("between one hundred and five hundred", "500", "right"),
        ("two thousand", "2", "wrong"),
        ("two thousand, three thousand", "3,000", "right"),
        ("5 million", "5", "wrong"),
        ("3.5 million", "3500000", "right"),
        ("nineteen eighty-four", "nineteen", "wrong"),
        ("nineteen eighty-four", "1984", "right"),
        ("the twenty-first", "first", "wrong"),
        ("the 21st", "twenty-first", "right"),
        ("one-way", "one", "right"),
        ("no one's", "one", "wrong"),
        ("four,five", "five", "right"),
        ("1000", "1,000", "right"),
        ("It costs 1,234,567.", "1234567", "right"),
        ("12,34", "1234", "wrong"),
        ("Fourteen.", "14", "right"),
        # No spaces between words: by characters, numerals whole.
        ("答案是北京。", "北京", "right"),
        ("答案是南京。", "北京", "wrong"),
        ("首都は東京です", "東京", "right"),
        ("เมืองหลวงคือกรุงเทพ", "กรุงเทพ", "right"),
        ("กิน", "กน", "wrong"),
        ("答案是5。", "五", "right"),
        ("答案是5。", "5", "right"),
        ("一共25个", "5", "wrong"),
        ("一共二十五个", "五", "wrong"),
        ("一、五、七", "五", "right"),
        ("我说Paris吧", "paris", "right"),
        ("我说Parisian吧", "paris", "wrong"),
        ("", "Paris", "wrong"),
        ("...", "Paris", "wrong"),
        ("Paris", None, None),
        ("Paris", "", None),
        ("Paris", " ?! ", None),
    ],
)
def test_words(text: str, reference: str | None, expected: str | None) -> None:
    assert verdict(text, reference) == expected


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "b"),
        ("b", "b"),
        (" B. ", "b"),
        ("(B)", "b"),
        ("**B**", "b"),
        ("B. Paris", "b"),
        ("b) Paris", "b"),
        ("(B) Paris", "b"),
        ("B: Paris", "b"),
        ("B Paris", "b"),
        ("A. A mammal", "a"),
        ("a", "a"),
        ("The answer is B", "b"),
        ("The answer is B.", "b"),
        ("The answer is: (b)", "b"),
        ("Answer: D", "d"),
        ("The correct answer is A.", "a"),
        ("I think it is option C because it fits", "c"),
        ("A is wrong, B is wrong. The answer is C.", "c"),
        ("A. no, sorry, the answer is B", "b"),
        ("A mammal", None),
        ("a mammal", None),
        ("I think so", None),
        ("The answer is a mammal", None),
        ("The answer is A mammal", None),
        ("B or C", None),
        ("Paris", None),
        ("Banana", None),
        ("an answer", None),
        ("The answer is Banana", None),
    ],
)
def test_letters(text: str, letter: str | None) -> None:
    for option in "ABCD":
        if letter is None:
            assert verdict(text, option) is None
        else:
            assert verdict(text, option) == ("right" if option.lower() == letter else "wrong")


def test_no_answer_to_multiple_choice_is_wrong() -> None:
    assert verdict("", "B") == "wrong"


@given(before=WORDS, wanted=WORDS, after=WORDS)
def test_reference_anywhere_in_the_answer_is_right(
    before: list[str], wanted: list[str], after: list[str]
) -> None:
    reference = " ".join(wanted)
    assert verdict(", ".join([*before, reference.upper(), *after]) + ".", reference) == "right"


@given(st.text(), st.text())
def test_any_text_gets_a_verdict(text: str, reference: str) -> None:
    assert verdict(text, reference) in ("right", "wrong", None)


def test_answer_carries_the_generation(tiny_model: SpeechLM, clip: Clip) -> None:
    pair = tiny_model.prepare(clip, "What is two plus three?")
    for prompt in (pair.text, pair.speech):
        got = answer(tiny_model, prompt, max_new_tokens=5)
        made = tiny_model.generate(prompt, max_new_tokens=5)
        assert got.kind == prompt.kind
        assert (got.text, got.tokens, got.token_ids, got.logprobs) == (
            made.text,
            made.tokens,
            made.token_ids,
            made.logprobs,
        )

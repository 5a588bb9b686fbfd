"""IFEval's instructions, each followed and not followed by texts made by hand."""

from __future__ import annotations

import pytest

from modgap.core.errors import SettingsError
from modgap.scoring.scorers.ifeval import INSTRUCTIONS, check, count_sentences, score_ifeval

LESS, LEAST = "less than", "at least"
GERMAN = "Das ist ein ganz normaler Satz in deutscher Sprache, und er ist recht lang."
ENGLISH = "this is a quite normal sentence in the english language, and it is rather long."
CASES = [
    ("keywords:existence", {"keywords": ["cat", "dog"]}, "Cats and a Dog.", "Only cats."),
    (
        "keywords:frequency",
        {"keyword": "cat", "frequency": 2, "relation": LEAST},
        "A cat, concatenated",
        "one cat",
    ),
    ("keywords:frequency", {"keyword": "cat", "frequency": 2, "relation": LESS}, "cat", "cat cat"),
    ("keywords:forbidden_words", {"forbidden_words": ["cat"]}, "concatenate", "The Cat."),
    ("keywords:forbidden_words", {"forbidden_words": ["*ab"]}, "a cab", "x*ab x"),
    (
        "keywords:letter_frequency",
        {"letter": "e", "let_frequency": 3, "let_relation": LEAST},
        "Eve sees",
        "eve",
    ),
    (
        "keywords:letter_frequency",
        {"letter": "e", "let_frequency": 3, "let_relation": LESS},
        "eve",
        "Eve sees",
    ),
    ("language:response_language", {"language": "de"}, GERMAN, ENGLISH),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": LEAST},
        "One. Two.",
        "Dr. Smith came.",
    ),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": LESS},
        "Dr. Smith came.",
        "One. Two.",
    ),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "one\n***\ntwo", "one\n\ntwo"),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        "***\none\n***\ntwo\n***",
        "one *** *** two",
    ),
    (
        "length_constraints:number_words",
        {"num_words": 4, "relation": LEAST},
        "it's two words",
        "two words",
    ),
    ("length_constraints:number_words", {"num_words": 4, "relation": LESS}, "a b c", "a b c d"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "hello"},
        'one\n\n"Hello," he said',
        "hello\n\none",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b c]", "[a"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "x\n\nP.S. bye", "PS bye"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P. P. S. x", "P.S. x"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n** b\n c"),
    ("detectable_format:constrained_response", {}, "My answer is maybe. ", "My answer: maybe."),
    (
        "detectable_format:number_highlighted_sections",
        {"num_highlights": 2},
        "*a* and **b**",
        "*a* and ** **",
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1 a\nSECTION 2 b",
        "SECTION 1 a\nSection 2 b",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', "{a: 1}"),
    ("detectable_format:title", {}, "<<A title>>\nx", "<<  >>"),
    ("combination:two_responses", {}, "one ****** two", "one ****** one"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, " say it. It.", "It. Say it."),
    (
        "startend:end_checker",
        {"end_phrase": "Any other questions?"},
        'Yes. "Any other questions?"',
        "Any other questions? No.",
    ),
    ("startend:quotation", {}, ' "quoted" ', '"'),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": LEAST},
        "NASA and the WELL-KNOWN FBI",
        "NASA and Esa",
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": LESS},
        "NASA and Esa",
        "DON'T",
    ),
    ("change_case:english_capital", {}, ENGLISH.upper(), ENGLISH),
    ("change_case:english_lowercase", {}, ENGLISH, GERMAN.lower()),
    ("punctuation:no_comma", {}, "a; b", "a, b"),
]


@pytest.mark.parametrize(("name", "settings", "good", "bad"), CASES)
def test_an_instruction(name: str, settings: dict, good: str, bad: str) -> None:
    assert check(good, [name], [settings]).strict == (True,)
    assert check(bad, [name], [settings]).strict == (False,)
    assert check(" ", [name], [settings]).loose == (False,)
    # The data set's own form: every setting of any instruction, most of them null.
    every = {k: None for _, needed in INSTRUCTIONS.values() for k in needed} | settings
    assert check(good, [name], [every]).strict == (True,)


def test_every_published_instruction_has_a_case() -> None:
    assert {name for name, *_ in CASES} == set(INSTRUCTIONS)
    assert len(INSTRUCTIONS) == 25


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("no end", 1),
        ("One. Two! Three? four", 3),
        ("He came at 5 p.m. on Monday, e.g. Late.", 1),
        ("It is 3.5 km. Yes.", 2),
        ('"Really?" Yes.', 2),
        ("J. R. Smith and Mr. Jones left.", 1),
        ("Wait... What?", 2),
        ("one\ntwo\nthree", 1),
    ],
)
def test_sentences(text: str, n: int) -> None:
    assert count_sentences(text) == n


def test_loose_readings_leave_out_a_preamble_or_asterisks() -> None:
    names = ["startend:quotation", "punctuation:no_comma"]
    found = check('Sure, here it is:\n"one"', names, [{}, {}])
    assert found.strict == (False, False)
    assert found.loose == (True, True)
    assert check('**"one"**', names[:1], [{}]).loose == (True,)


def test_brackets_too_deep_to_read_are_no_json() -> None:
    for text in ("[" * 1500, "[" * 100_000 + "]" * 100_000, '{"a":' * 5000):
        assert check(text, ["detectable_format:json_format"], [{}]).strict == (False,)


def test_whole_numbers_of_a_table_with_empty_cells() -> None:
    paragraph = {"num_paragraphs": 2.0, "nth_paragraph": 2.0, "first_word": "b"}
    assert check("a\n\nb", ["length_constraints:nth_paragraph_first_word"], [paragraph]).strict == (
        True,
    )


def test_the_verdict_and_the_mean_of_four_rates() -> None:
    meta = {
        "instruction_id_list": ["punctuation:no_comma", "detectable_format:title"],
        "kwargs": [{"num_words": None}, {}],
    }
    some = score_ifeval("no title", "", meta)
    assert (some.correct, some.extracted) == (False, "1/2 strict, 1/2 loose")
    assert some.rule == "not followed: detectable_format:title"
    assert some.expected == (0 + 0.5 + 0 + 0.5) / 4
    assert score_ifeval("<<a title>>", "", meta).expected == 1
    assert score_ifeval("Well,\n<<a title>>", "", meta).expected == (0 + 0.5 + 1 + 1) / 4


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (["taste:good"], [{}], "Unknown instruction"),
        (["length_constraints:number_words"], [{"num_words": 3}], "lacks its setting 'relation'"),
        (["punctuation:no_comma"], [], "1 instructions but 0"),
        (["keywords:frequency"], [{"keyword": "a", "frequency": 1, "relation": "about"}], "about"),
        (["keywords:existence"], [{"keywords": "cat"}], "a list of words as keywords"),
        (["startend:end_checker"], [{"end_phrase": 3}], "a text as end_phrase"),
        (["detectable_format:number_bullet_lists"], [{"num_bullets": "3"}], "a whole number"),
        (["detectable_format:number_bullet_lists"], [{"num_bullets": 2.5}], "a whole number"),
        (["detectable_format:number_bullet_lists"], [{"num_bullets": -1}], "a whole number"),
    ],
)
def test_instructions_that_cannot_be_checked(names: list, settings: list, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check("text", names, settings)
    with pytest.raises(SettingsError, match=message):  # an empty answer hides no such mistake
        score_ifeval("", "", {"instruction_id_list": names, "kwargs": settings})
    with pytest.raises(SettingsError, match="needs instruction_id_list"):
        score_ifeval("text", "", {})

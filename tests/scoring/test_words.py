"""One normaliser: marks, numbers, signs, and options inside sentences."""

from __future__ import annotations

import unicodedata

import pytest

from modgap.scoring.answers import verdict
from modgap.scoring.scorers.choices import find_option
from modgap.scoring.scorers.ifeval import check
from modgap.scoring.scorers.option_words import letter_of
from modgap.scoring.words import comparable_words


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        # Signs, ordinals, digits of other scripts, written forms of one number.
        ("minus seven", "-7", True),
        ("-7", "negative seven", True),
        ("ten minus two", "-2", False),
        ("seven", "-7", False),
        ("It came second.", "2nd", True),
        ("the 12th", "twelfth", True),
        ("one hundred and third", "103rd", True),
        ("the first", "1", False),
        ("٣٥", "35", True),
        ("३५ है", "35", True),
        ("三十五", "35", True),
        ("3万", "30,000", True),
        ("7.0", "7", True),
        ("7", "7.00", True),
        ("7.05", "7.5", False),
        ("2,5", "2.5", True),
        ("1.000.000", "one million", True),
        ("1 000 000", "1000000", True),
        ("1'000", "1000", True),
        ("2e3", "2000", True),
        ("three point one four", "3.14", True),
        ("one third", "1/3", True),
        ("½", "one half", True),
        ("2½", "21", False),
        ("10⁵", "105", False),
        ("$7", "7 dollars", True),
        ("seven", "$7", True),
        ("40 %", "forty percent", True),
        ("30km", "30 km", True),
        ("7 p.m.", "7pm", True),
        ("R&B", "r and b", True),
        # Words that differ in writing only, and words that do not.
        ("U.K.", "UK", True),
        ("email", "e-mail", True),
        ("Malmo", "Malmö", True),
        ("là", "la", False),
        ("مُحَمَّد", "محمد", True),
        ("عَلَم", "عِلْم", False),
        ("كِتـاب", "كتاب", True),
        ("İzmir", "izmir", True),
        ("부산입니다", "부산", True),
        ("пчёлы", "пчелы", True),
        ("काल", "कल", False),
        ("می‌خواهم", "میخواهم", True),
        ("C", "C++", False),
        ("C#", "C#", True),
        ("🎉", "🎉", True),
        ("🎉", "🎈", False),
        ("nineteen eighty-four", "nineteen", False),
    ],
)
def test_an_answer_and_its_reference(answer: str, reference: str, right: bool) -> None:
    for form in ("NFC", "NFD"):
        for one in (answer, f"It is {answer}, I think."):
            given = unicodedata.normalize(form, one)
            assert (verdict(given, reference) == "right") is right, given


HINDI = ("बल", "बाल", "बाला", "बला")
CITIES = ("大阪", "京都", "名古屋", "東京")
THAI = ("เชียงใหม่", "ขอนแก่น", "ภูเก็ต", "ระยอง")
SUMS = ("-7", "7", "7000", "70%")
MARKED = ("A. pear", "B. plum", "C. fig", "D. kiwi")
NUMBERED = ("1) pear", "2) plum", "3) fig")


@pytest.mark.parametrize(
    ("words", "answer", "letter"),
    [
        (HINDI, "बला", "D"),
        (HINDI, "उत्तर बाल है", "B"),
        (("סִפֵּר", "סֵפֶר", "x"), "סֵפֶר", "B"),
        (CITIES, "答えは京都です。", "B"),
        (CITIES, "我觉得是名古屋", "C"),
        (CITIES, "不是大阪，而是東京", "D"),
        (CITIES, "大阪ではない、京都", "B"),
        (CITIES, "大阪や京都", None),
        (THAI, "คำตอบคือภูเก็ตครับ", "C"),
        (SUMS, "It is minus seven.", "A"),
        (SUMS, "seven", "B"),
        (SUMS, "7,000", "C"),
        (SUMS, "seventy percent", "D"),
        (SUMS, "The right one is 7.", "B"),
        (("1st", "2nd", "3rd"), "third", "C"),
        (("٤", "٥", "٦"), "5", "B"),
        (("4.0", "5.0"), "5", "B"),
        (MARKED, "plum", "B"),
        (MARKED, "B", "B"),
        (MARKED, "D. kiwi", "D"),
        (MARKED, "It's the fig", "C"),
        (NUMBERED, "2", "B"),
        (NUMBERED, "The answer is 3.", "C"),
        (NUMBERED, "plum", "B"),
        (("São Tomé", "Sao Tome", "x"), "Sao Tome", "B"),
        (("Málaga", "Cádiz"), "Cadiz", "B"),
        (("+", "-", "×"), "×", "C"),
        # Letters in sentences.
        ((), "Both A and C.", None),
        ((), "A, B and D", None),
        ((), "A & B are right", None),
        ((), "Neither A nor B, so C", "C"),
        ((), "Options A and B are wrong. The answer is D.", "D"),
        ((), "It has to be D", "D"),
        ((), "Sure! C", "C"),
        ((), "wait, no, B", "B"),
        ((), "So, D it is", "D"),
        ((), "The answer's C", "C"),
        ((), "The answer is ___C___", "C"),
        ((), "<b>C</b>", "C"),
        ((), "A is incorrect. It must be B!", "B"),
        ((), "Plums are blue.\nC", "C"),
        ((), "La respuesta correcta es la C", "C"),
        ((), "正解はDです", "D"),
        ((), "답은 C입니다", "C"),
        ((), "Ответ: C", "C"),
        ((), "الإجابة هي C", "C"),
        ((), "是维生素C", None),
        ((), "Vitamin C", None),
        ((), "B (not A)", "B"),
        ((), "Sure! D. I hope this helps.", "D"),
        ((), '{"reason": "A?", "answer": "C"}', "C"),
    ],
)
def test_an_option_inside_a_sentence(
    words: tuple[str, ...], answer: str, letter: str | None
) -> None:
    for form in ("NFC", "NFD"):
        letters = "ABCD"[: len(words) or 4]
        assert find_option(unicodedata.normalize(form, answer), letters, words)[0] == letter


@pytest.mark.parametrize(
    ("reference", "words", "letter"),
    [
        ("b", MARKED, "B"),
        ("(B)", MARKED, "B"),
        ("plum", MARKED, "B"),
        ("B. plum", MARKED, "B"),
        ("B. plum", ("pear", "plum"), "B"),
        ("B. pear", ("pear", "plum"), None),
        ("1", ("x", "y"), None),
        ("5.0", ("4", "5"), "B"),
        ("five", ("4", "5"), "B"),
        ("2", NUMBERED, "B"),
        ("C", (), "C"),
        ("plum", (), None),
        ("E", MARKED, None),
    ],
)
def test_the_option_that_a_reference_is(
    reference: str, words: tuple[str, ...], letter: str | None
) -> None:
    assert letter_of(reference, words) == letter


def test_words_of_scripts_with_marks_are_counted_as_words() -> None:
    for text, n in (("नमस्ते सुंदर दुनिया", 3), ("café olé", 2), ("สวัสดี ครับ", 2), ("don't", 2)):
        for form in ("NFC", "NFD"):
            for limit, relation in ((n, "at least"), (n + 1, "less than")):
                found = check(
                    unicodedata.normalize(form, text),
                    ["length_constraints:number_words"],
                    [{"num_words": limit, "relation": relation}],
                )
                assert found.strict == (True,), (text, form)
    forbidden = ["keywords:forbidden_words"], [{"forbidden_words": ["कल"]}]
    assert check("कला और काल", *forbidden).strict == (True,)
    assert check("कल और काल", *forbidden).strict == (False,)


def test_word_errors_read_numbers_as_before() -> None:
    assert comparable_words("Third, minus 1,000 and five") == [
        "third",
        "minus",
        "1,000",
        "and",
        "5",
    ]

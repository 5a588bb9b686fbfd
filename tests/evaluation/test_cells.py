"""What the cells of a table become, and what is refused when it is read."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modgap.audio.clip import load_clip
from modgap.core.errors import AudioError, SettingsError
from modgap.evaluation.data.cells import list_in, text_of
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.data.voicebench_subsets import question_of
from modgap.evaluation.data.word_clips import sounds
from modgap.scoring.question import Question
from modgap.scoring.scorers import score
from tests.tiny import make_clip

BASE = {"audio": "a.wav", "transcript": "t", "reference": "A"}


def read(path: Path, *rows: dict[str, Any]) -> list[Question]:
    """The rows as a table of the path's kind."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    else:
        pd.DataFrame(rows).to_parquet(path)
    return read_questions(str(path))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_list_of_references_means_several_right_answers(tmp_path: Path, kind: str) -> None:
    (one,) = read(
        tmp_path / f"x.{kind}", BASE | {"reference": ["Bern", "the city of Bern", "Berne"]}
    )
    assert (one.reference, one.meta["references"]) == ("Bern", ["the city of Bern", "Berne"])
    assert score(one, "It is Berne.").correct is True
    assert score(one, "Basel").correct is False
    choice = BASE | {"scorer": "choices", "choices": ["x", "y", "z"], "reference": ["B", "z"]}
    (two,) = read(tmp_path / f"y.{kind}", choice)
    assert [score(two, letter).correct for letter in "ABC"] == [False, True, True]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_number_is_its_text(tmp_path: Path, kind: str) -> None:
    rows = [
        BASE | {"reference": value, "id": n} for n, value in ((1.0, 4.0), (2.0, 1200.0), (3.0, 2.5))
    ]
    made = read(tmp_path / f"x.{kind}", *rows)
    for question, answer in zip(made, ("four", "It is 1,200.", "2.50"), strict=True):
        assert score(question, answer).correct is True
    if kind != "csv":
        assert [q.reference for q in made] == ["4", "1200", "2.5"]
        assert [q.id for q in made] == ["1", "2", "3"]
    zero = question_of("sd-qa", "usa", 0, {"prompt": "How many?", "reference": 0})
    assert score(zero, "zero").correct is True


def test_values_of_cells() -> None:
    for value, text in (
        (True, "True"),
        (Decimal("4.50"), "4.5"),
        (date(2024, 5, 1), "2024-05-01"),
        (1e20, "100000000000000000000"),
        (0.1, "0.1"),
        (float("nan"), None),
    ):
        assert text_of("Row 1", "x", value) == text
    for value in ({"a": 1}, b"x", float("inf"), ["a"]):
        with pytest.raises(SettingsError, match=r"Row 1 has .* as x, .*: write a text or a number"):
            text_of("Row 1", "x", value)


WORDS = ["Rome", "it's", 'a "b"', "c, d"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(WORDS),
        str(WORDS),
        str(np.array(WORDS)),
        repr(np.array(WORDS, dtype=object)),
        str(np.array(WORDS)).replace(" ", "\n ", 1),
        str(tuple(WORDS)),
    ],
)
def test_lists_as_programs_write_them(text: str) -> None:
    assert list_in(text) == WORDS


@pytest.mark.parametrize(
    "text", ["[sic]", "(B)", "[Rome, Oslo]", "['a", "a", "[[1], 2]]", "[...]", "(5)"]
)
def test_texts_that_are_no_list(text: str) -> None:
    assert list_in(text) is None


def test_choices_in_every_form(tmp_path: Path) -> None:
    words = ("Rome", "Oslo, N", "it's")
    forms: list[Any] = [
        list(words),
        "Rome|Oslo, N|it's",
        str(list(words)),
        str(np.array(words)),
        json.dumps(words),
        {"A": "Rome", "B": "Oslo, N", "C": "it's"},
        {"text": list(words), "label": ["A", "B", "C"]},
    ]
    for n, form in enumerate(forms):
        row = BASE | {"scorer": "choices", "choices": form, "reference": "B"}
        kinds = ("csv", "jsonl") if not isinstance(form, dict) else ("csv", "jsonl", "parquet")
        for kind in kinds:
            (question,) = read(tmp_path / f"{n}.{kind}", row)
            assert question.choices == words
            assert score(question, "Oslo N").correct is True
    (arc,) = read(
        tmp_path / "arc.jsonl",
        BASE
        | {
            "scorer": "choices",
            "reference": "2",
            "choices": {"text": ["x", "y"], "label": ["1", "2"]},
        },
    )
    assert score(arc, "B").correct is True
    (numbers,) = read(
        tmp_path / "n.jsonl", BASE | {"scorer": "choices", "choices": [3, 4.0], "reference": 4}
    )
    assert (numbers.choices, score(numbers, "four").correct) == (("3", "4"), True)


def test_instructions_in_csv(tmp_path: Path) -> None:
    row = {
        "audio": "a",
        "transcript": "t",
        "scorer": "ifeval",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{"num_words": None}],
    }
    (question,) = read(tmp_path / "x.csv", row)
    assert score(question, "yes").correct is True


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"scorer": "choices", "choices": ["x", "y"], "reference": 1}, "'1' as reference, .*index"),
        ({"scorer": "choices", "choices": ["x", "y"], "reference": 0}, "'0' as reference, .*index"),
        ({"scorer": "choices", "choices": ["x", "y"], "reference": "C"}, "letters A to B"),
        ({"scorer": "choices", "choices": ["x", "y"], "reference": ["A", "z"]}, "'z' as reference"),
        ({"scorer": "choices", "reference": "x"}, "there are no choices"),
        ({"scorer": "choices", "choices": ["x", "y"], "reference": None}, "has no reference"),
        ({"scorer": "choices", "choices": "x;y", "reference": "A"}, "one choice only, 'x;y'"),
        ({"scorer": "choices", "choices": "[Rome, Oslo]"}, "no list of words as choices"),
        ({"scorer": "choices", "choices": [["x"]]}, "no list of words as choices"),
        ({"scorer": "bbh", "reference": "maybe"}, "'maybe' as reference: BBH's"),
        ({"reference": {"text": ["x"]}}, "a mapping as reference"),
        ({"reference": [["x"], "y"]}, "a list as reference"),
        ({"reference": []}, "has no reference"),
        ({"reference": "?!"}, "no word or number to compare"),
        ({"transcript": ["a", "b"]}, "a list as transcript"),
        ({"language": {"en": 1}}, "a mapping as language"),
        ({"audio": {"bytes": None, "path": None}}, "has no audio"),
        ({"audio": ["a.wav"]}, "a list as audio"),
        ({"meta": "{'k'"}, "no JSON mapping as meta"),
    ],
)
def test_what_is_refused_names_row_and_column(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=rf"Row 2 of x.jsonl.*{message}") as refusal:
        read(tmp_path / "x.jsonl", BASE, BASE | row)
    assert "\n" not in str(refusal.value)


def test_an_index_in_a_file_of_results_is_refused() -> None:
    row = {"prompt": "Which?\nA. x\nB. y", "reference": 1}
    with pytest.raises(SettingsError, match="Row 3 of VoiceBench's mmsu/law has '1' as reference"):
        question_of("mmsu", "law", 3, row)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", ", "; "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = [["audio", "transcript", "reference"], ["a.wav", '"what; is, it"', '"Paris, France"']]
    path = tmp_path / ("x.tsv" if separator == "\t" else "x.csv")
    path.write_text("".join(separator.join(line) + "\r\n" for line in lines), encoding=encoding)
    (question,) = read_questions(str(path))
    assert (question.transcript, question.reference) == ("what; is, it", "Paris, France")


def test_headers_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("sep=;\naudio ; transcript;reference;;\na.wav;t;4,0;;\n")
    (question,) = read_questions(str(path))
    assert score(question, "four").correct is True
    path.write_text("audio,transcript,audio\na,b,c\n")
    with pytest.raises(SettingsError, match="two columns 'audio'"):
        read_questions(str(path))
    path.write_text("audio:transcript:reference\na:b:c\n")
    with pytest.raises(
        SettingsError, match=r"no column 'audio' \(it has audio:transcript:reference\)"
    ):
        read_questions(str(path))
    path.write_text("audio;transcript;reference\na;b;c;d\n")
    with pytest.raises(SettingsError, match=r"Row 1 of x.csv has 4 cells.* semicolon in quotes"):
        read_questions(str(path))


def test_sound_inside_parquet_is_read(tmp_path: Path) -> None:
    clips = [load_clip(make_clip(1.0, seed=n).wav_bytes()) for n in range(2)]
    (tmp_path / "b.wav").write_bytes(clips[1].wav_bytes())
    cells: list[Any] = [
        {"bytes": clips[0].wav_bytes(), "path": "gone.wav"},
        {"bytes": None, "path": "b.wav"},
        {"bytes": None, "path": None},
    ]
    made = read(tmp_path / "x.parquet", *(BASE | {"audio": cell} for cell in cells))
    assert [q.load().sha256 for q in made[:2]] == [clip.sha256 for clip in clips]
    with pytest.raises(AudioError, match="no sound in its row"):
        made[2].load()
    (plain,) = read(tmp_path / "y.parquet", BASE | {"audio": clips[0].wav_bytes()})
    assert plain.load().sha256 == clips[0].sha256
    (path,) = read(tmp_path / "z.csv", BASE | {"audio": str({"bytes": None, "path": "b.wav"})})
    assert path.load().sha256 == clips[1].sha256
    _, load, _ = sounds(str(tmp_path / "x.parquet"))[0]
    assert load().sha256 == clips[0].sha256


@pytest.mark.parametrize("place", [b"audio", b"transcript", b"prompt"])
def test_a_damaged_name_of_a_column_is_one_sentence(tmp_path: Path, place: bytes) -> None:
    """By `make fuzz`: a name that is no UTF-8, and reasons of several lines."""
    folder = tmp_path / ("sd-qa" if place == b"prompt" else "own")
    folder.mkdir()
    path = folder / "x.parquet"
    pd.DataFrame([BASE | {"prompt": "p"}]).to_parquet(path)
    path.write_bytes(path.read_bytes().replace(place, b"\xe2" + place[1:]))
    with pytest.raises(SettingsError) as refusal:
        read_questions(str(path))
    assert "\n" not in str(refusal.value)

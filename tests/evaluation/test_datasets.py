"""Data sets by name: the embedded family's questions and manifests."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from modgap.core.errors import AudioError, SettingsError
from modgap.evaluation.data.datasets import iter_questions, read_questions
from modgap.scoring.scorers import score
from tests.tiny import make_clip

ROWS = [
    {"audio": "a.wav", "transcript": "What is two plus three?", "reference": "five",
     "accent": "scotland", "group_room": "small", "page": "7"},
    {"audio": "b.wav", "transcript": "The brown fox", "reference": "dog", "accent": "",
     "group_room": "", "page": ""},
]  # fmt: skip


def ifeval_row(
    names: Any = ("length_constraints:number_words",), kwargs: Any = ({"num_words": 3},)
) -> str:
    row = {"audio": "a", "transcript": "t", "scorer": "ifeval"}
    return json.dumps(row | {"instruction_id_list": names, "kwargs": kwargs})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for n, name in enumerate("ab"):
        (folder / f"{name}.wav").write_bytes(make_clip(1.1, seed=n).wav_bytes())
    with (folder / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    lines = [json.dumps(r | {"id": r["audio"]}) for r in ROWS]
    (folder / "m.jsonl").write_text("\n".join(lines) + "\n\n")
    pd.DataFrame(ROWS).to_parquet(folder / "m.parquet")
    return folder


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.parquet"])
def test_a_manifest_is_read(folder: Path, name: str) -> None:
    made = read_questions(str(folder / name))
    assert [q.transcript for q in made] == [r["transcript"] for r in ROWS]
    assert [q.reference for q in made] == ["five", "dog"]
    assert [q.id for q in made] == (["a.wav", "b.wav"] if "jsonl" in name else ["0", "1"])
    assert made[0].groups == {"accent": "scotland", "room": "small"}
    assert made[1].groups == {}
    assert made[0].meta["page"] == "7"
    assert {q.dataset for q in made} == {"m"}
    assert made[1].load().seconds == pytest.approx(1.1, abs=0.01)
    assert len(read_questions(str(folder / name), limit=1)) == 1
    # Workers of other processes get them.
    assert pickle.loads(pickle.dumps(made[0])).load() == made[0].load()


def test_choices_and_meta_in_every_form(folder: Path, tmp_path: Path) -> None:
    base = {"audio": "a.wav", "transcript": "t", "reference": "A", "scorer": "choices"}
    (tmp_path / "c.csv").write_text(
        "audio,transcript,reference,scorer,choices,meta\n"
        'a.wav,t,A,choices,Rome | Oslo,"{""k"": 3}"\n'
    )
    row = {**base, "choices": ["Rome", "Oslo"], "meta": {"k": 3}}
    (tmp_path / "c.jsonl").write_text(json.dumps(row))
    pd.DataFrame([row]).to_parquet(tmp_path / "c.parquet")
    for kind in ("csv", "jsonl", "parquet"):
        (q,) = read_questions(str(tmp_path / f"c.{kind}"))
        assert q.choices == ("Rome", "Oslo")
        assert q.meta == {"k": 3}
        assert q.scorer == "choices"


@pytest.mark.parametrize("word", ["None", "nan", "NaN", "null", "N/A"])
def test_an_answer_can_be_a_word_for_nothing(tmp_path: Path, word: str) -> None:
    (tmp_path / "x.csv").write_text(
        f"audio,transcript,reference,accent\na,{word},{word},None\nb,t,{word} ,nan\n"
    )
    row = {"audio": "a", "transcript": word, "reference": word, "accent": "None"}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    pd.DataFrame([row]).to_parquet(tmp_path / "x.parquet")
    for kind in ("csv", "jsonl", "parquet"):
        made = read_questions(str(tmp_path / f"x.{kind}"))
        assert {q.reference.strip() for q in made} == {word}
        assert made[0].transcript == word
        assert made[0].groups == {}
        assert score(made[0], f"It is {word}.").correct is True
        assert score(made[0], "It is Paris.").correct is False


def test_an_empty_cell_is_no_answer(tmp_path: Path) -> None:
    rows = pd.DataFrame([{"audio": "a", "transcript": "t", "reference": "5"}] * 2)
    rows.loc[1, "reference"] = None
    rows.to_parquet(tmp_path / "none.parquet")
    rows.astype({"reference": float}).to_parquet(tmp_path / "nan.parquet")
    rows.to_csv(tmp_path / "pandas.csv")
    (tmp_path / "nan.jsonl").write_text(
        '{"audio": "a", "transcript": "t", "reference": "5"}\n'
        '{"audio": "a", "transcript": "t", "reference": NaN}\n'
    )
    (tmp_path / "blank.csv").write_text("audio,transcript,reference\na,t,5\na,t,  \n")
    (tmp_path / "short.csv").write_text("audio,transcript,reference\na,t,5\na,t\n")
    for name in ("none.parquet", "nan.parquet", "nan.jsonl", "pandas.csv", "blank.csv",
                 "short.csv"):  # fmt: skip
        with pytest.raises(SettingsError, match=f"Row 2 of {name} has no reference"):
            read_questions(str(tmp_path / name))


def test_several_references(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(
        "audio,transcript,reference,references\na,t,Paris,Lutetia| Lutece |\nb,t,Paris,\n"
    )
    rows = [
        {"audio": "a", "transcript": "t", "reference": "Paris", "references": more}
        for more in (["Lutetia", "Lutece"], "Lutetia|Lutece", 1984)
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    several, one = read_questions(str(tmp_path / "x.csv"))
    *alike, year = read_questions(str(tmp_path / "x.jsonl"))
    for question in (several, *alike):
        assert question.meta["references"] == ["Lutetia", "Lutece"]
        assert score(question, "It was called Lutece.").extracted == "Lutece"
        assert score(question, "The answer is a").correct is False
        assert score(question, "Lutetia|Lutece").correct is True
    assert one.meta["references"] == []
    assert score(one, "Lutetia").correct is False
    assert score(year, "In 1984.").correct is True


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.txt", "", "a .csv, .tsv, .jsonl or .parquet"),
        ("gone.csv", None, "no manifest"),
        ("x.csv", "audio,reference\na.wav,hello\n", "no column 'transcript'"),
        ("x.csv", "audio,transcript\na.wav,hello\n", "Row 1 of x.csv has no reference"),
        ("x.csv", "audio,transcript,reference\n", "has no rows"),
        ("x.csv", "audio,transcript,reference\na.wav,,five\n", "Row 1 of x.csv has no transcript"),
        ("x.csv", "audio,transcript,reference\na.wav,b,c,d\n", "more cells"),
        ("x.csv", "id,audio,transcript,reference\n1,a,b,c\n1,a,b,c\n", "id '1'"),
        ("x.csv", "audio,transcript,reference,meta\na,b,c,[1]\n", "JSON mapping"),
        ("x.jsonl", '{"audio": "a", "transcript": "b", "reference": "c", "choices": 5}', "list"),
        ("x.csv", "audio,transcript,reference,scorer\na,b,c,\na,b,c,choice\n",
         "Row 2 of x.csv: There is no scorer 'choice'; use one of reference, choices, bbh, "),
        ("x.csv", "audio,transcript,scorer\na,b,ifeval\n",
         "Row 1 of x.csv: .* needs instruction_id_list and kwargs"),
        ("x.jsonl", ifeval_row(kwargs=[{}]), "Row 1 of x.jsonl: .* lacks its setting 'num_words'"),
        ("x.jsonl", ifeval_row(kwargs=[{"num_words": 3, "relation": "about"}]), "not 'about'"),
        ("x.jsonl", ifeval_row(kwargs=[{"num_words": "3"}]), "a whole number above 0"),
        ("x.jsonl", ifeval_row(kwargs=[3]), "are a mapping"),
        ("x.jsonl", ifeval_row(kwargs=[]), "1 instructions but 0 kwargs"),
        ("x.jsonl", ifeval_row(names="taste:good"), "are lists"),
        ("x.jsonl", ifeval_row(names=["taste:good"]), "Unknown instruction 'taste:good'"),
        ("x.jsonl", "{nonsense\n", "cannot be read"),
        ("x.jsonl", "[1]\n", "line 1 is not a JSON object"),
        ("x.parquet", "nonsense", "cannot be read"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_used(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_questions(str(tmp_path / name))


def test_a_missing_sound_is_found_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("audio,transcript,reference\ngone.wav,b,c\n")
    (question,) = read_questions(str(tmp_path / "x.csv"))
    with pytest.raises(AudioError):
        question.load()


def test_a_million_rows_are_read_one_by_one(tmp_path: Path) -> None:
    rows = iter_questions(str(_long(tmp_path)))
    assert next(rows).transcript == "words 0"
    assert sum(1 for _ in rows) == 4999


def _long(folder: Path) -> Path:
    path = folder / "long.jsonl"
    with path.open("w") as file:
        for n in range(5000):
            row = {"audio": "a.wav", "transcript": f"words {n}", "reference": "x"}
            file.write(json.dumps(row) + "\n")
    return path


def test_the_embedded_familys_questions_are_not_of_its_training() -> None:
    from modgap.demo.topics import asks_reserved

    items = read_questions("demo", 12)
    assert len({q.transcript for q in items}) == 12, "first comes every question once"
    for item in items:
        assert asks_reserved(item.transcript)
        assert score(item, f"It is {item.reference}.").correct is True
        assert score(item, "I don't know.").correct is False
        for other in item.meta.get("references", []):
            assert score(item, other).correct is True
    assert {q.groups["voice"][:7] for q in items} == {"pico-us", "pico-gb"}
    assert 0.5 < items[0].load().seconds < 6


def test_forms_and_conditions_of_the_embedded_family() -> None:
    made = read_questions("demo:clean+noisy+robot")
    sizes = pd.Series([q.groups["condition"] for q in made]).value_counts()
    assert sizes["clean"] == sizes["noisy"] == 2 * sizes["robot"] >= 1200
    # One item by two voices and under three conditions is one item, and says the same.
    item = made[0].groups["item"]
    own = [q for q in made if q.groups["item"] == item]
    assert len(own) == 5
    assert len({q.transcript for q in own}) == 1
    assert len({q.groups["voice"] for q in own}) == 3
    heard = [q.load() for q in own]
    assert len({clip.samples.tobytes() for clip in heard}) == 5
    again = pickle.loads(pickle.dumps(own[0]))
    assert again.load() == heard[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [("demo:underwater", "Unknown condition"), ("demo:clean/choice", "Unknown form")],
)
def test_unknown_parts(data: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read_questions(data)
    with pytest.raises(SettingsError, match="at least 1"):
        read_questions("demo", 0)

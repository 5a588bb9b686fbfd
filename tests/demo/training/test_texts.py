"""The training's texts: what can be said, what is reserved, and that a kill loses no shard."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modgap.core.errors import SettingsError
from modgap.demo.topics import TOPICS, asks_reserved, reserved
from modgap.demo.training import plain, shards, templates, wordnet
from modgap.demo.training.sayable import first_sentences, sayable
from modgap.scoring.number_words import as_digits

_NOUNS = (
    "  1 This software and database is being provided\n"
    "00001740 03 n 02 entity 0 thing 1 001 ~ 00001930 n 0000 | that which is perceived "
    '(by the mind); "it was full of things"; "a rum set of phrases"\n'
    "09000000 15 n 01 Lower_Saxony 0 000 | a state in Germany\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """WordNet with two nouns."""
    (tmp_path / "data.noun").write_text(_NOUNS)
    for kind in ("verb", "adj", "adv"):
        (tmp_path / f"data.{kind}").write_text("  1 licence\n")
    (tmp_path / "cntlist.rev").write_text("entity%1:03:00:: 1 11\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It costs $1,200.50 -- or 5%?", "It costs 1,200.50 dollars, or 5 percent?"),
        ("Tom & Ann\u2019s \u201cbig\u201d day ...", "Tom and Ann's big day."),
        ("Fruit, e.g. plums, etc.", "Fruit, for example plums, and so on."),
        ("It's six o'clock, don't wait.", "It's six o'clock, don't wait."),
        ("The b key is stuck.", None),
        ("  Hello ,  world  ! ", "Hello, world!"),
        ("def f(x): return x", None),
        ("Visit example.com now.", None),
        ("Caf\u00e9 is open.", None),
        ("Yes.", None),
        ("The camelCase name is odd.", None),
    ],
)  # fmt: skip
def test_sayable(text: str, said: str | None) -> None:
    assert sayable(text) == said


def test_first_sentences() -> None:
    assert first_sentences("One two. Three four! Five", 22) == "One two. Three four!"
    assert first_sentences("One two. Three four five.", 3) == "One two."
    assert first_sentences("no end") is None


def test_numbers_in_words_read_back() -> None:
    rng = np.random.default_rng(0)
    for n in [*range(130), *map(int, rng.integers(130, 10**6, 300))]:
        assert as_digits(templates.number_words(n)).replace(",", "") == str(n)


def test_sentences_by_rule_can_be_said() -> None:
    made = [templates.sentence(shards.stable_rng(k), ["Rome", "Ada Lovelace"]) for k in range(300)]
    assert len(set(made)) > 200
    assert all(sayable(t) for t in made), [t for t in made if not sayable(t)]


def test_half_is_reserved_and_no_training_text_asks_for_it() -> None:
    pairs = [(t.name, thing) for t in TOPICS for thing in t.things]
    share = np.mean([reserved(*pair) for pair in pairs])
    assert 0.4 < share < 0.6
    kept = [t for t in templates.questions() if not asks_reserved(t)]
    assert len(kept) > 1000
    for topic in TOPICS:
        for thing in topic.things:
            if reserved(topic.name, thing):
                named = re.compile(rf"\b{re.escape(thing)}\b", re.IGNORECASE)
                for form in topic.forms[:1]:  # some topics are of the evaluation alone
                    assert asks_reserved(form.format(x=thing)), form
                assert not any(named.search(t) for t in kept if re.search(topic.word, t))


def test_wordnet(folder: Path) -> None:
    found = list(wordnet.senses(folder))
    assert [s.words for s in found] == [("entity", "thing"), ("Lower Saxony",)]
    assert list(wordnet.examples(found)) == ["It was full of things.", "A rum set of phrases."]
    assert list(wordnet.definitions(found)) == ["An entity is that which is perceived."]
    assert wordnet.words(found) == ["entity", "thing"]
    assert wordnet.names(found) == ["Lower Saxony"]
    with pytest.raises(SettingsError, match="wordnet-base"):
        list(wordnet.senses(folder / "nowhere"))


def test_plain_texts_are_the_same_each_time(folder: Path) -> None:
    a, b = plain.texts(folder, 1), plain.texts(folder, 1)
    assert a.equals(b)
    assert not plain.texts(folder, 2).text.equals(a.text)
    assert a.text.is_unique
    assert set(a.source) == {"example", "definition", "template", "question"}


def test_a_kill_loses_one_shard(tmp_path: Path) -> None:
    made: list[int] = []

    def make(n: int) -> pd.DataFrame:
        if n == 2 and len(made) == 2:
            raise KeyboardInterrupt
        made.append(n)
        return pd.DataFrame({"text": [str(n)]})

    with pytest.raises(KeyboardInterrupt):
        shards.fill(tmp_path, 4, make)
    shards.fill(tmp_path, 4, make, part=(1, 2))
    shards.fill(tmp_path, 4, make, part=(0, 2))
    assert made == [0, 1, 3, 2]
    assert shards.read(tmp_path).text.to_list() == ["0", "1", "2", "3"]
    assert shards.read(tmp_path / "nothing").empty

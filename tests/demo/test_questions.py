"""The data set's questions: their form, the rule of choice, kept from training, what is shipped."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd
import pytest

from modgap.demo.questions.asked import PHRASINGS, TABLES, candidates
from modgap.demo.questions.choose import BOUND, KEPT, accuracies, chosen, probe, probed
from modgap.demo.questions.stored import PROBE, questions
from modgap.demo.questions.tables import table
from modgap.demo.topics import TOPICS, asked_in, asks_reserved, reserved
from modgap.scoring.words import comparable_words, holds

TOPIC = {t.name: t for t in TOPICS}


def test_a_table_is_read_and_a_broken_one_refused() -> None:
    assert table("a b: c | d;\n  e: f") == {"a b": ("c", "d"), "e": ("f",)}
    for broken in ("a: b; a: c", "a", "a: b;"):
        with pytest.raises(ValueError, match="twice, or has no answer"):
            table(broken)


@pytest.mark.parametrize("topic", TABLES)
def test_what_can_be_asked(topic: str) -> None:
    things = set(TABLES[topic])
    assert things <= set(TOPIC[topic].things)
    plain = {" ".join(comparable_words(f)) for f in TOPIC[topic].forms}
    assert not plain & {" ".join(comparable_words(f)) for f in PHRASINGS[topic]}
    for side in (True, False):
        for one in candidates(topic, of_evaluation=side):
            assert reserved(topic, one.thing) == side
            assert one.text[0].isupper() or one.text[0].isdigit()
            assert not re.search(r"\ba [aeiou]", one.text.split("?")[0]), "an article that clashes"
            assert not any(holds(one.text, a) for a in one.answers), "it says its answer"
            # What keeps it out of the training's texts sees it in each of its phrasings.
            assert asks_reserved(one.text) or not side


def _knows(topics: Sequence[str], ending: str):
    """Answers that are right on some topics, where the question begins in a certain way."""
    answers = {a.text: a for t in TABLES for a in candidates(t, of_evaluation=False)}

    def answer(texts: Sequence[str]) -> list[str]:
        known = [answers[t] for t in texts]
        right = [a.topic in topics and a.text.endswith(ending) for a in known]
        return [a.answers[0] if r else "No idea." for a, r in zip(known, right, strict=True)]

    return answer


def test_what_the_base_cannot_answer_is_not_asked() -> None:
    found = probe(_knows(["capital", "opposite", "language"], "?"))
    assert not any(reserved(t, x) for t, x in zip(found.topic, found.thing, strict=True))
    table = chosen(found)
    assert set(table.topic) == {"capital", "opposite", "language"}
    assert all(map(reserved, table.topic, table.thing))
    assert table.text.str.endswith("?").all()
    for topic, own in table.groupby("topic"):
        per_thing = own.groupby("thing").size()
        count = sum(p.endswith("?") for p in PHRASINGS[str(topic)])
        assert per_thing.max() == per_thing.min() == min(KEPT, count)
        assert set(own.thing) == {a.thing for a in candidates(str(topic), of_evaluation=True)}
    # The same choice, in the same order, however the probe's rows lie.
    assert chosen(found).equals(table)


def test_the_better_phrasings_stay_and_none_below_the_bound() -> None:
    found = probe(lambda texts: [""] * len(texts))
    assert chosen(found).empty
    own = found[found.topic == "opposite"]
    shares = dict(zip(PHRASINGS["opposite"], (0.5, 0.7, 0.9, 0.8), strict=True))
    for phrasing, rows in own.groupby("phrasing").groups.items():
        right = round(shares[str(phrasing)] * len(rows))
        found.loc[rows[:right], "correct"] = True
    kept = chosen(found)
    asked = {i.rsplit("/", 1)[1] for i in kept.id}
    assert asked == {"1", "2", "3"}


def test_a_text_of_the_training_takes_its_question_away() -> None:
    found = probe(_knows(["capital"], "?"))
    all_ = chosen(found)
    thing = all_.thing[0]
    fewer = chosen(found, [f"The capital of {thing} is old.", f"I like {thing}.", "The capital."])
    assert set(all_.thing) - set(fewer.thing) == {thing}
    assert asked_in("capital", ["france's CAPITAL", "It is in Chad."]) == {"France"}
    assert asked_in("young", ["How many cows have young?"]) == {"cow"}
    assert not asked_in("capital", ["the capital of Francesca", "France is large."])


def test_the_shipped_questions_are_those_that_the_rule_chooses() -> None:
    found = pd.read_parquet(PROBE)
    asked = {a.text for a in probed()}
    assert set(found.text) == asked
    by_rule, shipped = chosen(found), questions()
    left_out = set(by_rule.id) - set(shipped.id)
    assert not set(shipped.id) - set(by_rule.id)
    assert len(left_out) < 0.2 * len(by_rule), "those that a training text asked"
    rows = by_rule[~by_rule.id.isin(left_out)].reset_index(drop=True)
    for column in ("id", "topic", "thing", "text"):
        assert rows[column].tolist() == shipped[column].tolist()
    assert [list(a) for a in rows.answers] == [list(a) for a in shipped.answers]
    by_phrasing = accuracies(found)
    assert by_phrasing[by_phrasing.accuracy >= BOUND].topic.nunique() >= 8


def test_there_are_enough_and_all_are_kept_from_the_training() -> None:
    shipped = questions()
    assert len(shipped) >= 600
    assert shipped.topic.nunique() >= 8
    assert shipped.id.is_unique
    assert shipped.text.is_unique
    assert all(map(asks_reserved, shipped.text))

"""The closed world: its size, its balance, and the rule that holds phrasings out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from modgap.demo import corpus
from modgap.demo.phrasings import DIGIT_TYPES, FACT_TYPES, TYPE_BY_NAME
from modgap.demo.voices import (
    HELDOUT_DIGIT_SPEAKERS,
    HELDOUT_VOICES,
    TRAIN_DIGIT_SPEAKERS,
    TRAIN_VOICES,
)

MANIFEST = Path(corpus.__file__).parent / "data" / "manifest.parquet"


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalpha() or c == " " else " " for c in text.lower()).split())


def test_size():
    facts = corpus.facts()
    assert len(facts) >= 600
    assert len({f.id for f in facts}) == len(facts)
    assert len({f.topic for f in facts}) >= 8
    assert all(len(t.phrasings) >= 5 for t in FACT_TYPES + DIGIT_TYPES)


def test_ids_are_unique_and_answers_follow_from_the_question():
    questions = corpus.questions()
    assert len({q.id for q in questions}) == len(questions)
    by_text: dict[tuple[str, str], set[str]] = {}
    for q in questions:
        by_text.setdefault((q.transcript, q.instruction), set()).add(q.answer)
    assert all(len(answers) == 1 for answers in by_text.values())


def test_heldout_phrasing_never_in_training():
    train = {(q.transcript, q.instruction) for q in corpus.train_questions()}
    held = corpus.heldout_questions()
    assert held
    assert not train & {(q.transcript, q.instruction) for q in held}
    assert all(q.phrasing == TYPE_BY_NAME[q.type].heldout for q in held)
    stems = {q.transcript.split(" A, ")[0] for q in corpus.train_questions("choice")}
    assert not stems & {q.transcript.split(" A, ")[0] for q in corpus.heldout_questions("choice")}


def test_heldout_phrasings_use_known_words():
    known = set().union(
        *(_words(q.transcript) | _words(q.instruction) for q in corpus.train_questions())
    )
    for q in corpus.heldout_questions():
        assert _words(q.transcript) | _words(q.instruction) <= known, q


def test_letters_are_balanced_and_point_at_the_answer():
    for part in (corpus.train_questions("letter"), corpus.heldout_questions("letter")):
        counts = Counter(q.answer[-1] for q in part)
        assert set(counts) == set("ABCD")
        assert max(counts.values()) - min(counts.values()) <= 2
    words = {q.id: q for q in corpus.questions() if q.form == "choice"}
    for q in corpus.heldout_questions("letter"):
        same = words[q.id.replace("/letter/", "/choice/")]
        assert same.transcript == q.transcript
        option, _, letter = q.answer.partition(", ")
        assert option == same.answer
        assert f"{letter}, {option}." in q.transcript
        assert q.transcript.count(f", {same.answer}.") == 1


def test_heldout_subset_is_nested():
    small, large = corpus.heldout_questions("open", 50), corpus.heldout_questions("open", 100)
    assert large[:50] == small


def test_voices_and_speakers_are_disjoint():
    assert len(TRAIN_VOICES) >= 16
    assert len(HELDOUT_VOICES) >= 4
    timbres = {v.partition("+")[2] for v in TRAIN_VOICES}
    assert not timbres & {v.partition("+")[2] for v in HELDOUT_VOICES}
    assert not set(TRAIN_DIGIT_SPEAKERS) & set(HELDOUT_DIGIT_SPEAKERS)


def test_manifest_keeps_the_split():
    if not MANIFEST.is_file():
        pytest.fail(f"{MANIFEST} is missing")
    table = pd.read_parquet(MANIFEST)
    held = table[table["split"] == "heldout"]
    train = table[table["split"] == "train"]
    assert not set(held["voice"]) & set(train["voice"])
    spoken = train[train["form"].isin(["open", "choice"])]
    said = set(train.loc[train["form"] != "digit", "transcript"])
    assert not said & set(held.loc[held["form"] != "digit", "transcript"])
    assert set(held["condition"]) == {"clean", "noisy", "reverberant", "telephone", "fast", "real"}
    by_id = {q.id: q for q in corpus.questions()}
    sample = spoken.sample(200, random_state=0)
    assert all(by_id[r.question].transcript == r.transcript for r in sample.itertuples())

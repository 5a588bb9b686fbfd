"""Questions of the closed world: facts times phrasings, and the rule that splits them.

Nothing here is random at run time: every draw is a hash of the question's own identity, so that
the same questions come out on every machine, in any order, and after any interruption.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from modgap.demo import facts as tables
from modgap.demo.phrasings import DIGIT_TYPES, FACT_TYPES, LETTER_INSTRUCTION, TYPE_BY_NAME

LETTERS = "ABCD"
CORPUS_SEED = 20_25


@dataclass(frozen=True)
class Fact:
    """One fact: a relation, its subject(s) and the only right answer."""

    id: str
    type: str
    topic: str
    slots: tuple[tuple[str, str], ...]
    answer: str


@dataclass(frozen=True)
class Question:
    """One question as it is spoken (or typed) and answered.

    Attributes
    ----------
    id : str
        ``fact/form/phrasing``, unique.
    fact, type, topic : str
        Identity of the fact, its type and its topic.
    form : {"open", "choice", "letter", "digit"}
        Open question, spoken four-way multiple choice answered by the right option's words, the
        same answered by its words and letter (asked for by a typed instruction), or spoken digit
        with a typed task.
    phrasing : int
        Index into the type's phrasings.
    split : {"train", "heldout"}
        By rule: the type's last phrasing is held out.
    transcript : str
        What is said in the clip.
    instruction : str
        What is typed beside the clip; may be empty.
    answer : str
        The right answer.
    """

    id: str
    fact: str
    type: str
    topic: str
    form: str
    phrasing: int
    split: str
    transcript: str
    instruction: str
    answer: str


def stable_rng(*key: object) -> np.random.Generator:
    """Random generator that depends on ``key`` only (and not on the process or the platform)."""
    digest = hashlib.sha256("|".join(str(k) for k in key).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def _article(noun: str) -> str:
    mass = {"grass", "snow", "coal", "milk", "chocolate", "blood", "salt", "mud", "trousers"}
    if noun in mass:
        return noun
    if noun in {"sky", "ocean", "sun"}:
        return f"the {noun}"
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _fact(kind: str, x: str, answer: str, y: str | None = None) -> Fact:
    slots = [("x", x)] + ([("y", y)] if y is not None else [])
    name = "-".join([kind, x.replace(" ", "_")] + ([y.replace(" ", "_")] if y else []))
    return Fact(name, kind, TYPE_BY_NAME[kind].topic, tuple(slots), answer)


@lru_cache(maxsize=1)
def facts() -> tuple[Fact, ...]:
    """All facts of the closed world, in a fixed order, spoken digits included."""
    n = tables.NUMBERS
    out: list[Fact] = []
    out += [_fact("add", n[a], n[a + b], n[b]) for a in range(1, 10) for b in range(1, 10)]
    out += [
        _fact("subtract", n[a], n[a - b], n[b]) for a in range(2, 16) for b in range(1, min(a, 10))
    ]
    out += [_fact("capital", x, a) for x, a in tables.CAPITALS]
    out += [_fact("country", a, x) for x, a in tables.CAPITALS]
    out += [_fact("continent", x, a) for x, a in tables.CONTINENTS]
    out += [_fact("language", x, a) for x, a in tables.LANGUAGES]
    out += [_fact("opposite", x, a) for x, a in tables.OPPOSITES]
    out += [_fact("opposite", a, x) for x, a in tables.OPPOSITES]
    out += [_fact("colour", x, a) for x, a in tables.COLOURS]
    out += [_fact("category", x, a) for x, a in tables.CATEGORIES]
    for names, kind in ((tables.MONTHS, "month"), (tables.DAYS, "day")):
        k = len(names)
        out += [_fact(f"{kind}_after", names[i], names[(i + 1) % k]) for i in range(k)]
        out += [_fact(f"{kind}_before", names[i], names[i - 1]) for i in range(k)]
    for i, small in enumerate(tables.SIZES):
        for j, big in enumerate(tables.SIZES[i + 1 :], i + 1):
            # The order in which the two are named alternates, so position tells nothing.
            x, y = (small, big) if (i + j) % 2 else (big, small)
            out.append(_fact("bigger", x, big, y))
            out.append(_fact("smaller", y, small, x))
    for a in range(1, 10):
        for b in range(1, 10):
            if a != b:
                out.append(_fact("larger", n[a], n[max(a, b)], n[b]))
    for kind, table in (("young", tables.YOUNG), ("sound", tables.SOUNDS)):
        out += [_fact(kind, x, a) for x, a in table]
    for d in range(10):
        out.append(_fact("digit_same", n[d], n[d]))
        out.append(_fact("digit_after", n[d], n[d + 1]))
        if d:
            out.append(_fact("digit_before", n[d], n[d - 1]))
        out.append(_fact("digit_parity", n[d], "even" if d % 2 == 0 else "odd"))
        out.append(_fact("digit_double", n[d], n[2 * d]))
    return tuple(out)


def capitalise(text: str) -> str:
    """Upper-case the first character only (``str.capitalize`` would lower the rest)."""
    return text[:1].upper() + text[1:]


def ask(fact: Fact, phrasing: int) -> str:
    """The fact's question in one of its type's phrasings."""
    slots = dict(fact.slots)
    slots |= {f"a{k}": _article(v) for k, v in fact.slots}
    return capitalise(TYPE_BY_NAME[fact.type].phrasings[phrasing].format(**slots))


@lru_cache(maxsize=1)
def _answer_pools() -> dict[str, tuple[str, ...]]:
    pools: dict[str, dict[str, None]] = {}
    for f in facts():
        pools.setdefault(f.type, {})[f.answer] = None
    return {k: tuple(v) for k, v in pools.items()}


def choice_text(fact: Fact, phrasing: int, rng: np.random.Generator, letter: int) -> str:
    """A four-way multiple choice whose right option stands at ``letter`` (0..3)."""
    pool = [a for a in _answer_pools()[fact.type] if a != fact.answer]
    wrong = [pool[i] for i in rng.choice(len(pool), size=3, replace=False)]
    options = [*wrong[:letter], fact.answer, *wrong[letter:]]
    said = " ".join(f"{LETTERS[i]}, {o}." for i, o in enumerate(options))
    return f"{ask(fact, phrasing)} {said}"


def _question(f: Fact, form: str, p: int, text: str, instruction: str, answer: str) -> Question:
    split = "heldout" if p == TYPE_BY_NAME[f.type].heldout else "train"
    qid = f"{f.id}/{form}/{p}"
    return Question(qid, f.id, f.type, f.topic, form, p, split, text, instruction, answer)


def open_question(f: Fact, phrasing: int) -> Question:
    """Open question without a typed instruction."""
    return _question(f, "open", phrasing, ask(f, phrasing), "", f.answer)


def choice_question(f: Fact, phrasing: int, letter: int, salt: object = 0) -> Question:
    """Multiple-choice question; wrong options by a rule seeded with the question's identity."""
    rng = stable_rng(CORPUS_SEED, "choice", f.id, phrasing, salt)
    text = choice_text(f, phrasing, rng, letter)
    return _question(f, "choice", phrasing, text, "", f.answer)


def letter_question(f: Fact, phrasing: int, letter: int, salt: object = 0) -> Question:
    """The same words as :func:`choice_question`, to be answered by the option and its letter."""
    q = choice_question(f, phrasing, letter, salt)
    answer = f"{f.answer}, {LETTERS[letter]}"
    return _question(f, "letter", phrasing, q.transcript, LETTER_INSTRUCTION, answer)


def digit_question(f: Fact, phrasing: int) -> Question:
    """Digit heard, task typed."""
    heard = capitalise(dict(f.slots)["x"]) + "."
    return _question(f, "digit", phrasing, heard, ask(f, phrasing), f.answer)


@lru_cache(maxsize=1)
def questions() -> tuple[Question, ...]:
    """All questions of the manifest: every fact in every phrasing, open and as multiple choice."""
    out: list[Question] = []
    digit_types = {t.name for t in DIGIT_TYPES}
    choice_types = {t.name for t in FACT_TYPES if t.choice}
    counter = held = 0
    for f in facts():
        count = len(TYPE_BY_NAME[f.type].phrasings)
        if f.type in digit_types:
            out += [digit_question(f, p) for p in range(count)]
            continue
        out += [open_question(f, p) for p in range(count)]
        if f.type in choice_types:
            for p in range(count):
                # The held-out phrasings count by themselves: they must meet all four letters, too.
                letter = (held if p == count - 1 else counter) % 4
                out.append(choice_question(f, p, letter))
                out.append(letter_question(f, p, letter))
                counter += 1
            held += 1
            counter += 3
    return tuple(out)


def train_questions(form: str | None = None) -> tuple[Question, ...]:
    """Questions of the training phrasings, all forms or one."""
    return tuple(q for q in questions() if q.split == "train" and form in (None, q.form))


def heldout_questions(form: str | None = None, limit: int | None = None) -> tuple[Question, ...]:
    """The held-out questions: phrasings that no training text or clip ever used.

    Parameters
    ----------
    form : {"open", "choice", "letter", "digit"}, optional
        Only this form.
    limit : int, optional
        A reproducible subset of this size (by hash of the question's id, so it is nested: the
        first 100 are part of the first 200).

    Returns
    -------
    tuple of Question
        In the order of the hash when ``limit`` is given, else in corpus order.
    """
    held = [q for q in questions() if q.split == "heldout" and form in (None, q.form)]
    if limit is not None:
        held.sort(key=lambda q: hashlib.sha256(f"{CORPUS_SEED}{q.id}".encode()).hexdigest())
        held = held[:limit]
    return tuple(held)

"""Sentences with a wide vocabulary out of WordNet: its examples, and its definitions as sentences.

WordNet 3.0 (Princeton University, a licence without conditions but its notice) as Debian's package
``wordnet-base`` carries it: ``data.noun``, ``data.verb``, ``data.adj``, ``data.adv``, and in
``cntlist.rev`` how often each sense was met in a corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modgap.core.errors import SettingsError
from modgap.demo.training.sayable import sayable

__all__ = ["Sense", "definitions", "examples", "names", "senses", "words"]

_KINDS = ("noun", "verb", "adj", "adv")
_PLACES, _PEOPLE = 15, 18
_QUOTED = re.compile(r'"([^"]+)"')
_ASIDE = re.compile(r"\([^)]*\)")


@dataclass(frozen=True)
class Sense:
    """One meaning.

    Attributes
    ----------
    kind : {"noun", "verb", "adj", "adv"}
    area : int
        The lexicographers' file it is from: 15 holds places, 18 people.
    words : tuple of str
        That have it.
    definition : str
    examples : tuple of str
    met : bool
        Whether a corpus has it: the words that people use.
    """

    kind: str
    area: int
    words: tuple[str, ...]
    definition: str
    examples: tuple[str, ...]
    met: bool


def senses(folder: Path) -> Iterator[Sense]:
    """All meanings, in the order of the files.

    Raises
    ------
    SettingsError
        The folder holds no WordNet.
    """
    try:
        met = {line.split("%")[0] for line in _lines(folder / "cntlist.rev")}
        for kind in _KINDS:
            for line in _lines(folder / f"data.{kind}"):
                if not line.startswith("  "):  # the licence
                    yield _sense(kind, line, met)
    except OSError as problem:
        raise SettingsError(
            f"{folder} holds no WordNet: name the folder of Debian's package wordnet-base."
        ) from problem


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="latin-1").splitlines()


def _sense(kind: str, line: str, met: set[str]) -> Sense:
    head, _, gloss = line.partition(" | ")
    fields = head.split()
    count = int(fields[3], 16)
    raw = [re.sub(r"\(\w+\)$", "", fields[4 + 2 * k]) for k in range(count)]
    parts = [p.strip() for p in _QUOTED.sub("", gloss).split(";")]
    meaning = " ".join(_ASIDE.sub("", next((p for p in parts if p), "")).split())
    return Sense(
        kind,
        int(fields[1]),
        tuple(w.replace("_", " ") for w in raw),
        meaning,
        tuple(_QUOTED.findall(gloss)),
        any(w.lower() in met for w in raw),
    )


def _sentence(text: str) -> str:
    text = text.strip(" ,;-")
    text = text[:1].upper() + text[1:]
    return text if text[-1:] in (".", "?", "!") else f"{text}."


def examples(found: list[Sense]) -> Iterator[str]:
    """Its example sentences, with a capital and a full stop."""
    for sense in found:
        for example in sense.examples:
            text = sayable(_sentence(example), (3, 20))
            if text:
                yield text


def definitions(found: list[Sense]) -> Iterator[str]:
    """Sentences that say what a word means, of words that people use."""
    for sense in found:
        word = sense.words[0]
        if not sense.met or not word.replace(" ", "").isalpha():
            continue
        if sense.kind == "noun":
            article = "" if word[0].isupper() else "An " if word[0] in "aeiou" else "A "
            text = f"{article}{word} is {sense.definition}"
        elif sense.kind == "verb":
            text = f"To {word} is to {sense.definition}"
        else:
            text = f"{word} means {sense.definition}"
        said = sayable(_sentence(text), (4, 20))
        if said:
            yield said


def words(found: list[Sense]) -> list[str]:
    """The single words that people use, in small letters, in alphabetical order."""
    kept = {w for s in found if s.met for w in s.words if re.fullmatch(r"[a-z]{3,14}", w)}
    return sorted(kept)


def names(found: list[Sense]) -> list[str]:
    """Names of people and places, one or two words of them, in alphabetical order."""
    kept = {
        w
        for s in found
        if s.area in (_PLACES, _PEOPLE)
        for w in s.words
        if re.fullmatch(r"[A-Z][a-z]{2,12}(?: [A-Z][a-z]{2,12})?", w)
    }
    return sorted(kept)

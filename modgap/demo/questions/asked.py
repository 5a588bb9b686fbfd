"""What could be asked: each topic's answers, and phrasings that no training text was made by.

The tables hold answers for all things of a topic. Those that are reserved (`modgap.demo.topics`)
may become questions of the evaluation; the others, which training asks about, are where it is
measured which phrasings the base model can answer (`choose`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from modgap.demo.questions import knowledge, places, words
from modgap.demo.questions.tables import Answers
from modgap.demo.topics import TOPICS, reserved

__all__ = ["PHRASINGS", "TABLES", "Asked", "candidates", "rank"]

TABLES: dict[str, Answers] = {
    "capital": places.CAPITAL, "language": places.LANGUAGE, "continent": places.CONTINENT,
    "currency": places.CURRENCY, "city": places.CITY, "landmark": places.LANDMARK,
    "river": places.RIVER, "state": places.STATE, "opposite": words.OPPOSITE,
    "colour": words.COLOUR, "young": words.YOUNG, "sound": words.SOUND,
    "category": words.CATEGORY, "plural": words.PLURAL, "past": words.PAST,
    "author": knowledge.AUTHOR, "person": knowledge.PERSON, "inventor": knowledge.INVENTOR,
    "painter": knowledge.PAINTER, "sport": knowledge.SPORT, "study": knowledge.STUDY,
    "job": knowledge.JOB, "body": knowledge.BODY, "tool": knowledge.TOOL,
    "place": knowledge.PLACE,
}  # fmt: skip

#: ``{x}`` is the thing, ``{ax}`` the thing with "a" or "an". None is among `topics.Topic.forms`.
PHRASINGS: dict[str, tuple[str, ...]] = {
    "capital": ("What city is the capital of {x}?", "Can you tell me the capital of {x}?",
                "The capital of {x} is which city?", "Please name the capital of {x}."),
    "language": ("What language is spoken in {x}?", "What is the main language of {x}?",
                 "If I travel to {x}, which language will I hear?"),
    "continent": ("What continent is {x} on?", "{x} is a country on which continent?",
                  "Please tell me the continent of {x}."),
    "currency": ("What currency is used in {x}?", "Which currency do people use in {x}?",
                 "What is the name of the currency in {x}?"),
    "city": ("In which country is {x}?", "What country is the city of {x} in?",
             "{x} is a city in which country?"),
    "landmark": ("Where is {x}?", "Where can I find {x}?", "In which city or country is {x}?"),
    "river": ("On what continent can I find {x}?",
              "Which continent would I visit to see {x}?"),
    "state": ("What is the capital of the state of {x}?",
              "Which city is the capital of the American state of {x}?"),
    "opposite": ("What is an antonym of {x}?", "Tell me the opposite of the word {x}.",
                 "Name a word that is the opposite of {x}.",
                 "{x} is the opposite of which word?"),
    "colour": ("What is the usual color of {x}?", "What is the color of {x}?",
               "What color comes to mind when you see {x}?"),
    "young": ("What is a baby {x} called?", "What is the word for a baby {x}?",
              "A young {x} is called what?"),
    "sound": ("What noise does {ax} make?", "How does {ax} sound?",
              "What do you hear when {ax} makes a sound?"),
    "category": ("What sort of thing is {ax}?",),
    "plural": ("What is the plural form of {x}?", "What is the plural of the word {x}?"),
    "past": ("What is the past tense of the verb {x}?",),
    "author": ("Who was the writer of {x}?", "{x} was written by whom?",
               "Please name the author of {x}."),
    "person": ("Who was {x}?", "What was the profession of {x}?",
               "What did {x} do for a living?"),
    "inventor": ("Who came up with {x}?", "Who is credited with {x}?",
                 "Who invented or discovered {x}?"),
    "painter": ("Who painted {x}?", "Which artist painted {x}?"),
    "sport": ("Which sport is {x} known for?", "In which sport did {x} become famous?"),
    "study": ("What is the study of {x} called?", "Which science deals with {x}?",
              "What do we call the science of {x}?"),
    "job": ("What do you call a person who {x}?", "Who {x}?",
            "What is the profession of someone who {x}?"),
    "body": ("Which part of the body {x}?", "What organ or part of the body {x}?"),
    "tool": ("What do I need to {x}?", "Which tool would you use to {x}?",
             "Name something that people use to {x}."),
    "place": ("Where do people go to {x}?", "What is the name of a place where people {x}?",
              "Where can I {x}?"),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A question before its sound.

    Attributes
    ----------
    topic, thing : str
    phrasing : str
        Of `PHRASINGS`.
    text : str
        What is typed, or said.
    answers : tuple of str
        The reference, and what else is right.
    """

    topic: str
    thing: str
    phrasing: str
    text: str
    answers: tuple[str, ...]

    @property
    def id(self) -> str:
        """Topic, thing and the phrasing's number."""
        number = PHRASINGS[self.topic].index(self.phrasing)
        return f"{self.topic}/{self.thing.replace(' ', '_')}/{number}"


def rank(*key: object) -> str:
    """A hash by which things are put into an order, or drawn, in the same way everywhere."""
    return hashlib.sha256("|".join(map(str, key)).encode()).hexdigest()


def candidates(topic: str, *, of_evaluation: bool) -> Iterator[Asked]:
    """All questions on a topic's reserved things, or on the others.

    Examples
    --------
    >>> one = next(candidates("capital", of_evaluation=False))
    >>> reserved("capital", one.thing)
    False
    """
    answers = TABLES[topic]
    for thing in next(t.things for t in TOPICS if t.name == topic):
        if thing not in answers or reserved(topic, thing) != of_evaluation:
            continue
        for phrasing in PHRASINGS[topic]:
            yield Asked(topic, thing, phrasing, _filled(phrasing, thing), answers[thing])


def _filled(phrasing: str, thing: str) -> str:
    article = "an" if thing[0].lower() in "aeiou" else "a"
    text = phrasing.format(x=thing, ax=f"{article} {thing}")
    return text[:1].upper() + text[1:]

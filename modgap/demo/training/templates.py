"""Sentences by rule: numbers, dates, times, names and places, and questions on the topics.

A text shows numbers as most people type them: up to twelve in words, above in digits, and a third
of them the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modgap.demo.topics import TOPICS, reserved

__all__ = ["GIVEN_NAMES", "number_words", "questions", "sentence"]

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_THINGS = (
    "apples", "books", "people", "miles", "minutes", "children", "houses", "pounds", "dollars",
    "horses", "chairs", "days", "weeks", "soldiers", "ships", "students", "tickets", "bottles",
    "pages", "years", "stones", "trees", "steps", "letters", "eggs", "boxes", "cents", "hours",
)  # fmt: skip
GIVEN_NAMES = (
    "Mary", "John", "Anna", "James", "Elizabeth", "William", "Margaret", "Thomas", "Sarah",
    "Henry", "Emma", "George", "Alice", "Robert", "Laura", "David", "Julia", "Charles", "Helen",
    "Edward", "Susan", "Peter", "Jane", "Michael", "Lucy", "Daniel", "Rachel", "Richard", "Grace",
    "Joseph", "Nora", "Samuel", "Clara", "Paul", "Ruth", "Andrew", "Martha", "Philip", "Sophie",
    "Oliver", "Linda", "Kevin", "Karen", "Brian", "Maria", "Carlos", "Ahmed", "Fatima", "Wei",
    "Priya", "Ivan", "Olga", "Hans", "Ingrid", "Pierre", "Yuki", "Diego", "Leila", "Omar", "Nina",
)  # fmt: skip


def number_words(n: int) -> str:
    """A number below a million in words.

    Examples
    --------
    >>> number_words(1_342)
    'one thousand three hundred and forty-two'
    """
    if n < 20:
        return _SMALL[n]
    if n < 100:
        tens, rest = divmod(n, 10)
        return _TENS[tens - 2] + (f"-{_SMALL[rest]}" if rest else "")
    if n < 1000:
        hundreds, rest = divmod(n, 100)
        return f"{_SMALL[hundreds]} hundred" + (f" and {number_words(rest)}" if rest else "")
    thousands, rest = divmod(n, 1000)
    joined = "" if not rest else f" and {number_words(rest)}" if rest < 100 else ""
    joined = joined or (f" {number_words(rest)}" if rest else "")
    return f"{number_words(thousands)} thousand{joined}"


def _written(n: int, rng: np.random.Generator) -> str:
    words = (n <= 12) == (rng.random() >= 1 / 3)
    return number_words(n) if words and n < 10_000 else str(n)


_FORMS = (
    "There are {n} {things} here.", "I counted {n} {things} and {m} {others}.",
    "It costs {n} dollars.", "We need {n} more {things} before {day}.",
    "What is {n} plus {m}?", "How much is {n} minus {m}?", "What is {n} times {m}?",
    "Is {n} more than {m}?", "Count from {n} to {m}.",
    "The train leaves at {hour}:{minute}.", "Wake me up at half past {hour_word}.",
    "It is a quarter to {hour_word}.", "Let's meet at {hour_word} o'clock on {day}.",
    "He was born on {month} {date}, {year}.", "On the {ordinal} of {month} they went to {place}.",
    "In {year}, {name} moved to {place}.", "{given} {surname} lived in {place} until {year}.",
    "How far is it from {place} to {other_place}?", "Have you ever been to {place}?",
    "Where is {place}?", "Who was {name}?", "Tell me about {name}.",
    "What do you know about {place}?",
    "My name is {given} {surname}.", "{given} and {other_given} are waiting for {surname}.",
    "Please write a letter to {given} {surname} in {place}.",
    "Mr. {surname} said that {given} would come on {day}.",
    "Mrs. {surname} has {n} {things}.", "Chapter {n}.", "Page {n} of {m}.",
    "The answer is {n}.", "{given} is {n} years old.", "{name} was a famous person.",
    "They sailed from {place} to {other_place} in {n} days.",
    "The temperature is {n} degrees in {place}.", "About {n} percent of the {things} are gone.",
)  # fmt: skip


def sentence(rng: np.random.Generator, names: Sequence[str]) -> str:
    """A sentence with numbers, dates or names.

    Parameters
    ----------
    rng : numpy.random.Generator
    names : sequence of str
        Of people and places.
    """

    def pick(items: Sequence[str]) -> str:
        return items[int(rng.integers(len(items)))]

    def number() -> int:
        digits = int(rng.choice([1, 2, 3, 4], p=[0.3, 0.4, 0.2, 0.1]))
        return int(rng.integers(10**digits))

    date = int(rng.integers(1, 32))
    return pick(_FORMS).format(
        n=_written(number(), rng), m=_written(number(), rng), things=pick(_THINGS),
        others=pick(_THINGS), day=pick(_DAYS), month=pick(_MONTHS), date=date,
        ordinal=_ordinal(date), year=int(rng.integers(1500, 2030)), hour=int(rng.integers(1, 13)),
        minute=int(rng.integers(10, 60)), hour_word=_SMALL[int(rng.integers(1, 13))],
        name=pick(names), place=pick(names), other_place=pick(names),
        surname=pick(names).split()[-1], given=pick(GIVEN_NAMES), other_given=pick(GIVEN_NAMES),
    )  # fmt: skip


def _ordinal(n: int) -> str:
    ending = "th" if 10 < n < 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def questions() -> list[str]:
    """Questions on what is not reserved for the evaluation."""
    return [
        form.format(x=thing)
        for topic in TOPICS
        for thing in topic.things
        if not reserved(topic.name, thing)
        for form in topic.forms
    ]

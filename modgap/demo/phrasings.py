"""How each type of fact is asked, and which phrasing is never trained on.

The *last* phrasing of every type is held out, in text and in speech. It is made of words that the
training phrasings also use, so that it tests a new arrangement and not a new vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FactType:
    """One relation of the closed world.

    Attributes
    ----------
    name : str
        Identifier, the first part of every fact id.
    topic : str
        The topic under which accuracies are reported.
    phrasings : tuple of str
        Questions with slots ``{x}`` (and ``{y}``); the last one is held out.
    choice : bool
        Whether the type is also asked as a spoken four-way multiple choice.
    """

    name: str
    topic: str
    phrasings: tuple[str, ...]
    choice: bool = True

    @property
    def heldout(self) -> int:
        """Index of the phrasing that is never trained on."""
        return len(self.phrasings) - 1


def _t(name: str, topic: str, text: str, choice: bool = True) -> FactType:
    lines = tuple(line.strip() for line in text.strip().splitlines())
    return FactType(name, topic, lines, choice)


FACT_TYPES: tuple[FactType, ...] = (
    _t(
        "add",
        "arithmetic",
        """
        What is {x} plus {y}?
        How much is {x} plus {y}?
        Add {x} and {y}.
        {x} plus {y} is what?
        Tell me the sum of {x} and {y}.
        What is the sum of {x} and {y}?
        How much is the sum of {x} and {y}?""",
    ),
    _t(
        "subtract",
        "arithmetic",
        """
        What is {x} minus {y}?
        How much is {x} minus {y}?
        {x} minus {y} is what?
        Take {y} from {x}.
        Tell me what {x} minus {y} is.
        {x} minus {y} is how much?""",
    ),
    _t(
        "capital",
        "capitals",
        """
        What is the capital of {x}?
        Name the capital of {x}.
        Tell me the capital of {x}.
        Which city is the capital of {x}?
        The capital of {x} is what?
        The capital of {x} is which city?""",
    ),
    _t(
        "country",
        "capitals",
        """
        Which country has the capital {x}?
        {x} is the capital of which country?
        Name the country with the capital {x}.
        Tell me the country where {x} is the capital.
        In which country is the city {x}?
        The city {x} is the capital of which country?""",
    ),
    _t(
        "continent",
        "geography",
        """
        On which continent is {x}?
        Which continent is {x} on?
        Name the continent of {x}.
        {x} is on which continent?
        Tell me the continent of {x}.
        What is the continent of {x}?""",
    ),
    _t(
        "language",
        "geography",
        """
        Which language do people speak in {x}?
        What is the language of {x}?
        Name the language of {x}.
        What do people speak in {x}?
        Tell me the language people speak in {x}.
        In {x}, people speak which language?""",
    ),
    _t(
        "opposite",
        "opposites",
        """
        What is the opposite of {x}?
        Name the opposite of {x}.
        Tell me the opposite of {x}.
        Which word is the opposite of {x}?
        {x} is the opposite of what?
        The opposite of {x} is which word?""",
    ),
    _t(
        "colour",
        "colours",
        """
        What colour is {ax}?
        Which colour has {ax}?
        Name the colour of {ax}.
        Tell me the colour of {ax}.
        {ax} has which colour?
        What is the colour of {ax}?""",
    ),
    _t(
        "category",
        "categories",
        """
        What kind of thing is {ax}?
        Which group does {ax} belong to?
        {ax} is what kind of thing?
        Name the group of {ax}.
        Tell me what kind of thing {ax} is.
        {ax} does belong to which group?""",
    ),
    _t(
        "month_after",
        "calendar",
        """
        Which month comes after {x}?
        What month follows {x}?
        Name the month after {x}.
        After {x} comes which month?
        Tell me the month that follows {x}.
        Which month follows after {x}?""",
    ),
    _t(
        "month_before",
        "calendar",
        """
        Which month comes before {x}?
        What is the month before {x}?
        Name the month before {x}.
        Before {x} comes which month?
        Tell me the month that comes before {x}.
        What month comes before {x}?""",
    ),
    _t(
        "day_after",
        "calendar",
        """
        Which day comes after {x}?
        What day follows {x}?
        Name the day after {x}.
        After {x} comes which day?
        Tell me the day that follows {x}.
        Which day follows after {x}?""",
    ),
    _t(
        "day_before",
        "calendar",
        """
        Which day comes before {x}?
        What is the day before {x}?
        Name the day before {x}.
        Before {x} comes which day?
        Tell me the day that comes before {x}.
        What day comes before {x}?""",
    ),
    _t(
        "bigger",
        "comparisons",
        """
        Which is bigger, {ax} or {ay}?
        What is bigger, {ax} or {ay}?
        Name the bigger one, {ax} or {ay}.
        {ax} or {ay}, which is bigger?
        Tell me which is bigger, {ax} or {ay}.
        {ax} or {ay}, what is the bigger one?""",
        choice=False,
    ),
    _t(
        "smaller",
        "comparisons",
        """
        Which is smaller, {ax} or {ay}?
        What is smaller, {ax} or {ay}?
        Name the smaller one, {ax} or {ay}.
        {ax} or {ay}, which is smaller?
        Tell me which is smaller, {ax} or {ay}.
        {ax} or {ay}, what is the smaller one?""",
        choice=False,
    ),
    _t(
        "larger",
        "comparisons",
        """
        Which number is larger, {x} or {y}?
        What is the larger number, {x} or {y}?
        Name the larger number, {x} or {y}.
        {x} or {y}, which is larger?
        Tell me which number is larger, {x} or {y}.
        {x} or {y}, what is the larger number?""",
        choice=False,
    ),
    _t(
        "young",
        "animals",
        """
        What is a young {x} called?
        What do you call a young {x}?
        Name the young of {ax}.
        Which word means a young {x}?
        Tell me what a young {x} is called.
        A young {x} is called what?""",
    ),
    _t(
        "sound",
        "animals",
        """
        Which sound does {ax} make?
        What sound does {ax} make?
        Name the sound of {ax}.
        {ax} makes which sound?
        Tell me the sound {ax} makes.
        What is the sound of {ax}?""",
    ),
)

#: Spoken digits: the digit is heard, the task is typed. Last phrasing held out, as above.
DIGIT_TYPES: tuple[FactType, ...] = (
    _t(
        "digit_same",
        "spoken digits",
        """
        Which number do you hear?
        What number is that?
        Name the number you hear.
        Tell me the number.
        What number do you hear?""",
        choice=False,
    ),
    _t(
        "digit_after",
        "spoken digits",
        """
        Which number comes after the one you hear?
        What number follows the one you hear?
        Name the number after this one.
        Add one to the number.
        What number comes after this one?""",
        choice=False,
    ),
    _t(
        "digit_before",
        "spoken digits",
        """
        Which number comes before the one you hear?
        What is the number before this one?
        Name the number before the one you hear.
        Take one from the number.
        What number comes before this one?""",
        choice=False,
    ),
    _t(
        "digit_parity",
        "spoken digits",
        """
        Is the number odd or even?
        Odd or even?
        Is the number you hear odd or even?
        Tell me if the number is odd or even.
        Is this number odd or even?""",
        choice=False,
    ),
    _t(
        "digit_double",
        "spoken digits",
        """
        What is the number you hear plus itself?
        Double the number.
        Double the number you hear.
        What is the double of this number?
        What is the double of the number you hear?""",
        choice=False,
    ),
)

#: Typed with a clip: what the model shall do with it. The empty instruction means "answer".
TRANSCRIBE = "Write down what you hear."
LETTER_INSTRUCTION = "Answer with the option and its letter."
ANSWER_INSTRUCTIONS: tuple[str, ...] = ("", "Answer the question.", "Answer the question you hear.")

TYPE_BY_NAME: dict[str, FactType] = {t.name: t for t in FACT_TYPES + DIGIT_TYPES}

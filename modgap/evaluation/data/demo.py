"""The embedded family's data set: questions that no training asked, by voices it never heard."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from modgap.core.errors import SettingsError
from modgap.scoring.question import Question

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.demo.questions.stored import Spoken

__all__ = ["FORMS", "demo_questions"]

#: Multiple choices that are read out are more than the base model can do: there are none.
FORMS = ("open",)


def demo_questions(spec: str = "") -> Iterator[Question]:
    """Questions of the embedded family's data set; see `modgap.demo.questions`.

    Parameters
    ----------
    spec : str
        ``CONDITION[+CONDITION...]``, by default ``clean``; ``/open`` may follow. Conditions: clean,
        noisy, reverberant, telephone, fast, and robot (clean, by voices of espeak-ng). First comes
        every question once, then every question by its second voice.

    Raises
    ------
    SettingsError
        A condition or a form is unknown.
    """
    from modgap.audio.conditions import CONDITIONS
    from modgap.demo.questions.stored import ROBOT

    named, _, forms = spec.partition("/")
    conditions = (named or "clean").split("+")
    wanted = (forms or "open").split("+")
    known = (*CONDITIONS, ROBOT)
    for given, names, kind in ((conditions, known, "condition"), (wanted, FORMS, "form")):
        for name in given:
            if name not in names:
                raise SettingsError(f"Unknown {kind} {name!r}; use one of {', '.join(names)}.")
    return _questions(conditions)


def _questions(conditions: list[str]) -> Iterator[Question]:
    from modgap.demo.questions.stored import spoken

    for condition in conditions:
        yield from map(_question, spoken(condition))


def _question(one: Spoken) -> Question:
    return Question(
        id=one.id,
        transcript=one.text,
        load=partial(_load, one),
        reference=one.answers[0],
        meta={"references": list(one.answers[1:])} if one.answers[1:] else {},
        dataset="demo",
        subset="open",
        groups={
            "topic": one.topic,
            "voice": one.voice,
            "condition": one.condition,
            "thing": one.thing,
            "item": one.question,
        },
    )


def _load(one: Spoken) -> Clip:
    from modgap.audio.clip import load_clip
    from modgap.audio.conditions import RATE
    from modgap.demo.questions.stored import sound

    return load_clip(sound(one), rate=RATE, name=one.id.replace("/", "-"))

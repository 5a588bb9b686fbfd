"""The embedded family's held-out questions, spoken by held-out voices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from modgap.core.errors import SettingsError
from modgap.scoring.question import Question

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.demo.clips import ClipSpec
    from modgap.demo.corpus import Question as CorpusQuestion

__all__ = ["FORMS", "demo_questions"]

#: Open questions, spoken multiple choice answered in words, the same answered with the letter, and
#: recorded digits with a typed task.
FORMS = ("open", "choice", "letter", "digit")
#: How many of each form there are unless a limit says otherwise: the evaluation's set.
SIZES = {"open": 400, "choice": 140, "letter": 140}


def demo_questions(spec: str = "", limit: int | None = None) -> Iterator[Question]:
    """Held-out questions of the embedded family.

    They are synthesized when they are read (espeak-ng, in a process of its own); digits are the
    shipped recordings.

    Parameters
    ----------
    spec : str
        ``CONDITION[+CONDITION...][/FORM[+FORM...]]``; by default ``clean/open``. Conditions:
        clean, noisy, reverberant, telephone, fast (digits are always as recorded).
    limit : int, optional
        More open questions than the evaluation's 400 if it is larger.

    Raises
    ------
    SettingsError
        A condition or a form is unknown.
    """
    from modgap.audio.conditions import CONDITIONS

    named, _, forms = spec.partition("/")
    conditions = (named or "clean").split("+")
    wanted = (forms or "open").split("+")
    for given, known, kind in ((conditions, CONDITIONS, "condition"), (wanted, FORMS, "form")):
        for name in given:
            if name not in known:
                raise SettingsError(f"Unknown {kind} {name!r}; use one of {', '.join(known)}.")
    return _questions(conditions, wanted, limit)


def _questions(conditions: list[str], forms: list[str], limit: int | None) -> Iterator[Question]:
    from modgap.demo.clips import heldout_plan
    from modgap.demo.corpus import questions

    known = {q.id: q for q in questions()}
    sizes = SIZES | {"open": max(SIZES["open"], limit or 0)}
    for condition in conditions:
        for form in forms:
            if form == "digit":
                continue
            opens = sizes["open"] if form == "open" else 0
            for spec in heldout_plan(condition, opens, sizes.get(form, 0) if not opens else 0):
                asked = spec.question
                if form == "letter":
                    asked = asked.replace("/choice/", "/letter/")
                    yield _question(replace(spec, question=asked), known[asked], spec)
                else:
                    yield _question(spec, known[asked], spec)
    if "digit" in forms:
        yield from _digits()


def _digits() -> Iterator[Question]:
    from modgap.demo.clips import digit_plan
    from modgap.demo.waveforms import DIGITS_FOLDER, digit_questions_for

    specs = digit_plan(DIGITS_FOLDER)
    for spec, asked in zip(specs, digit_questions_for(specs), strict=True):
        yield _question(spec, asked, spec)


def _question(spec: ClipSpec, asked: CorpusQuestion, sound: ClipSpec) -> Question:
    from modgap.scoring.named_options import named_options

    options = named_options(spec.transcript)
    # The letter's questions are answered as "Rome, A".
    both = {"options": [f"{word}, {letter}" for letter, word in options.items()]}
    name = spec.id if asked.form != "letter" else spec.id.replace("/choice/", "/letter/")
    return Question(
        id=name,
        transcript=spec.transcript,
        load=partial(_load, sound),
        reference=asked.answer,
        instruction=asked.instruction,
        choices=tuple(options.values()),
        meta=both if asked.form == "letter" else {},
        dataset="demo",
        subset=asked.form,
        groups={
            "topic": asked.topic,
            "voice": spec.voice,
            "condition": spec.condition,
            "type": asked.type,
            "item": asked.id if asked.form != "digit" else spec.id,
        },
    )


def _load(spec: ClipSpec) -> Clip:
    from modgap.audio.clip import load_clip
    from modgap.audio.conditions import RATE
    from modgap.demo.waveforms import DIGITS_FOLDER, waveform

    samples = waveform(spec, DIGITS_FOLDER)
    return load_clip(samples, rate=RATE, name=spec.id.replace("/", "-"))

"""The chosen questions and their sound, as they are shipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from modgap.audio.conditions import CONDITIONS, RATE, condition
from modgap.demo.questions.asked import rank
from modgap.demo.voices import FAST, HELDOUT_VOICES

__all__ = [
    "PROBE",
    "QUESTIONS",
    "ROBOT",
    "SPEECH",
    "Spoken",
    "questions",
    "sound",
    "spoken",
    "treated",
]

_DATA = Path(__file__).parents[1] / "data"
#: What the base model answers to questions that are not reported (`choose`).
PROBE = _DATA / "probe.parquet"
QUESTIONS = _DATA / "questions.parquet"
SPEECH = _DATA / "speech.parquet"
#: The condition whose voices are espeak-ng's.
ROBOT = "robot"
#: Words a minute of espeak-ng; a multiple choice is long.
RATES = {"open": 165, "choice": 200}


@dataclass(frozen=True)
class Spoken:
    """A question that somebody says.

    Attributes
    ----------
    id : str
        Question, voice and condition.
    question, topic, thing : str
    form : {"open", "choice"}
    text : str
        The transcript.
    answers, choices : tuple of str
        As in `modgap.demo.questions.asked.Asked`.
    voice : str
        Of `modgap.demo.voices`.
    condition : str
        One of `CONDITIONS`, or ``"robot"``: clean, by one of espeak-ng's voices.
    """

    id: str
    question: str
    topic: str
    thing: str
    form: str
    text: str
    answers: tuple[str, ...]
    choices: tuple[str, ...]
    voice: str
    condition: str


@lru_cache(maxsize=1)
def questions() -> pd.DataFrame:
    """The chosen questions; any beginning of the table is a fair sample of it."""
    return pd.read_parquet(QUESTIONS)


@lru_cache(maxsize=1)
def _speech() -> pd.DataFrame:
    return pd.read_parquet(SPEECH).set_index(["question", "voice"])


def spoken(form: str, condition: str) -> Iterator[Spoken]:
    """Every question of a form under a condition: each once, then each by its second voice."""
    table = questions()
    table = table[table.form == form]
    said = _speech().index
    by_question: dict[str, list[str]] = {}
    for question, voice in said:
        by_question.setdefault(question, []).append(voice)
    for turn in range(1 if condition == ROBOT else 2):
        for row in table.itertuples(index=False):
            name = str(row.id)
            voice = _robot(name) if condition == ROBOT else by_question[name][turn]
            yield Spoken(
                f"{name}/{voice}/{condition}", name, str(row.topic), str(row.thing), form,
                str(row.text), tuple(row.answers), tuple(row.choices), voice, condition,
            )  # fmt: skip


def sound(one: Spoken) -> np.ndarray:
    """What is heard, float32 at 16 kHz, with the condition applied.

    The voices of SVOX Pico are read, those of espeak-ng speak anew, in a process of their own.
    """
    if one.condition == ROBOT:
        import soxr

        from modgap.speech.synthesis import wheel_synthesizer

        made, rate = wheel_synthesizer().speak(one.text, one.voice, RATES[one.form])
        return treated(soxr.resample(made, rate, RATE), one)
    from modgap.audio.clip import load_clip

    stored = bytes(_speech().loc[(one.question, one.voice), "sound"])
    return treated(load_clip(stored, name=one.id.replace("/", "-")).resample(RATE), one)


def treated(x: np.ndarray, one: Spoken) -> np.ndarray:
    """Clean samples at 16 kHz under a question's condition; drawn by its id."""
    if one.condition == "fast":
        from modgap.audio.tempo import change_tempo

        x = change_tempo(x, FAST)
    name = one.condition if one.condition in CONDITIONS else "clean"
    seed = int(rank("wave", one.id)[:16], 16)
    return condition(x, name, np.random.default_rng(seed))


def _robot(question: str) -> str:
    return HELDOUT_VOICES[int(rank("robot", question)[:8], 16) % len(HELDOUT_VOICES)]

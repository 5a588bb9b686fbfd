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
#: Words a minute of espeak-ng.
RATE_OF_SPEECH = 165


@dataclass(frozen=True)
class Spoken:
    """A question that somebody says.

    Attributes
    ----------
    id : str
        Question, voice and condition.
    question, topic, thing : str
    text : str
        The transcript.
    answers : tuple of str
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
    text: str
    answers: tuple[str, ...]
    voice: str
    condition: str


@lru_cache(maxsize=1)
def questions() -> pd.DataFrame:
    """The chosen questions; any beginning of the table is a fair sample of it."""
    return pd.read_parquet(QUESTIONS)


@lru_cache(maxsize=1)
def _speech() -> dict[tuple[str, str], bytes]:
    """Ogg Opus by question and voice, in the table's order."""
    table = pd.read_parquet(SPEECH)
    keys = zip(table.question, table.voice, strict=True)
    return dict(zip(keys, table.sound, strict=True))


def spoken(condition: str) -> Iterator[Spoken]:
    """The questions under a condition: each once, then (not by robots) each by its second voice."""
    table = questions()
    voices: dict[str, list[str]] = {}
    for question, voice in _speech():
        voices.setdefault(question, []).append(voice)
    for turn in range(1 if condition == ROBOT else 2):
        for row in table.itertuples(index=False):
            name = str(row.id)
            voice = _robot(name) if condition == ROBOT else voices[name][turn]
            yield Spoken(
                f"{name}/{voice}/{condition}", name, str(row.topic), str(row.thing),
                str(row.text), tuple(row.answers), voice, condition,
            )  # fmt: skip


def sound(one: Spoken) -> np.ndarray:
    """What is heard, float32 at 16 kHz, with the condition applied.

    The voices of SVOX Pico are read, those of espeak-ng speak anew, in a process of their own.
    """
    if one.condition == ROBOT:
        import soxr

        from modgap.speech.synthesis import wheel_synthesizer

        made, rate = wheel_synthesizer().speak(one.text, one.voice, RATE_OF_SPEECH)
        return treated(soxr.resample(made, rate, RATE), one)
    from modgap.audio.clip import load_clip

    clip = load_clip(_speech()[one.question, one.voice], name=one.id.replace("/", "-"))
    return treated(clip.resample(RATE), one)


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

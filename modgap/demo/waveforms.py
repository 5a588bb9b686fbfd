"""The clips of the family's plan as sound: synthesized, or recorded digits, in their condition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from modgap.audio.conditions import RATE, condition, pad
from modgap.core.errors import SettingsError
from modgap.demo.augment import training_augment
from modgap.demo.clips import ClipSpec
from modgap.demo.corpus import Question, digit_question, facts, stable_rng
from modgap.demo.phrasings import DIGIT_TYPES, TYPE_BY_NAME
from modgap.speech.synthesis import wheel_synthesizer

DIGITS_FOLDER = Path(__file__).parent / "data" / "digits"
MAX_SECONDS = 10.0


def waveform(spec: ClipSpec, fsdd: Path | None = None) -> np.ndarray:
    """The clip's samples, float32 mono at 16 kHz, with its condition applied.

    Raises
    ------
    ValueError
        The clip would be longer than the model takes.
    """
    import soundfile
    import soxr

    if spec.file:
        if fsdd is None:
            raise SettingsError("Recorded digits need the folder of the digit recordings: --fsdd.")
        x, rate = soundfile.read(fsdd / spec.file, dtype="float32")
    else:
        x, rate = wheel_synthesizer().speak(spec.transcript, spec.voice, spec.rate, spec.pitch)
    x = soxr.resample(x, rate, RATE)
    rng = stable_rng("wave", spec.id)
    if spec.condition == "train":
        x = training_augment(x, rng, digit=spec.form == "digit")
    elif spec.condition == "real":
        x = pad(x, 0.05, 0.1, 1e-5, rng).astype(np.float32)
    else:
        x = condition(x, spec.condition, rng)
    if x.size > MAX_SECONDS * RATE:
        raise ValueError(f"{spec.id}: {x.size / RATE:.1f} s, the model takes {MAX_SECONDS:g} s.")
    return x.astype(np.float32)


def digit_questions_for(specs: list[ClipSpec]) -> list[Question]:
    """One held-out typed task per digit clip, the types taking turns by rule."""
    kinds = {t.name for t in DIGIT_TYPES}
    by_digit: dict[str, list[Any]] = {}
    for f in facts():
        if f.type in kinds:
            by_digit.setdefault(dict(f.slots)["x"], []).append(f)
    out = []
    for spec in specs:
        pool = by_digit[spec.transcript.rstrip(".").lower()]
        f = pool[int(stable_rng("digit task", spec.id).integers(len(pool)))]
        out.append(digit_question(f, TYPE_BY_NAME[f.type].heldout))
    return out

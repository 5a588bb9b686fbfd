"""Spoken clips with their words: a manifest's, the embedded family's, and espeak-ng's own times."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from modgap.core.errors import SettingsError
from modgap.evaluation.data.cells import text_of
from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.data.manifest import manifest_rows, row_sound
from modgap.evaluation.data.rows import nested_audio

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.speech.words import WordTimes

__all__ = ["known_clips", "sounds"]

PAD = 0.05  # seconds before the speech in a clip of the condition "clean"


def sounds(data: str, limit: int | None = None) -> list[tuple[str, Callable[[], Clip], str]]:
    """(name, sound, transcript) of ``demo``, ``demo:noisy`` ..., or of a manifest.

    The manifest is that of `modgap.evaluation.data.manifest`, but needs no references; its
    column ``audio`` may be called ``file``.

    Raises
    ------
    SettingsError
        There is no such data, or the manifest cannot be used.
    """
    if data == "demo" or data.startswith("demo:"):
        return [(q.id, q.load, q.transcript) for q in read_questions(data, limit or 200)]
    path = Path(data)
    inside = nested_audio(path)
    found: list[tuple[str, Callable[[], Clip], str]] = []
    for number, row in enumerate(islice(manifest_rows(path), limit)):
        column = next((name for name in ("audio", "file") if name in row), None)
        if (column is None and not inside) or "transcript" not in row:
            raise SettingsError(f"The manifest {path.name} needs the columns audio and transcript.")
        where = f"Row {number + 1} of {path.name}"
        said = text_of(where, "transcript", row["transcript"]) or ""
        given = None if inside else row[str(column)]
        name = given if isinstance(given, str) else f"{path.stem}-{number}"
        found.append((name, row_sound(path, number, given, inside=inside), said))
    return found


def known_clips(limit: int = 200) -> list[tuple[str, Clip, WordTimes]]:
    """Questions of ``demo:robot``, each with espeak-ng's own account of its words."""
    import soxr

    from modgap.audio.clip import load_clip
    from modgap.audio.conditions import RATE
    from modgap.demo.questions.stored import RATE_OF_SPEECH, ROBOT, spoken, treated
    from modgap.speech.synthesis import wheel_synthesizer
    from modgap.speech.words import moved

    voice = wheel_synthesizer()
    found = []
    for one in islice(spoken(ROBOT), limit):
        samples, rate, times = voice.speak_timed(one.text, one.voice, RATE_OF_SPEECH)
        wave = treated(soxr.resample(samples, rate, RATE), one)
        clip = load_clip(wave, rate=RATE, name=one.id.replace("/", "-"))
        found.append((one.id, clip, moved(times, PAD)))
    return found

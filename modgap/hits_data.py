"""Spoken clips with their words: a manifest's, the embedded family's, and espeak-ng's own times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import SettingsError
from .items import read_items, read_table

if TYPE_CHECKING:
    from .audio import Clip
    from .recognition import WordTimes

__all__ = ["known_clips", "sounds"]

PAD = 0.05  # seconds before the speech in a clip of the condition "clean"


def sounds(data: str, limit: int | None = None) -> list[tuple[str, Callable[[], Clip], str]]:
    """(name, sound, transcript) of ``demo``, ``demo:noisy`` ..., or of a manifest.

    The manifest is that of `modgap.items`, but needs no references; its column ``audio`` may be
    called ``file``.

    Raises
    ------
    SettingsError
        There is no such data, or the manifest cannot be used.
    """
    if data == "demo" or data.startswith("demo:"):
        return [(item.id, item.load, item.transcript) for item in read_items(data, limit or 200)]
    from .audio import load_clip

    path = Path(data)
    table = read_table(path)
    column = next((name for name in ("audio", "file") if name in table.columns), None)
    if column is None or "transcript" not in table.columns:
        raise SettingsError(f"The manifest {path.name} needs the columns audio and transcript.")
    rows = table[[column, "transcript"]].astype(str).head(limit or len(table))

    def load(file: str) -> Callable[[], Clip]:
        return lambda: load_clip(path.parent / file)

    return [(file, load(file), said) for file, said in rows.itertuples(index=False)]


def known_clips(limit: int = 200) -> list[tuple[str, Clip, WordTimes]]:
    """Held-out questions by held-out voices, each with espeak-ng's own account of its words."""
    import soxr

    from .audio import load_clip
    from .demo.augment import RATE, condition
    from .demo.clips import heldout_plan
    from .demo.corpus import stable_rng
    from .demo.speech import Synthesizer
    from .recognition.words import moved

    voice = Synthesizer(program="")
    found = []
    try:
        for spec in heldout_plan("clean", limit, 0):
            samples, rate, times = voice.speak_timed(
                spec.transcript, spec.voice, spec.rate, spec.pitch
            )
            wave = condition(
                soxr.resample(samples, rate, RATE), "clean", stable_rng("wave", spec.id)
            )
            clip = load_clip(wave, rate=RATE, name=spec.id.replace("/", "-"))
            found.append((spec.id, clip, moved(times, PAD)))
    finally:
        voice.close()
    return found

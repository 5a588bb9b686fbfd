"""What a recogniser does, and how one is named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modgap.core.errors import SettingsError
from modgap.speech.words import Word, WordTimes, split_words

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress

RATE = 16_000
EMBEDDED = "pocketsphinx"


class Recognizer(ABC):
    """Turns sound into words, and a transcript into times.

    Attributes
    ----------
    name : str
        What the user called it.
    identity : str
        Hash of everything that decides what it hears, whatever the name.
    """

    name: str
    identity: str

    @abstractmethod
    def transcribe(self, clip: Clip, *, progress: Progress | None = None) -> str:
        """What is said in the clip; empty where nothing is heard."""

    @abstractmethod
    def align(self, clip: Clip, transcript: str, *, progress: Progress | None = None) -> WordTimes:
        """When each word of the transcript is said (forced alignment).

        Raises
        ------
        ModgapError
            The transcript holds no words, or they cannot be found in the clip; the message says
            what to do.
        """


def load_recognizer(
    name: str | Path = EMBEDDED, *, device: str = "auto", dtype: str = "auto"
) -> Recognizer:
    """Load a speech recogniser.

    Parameters
    ----------
    name : str or Path
        ``"pocketsphinx"`` (English; its model comes with the package, nothing is fetched),
        ``"whisper-tiny.en"`` (English; what `modgap fetch` has brought), or a Whisper checkpoint:
        a folder, or a hub id such as ``"openai/whisper-large-v3"``, maybe with a revision
        (``"org/name@v1"``).
    device, dtype : str
        Of a Whisper, as in `load_model`.

    Raises
    ------
    ModelError
        There is no such recogniser, or its files cannot be read.
    """
    if str(name) == EMBEDDED:
        from modgap.speech.sphinx import PocketSphinx

        return PocketSphinx()
    from modgap.models.bases import local
    from modgap.models.bases.sources import WHISPER
    from modgap.speech.whisper import load_whisper

    folder = local.require(WHISPER.name) if str(name) == WHISPER.name else None
    return load_whisper(str(name), folder=folder, device=device, dtype=dtype)


def pcm16(clip: Clip) -> np.ndarray:
    """The clip as int16 samples at `RATE`, scaled down if it goes beyond full scale."""
    x = clip.resample(RATE)
    x /= max(1.0, float(np.abs(x).max()))
    return np.clip(np.rint(x * 32768), -32768, 32767).astype(np.int16)


def words_of(transcript: str) -> tuple[Word, ...]:
    """The words to align, or SettingsError if there are none."""
    words = split_words(transcript)
    if not words:
        raise SettingsError("The transcript holds no words to look for in the clip.")
    return words

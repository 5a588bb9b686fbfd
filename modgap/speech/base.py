"""What a recogniser does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from modgap.models.bases.sources import WHISPER

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.speech.words import WordTimes

RATE = 16_000  # of the samples that recognisers take, in Hz
#: The recogniser that needs no name: `modgap fetch`, or its first use, brings it.
EMBEDDED = WHISPER.name


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
            The transcript holds no words, or it or the clip is too long; the message says what to
            do.
        """

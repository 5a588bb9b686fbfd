"""What a page can ask of a clip alone: recognisers hear it, no model does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from modgap.audio.clip import Clip
from modgap.core.progress import Progress, Steps
from modgap.core.settings import digest
from modgap.speech.base import EMBEDDED
from modgap.ui.server.operator_models import recognizer_options

if TYPE_CHECKING:
    from modgap.speech.words import WordTimes
    from modgap.ui.server.service import Service


@dataclass(frozen=True)
class WordsRequest:
    """When the words of a result's transcript are said."""

    clip: Clip
    transcript: str
    kind: ClassVar[str] = "words"
    live: ClassVar[bool] = True
    title: ClassVar[str] = "Word boundaries"
    label: ClassVar[str] = ""
    hidden: ClassVar[dict[str, str]] = {}

    @property
    def signature(self) -> str:
        return digest(self.kind, EMBEDDED, self.clip.sha256, self.transcript)

    def make(self, service: Service, progress: Progress) -> WordTimes:
        from modgap.speech.word_times import word_times

        progress(0.02, "Loading the aligner")
        aligner = service.recognizers.get(EMBEDDED, "auto")
        return word_times(
            self.clip, self.transcript, aligner,
            store=service.store, progress=Steps(progress).part(0.1, 1.0, "word times"),
        )  # fmt: skip


@dataclass(frozen=True)
class DraftRequest:
    """What a recogniser (its id) hears in a clip whose words nobody has typed."""

    clip: Clip
    recognizer: str
    kind: ClassVar[str] = "draft"
    live: ClassVar[bool] = True
    label: ClassVar[str] = ""

    @property
    def signature(self) -> str:
        return digest(self.kind, self.recognizer, self.clip.sha256)

    @property
    def title(self) -> str:
        return f"Draft of the transcript, {self.clip.name}"

    @property
    def hidden(self) -> dict[str, str]:
        option = recognizer_options()[self.recognizer]
        return {option.name: option.id}

    def make(self, service: Service, progress: Progress) -> str:
        from modgap.analysis.heard import recognized

        option = recognizer_options()[self.recognizer]
        progress(0.02, f"Loading {option.id}")
        ears = service.recognizers.get(option.name, "auto")
        part = Steps(progress).part(0.1, 1.0, option.id)
        return recognized(ears, self.clip, store=service.store, progress=part)

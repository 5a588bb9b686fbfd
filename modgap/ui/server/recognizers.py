"""The recognisers that the worker keeps in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modgap.core.memory import free_memory
from modgap.ui.server.models import weight_bytes

if TYPE_CHECKING:
    from modgap.speech.recognizers import Recognizer

EMBEDDED = "pocketsphinx"


class RecognizerPool:
    """Keeps the embedded recogniser and the last Whisper; called from the worker thread.

    A Whisper's weights count among those in memory (`ModelPool.share`) and go for a model that
    needs the room.

    Parameters
    ----------
    loader : callable, optional
        `loader(name, device=...)`; `modgap.speech.recognizers.load_recognizer` by default.
    """

    def __init__(self, loader: Callable[..., Recognizer] | None = None) -> None:
        self._loader = loader
        self._embedded: Recognizer | None = None
        self._other: tuple[tuple[str, str], Recognizer] | None = None
        self._bytes = 0

    def get(self, name: str, device: str) -> Recognizer:
        """The recogniser, loaded if it is not here.

        Raises
        ------
        ModelError
            It cannot be loaded.
        """
        if name == EMBEDDED:
            if self._embedded is None:
                self._embedded = self._load(name, device)
            return self._embedded
        if self._other is None or self._other[0] != (name, device):
            self.drop()
            found = self._load(name, device)
            self._other, self._bytes = ((name, device), found), weight_bytes(found)
        return self._other[1]

    def held(self) -> int:
        """Bytes of a Whisper's weights; from any thread."""
        return self._bytes

    def drop(self) -> None:
        """Let a Whisper go."""
        if self._other is not None:
            self._other, self._bytes = None, 0
            free_memory()

    def _load(self, name: str, device: str) -> Recognizer:
        if self._loader is not None:
            return self._loader(name, device=device)
        from modgap.speech.recognizers import load_recognizer

        return load_recognizer(name, device=device)

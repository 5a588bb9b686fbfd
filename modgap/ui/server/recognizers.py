"""The recognisers that the worker keeps in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from modgap.core.memory import free_memory
from modgap.ui.server.models import weight_bytes

if TYPE_CHECKING:
    from modgap.speech.recognizers import Recognizer

KEPT = 2  # the embedded one, and one of the operator's


class RecognizerPool:
    """Keeps the recognisers that were used last; called from the worker thread.

    Their weights count among those in memory (`ModelPool.share`) and go for a model that needs the
    room.

    Parameters
    ----------
    loader : callable, optional
        `loader(name, device=...)`; `modgap.speech.recognizers.load_recognizer` by default.
    """

    def __init__(self, loader: Callable[..., Recognizer] | None = None) -> None:
        self._loader = loader
        self._kept: OrderedDict[tuple[str, str], Recognizer] = OrderedDict()
        self._bytes = 0

    def get(self, name: str, device: str) -> Recognizer:
        """The recogniser, loaded if it is not here.

        Raises
        ------
        ModelError
            It cannot be loaded.
        """
        key = (name, device)
        if key not in self._kept:
            while len(self._kept) >= KEPT:  # before: both may be more than the machine holds
                self._kept.popitem(last=False)
                self._count()
                free_memory()
            self._kept[key] = self._load(name, device)
            self._count()
        self._kept.move_to_end(key)
        return self._kept[key]

    def held(self) -> int:
        """Bytes of their weights; from any thread."""
        return self._bytes

    def drop(self) -> None:
        """Let them go."""
        if self._kept:
            self._kept.clear()
            self._count()
            free_memory()

    def _count(self) -> None:
        self._bytes = sum(map(weight_bytes, self._kept.values()))

    def _load(self, name: str, device: str) -> Recognizer:
        if self._loader is not None:
            return self._loader(name, device=device)
        from modgap.speech.recognizers import load_recognizer

        return load_recognizer(name, device=device)

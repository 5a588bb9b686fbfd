"""The recogniser of the pipeline; what it hears in a clip is asked of it once, not once a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import StoreError
from ..keeping import kept
from ..record import Record
from ..settings import digest
from ..word_errors import word_errors

if TYPE_CHECKING:
    from ..audio import Clip
    from ..store import Store

__all__ = ["Ears", "wer"]


def wer(said: str, heard: str) -> float | None:
    """Word error rate of what was heard; None where nothing was said."""
    return word_errors(said, heard).rate


class Ears:
    """A recogniser with a memory.

    Parameters
    ----------
    recognizer : Recognizer
        From `load_recognizer`.
    store : Store, optional
        The cache that remembers.
    """

    def __init__(self, recognizer: Any, store: Store | None = None) -> None:
        self.recognizer = recognizer
        self.store = store

    def hear(self, clip: Clip) -> str:
        """What is said in a clip, as the recogniser writes it."""
        key = digest("heard", 1, self.recognizer.identity, clip.sha256)
        return kept(
            self.store,
            key,
            lambda: str(self.recognizer.transcribe(clip)),
            lambda heard: Record({}, {}, {"kind": "heard", "heard": heard}),
            _heard,
        )


def _heard(record: Record) -> str:
    if record.meta.get("kind") != "heard":
        raise StoreError("This record is not what a recogniser heard.")
    return str(record.meta["heard"])

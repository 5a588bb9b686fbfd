"""Which recogniser a name stands for."""

from __future__ import annotations

from pathlib import Path

from modgap.speech.base import EMBEDDED, Recognizer

__all__ = ["Recognizer", "load_recognizer"]


def load_recognizer(
    name: str | Path = EMBEDDED, *, device: str = "auto", dtype: str = "auto"
) -> Recognizer:
    """Load a speech recogniser.

    Parameters
    ----------
    name : str or Path
        ``"whisper-tiny.en"`` (English; fetched on its first use if `modgap fetch` has not brought
        it, where a network may be used), or a Whisper checkpoint: a folder, or a hub id such as
        ``"openai/whisper-large-v3"``, maybe with a revision (``"org/name@v1"``).
    device, dtype : str
        As in `load_model`.

    Raises
    ------
    ModelError
        There is no such recogniser, or its files cannot be had or read.
    """
    from modgap.speech.whisper import load_whisper

    folder = None
    if str(name) == EMBEDDED:
        from modgap.models.bases.first_use import bring

        folder = bring(EMBEDDED)
    return load_whisper(str(name), folder=folder, device=device, dtype=dtype)

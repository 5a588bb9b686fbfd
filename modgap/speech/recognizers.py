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

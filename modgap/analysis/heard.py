"""The words of a clip where nobody has typed them: a recogniser's, or the model's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from modgap.core.errors import SettingsError, StoreError
from modgap.core.settings import digest
from modgap.models.clip_limit import cut_notes
from modgap.models.prompt import TRANSCRIBE
from modgap.store.lookup import kept
from modgap.store.record import Record

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import TooLong
    from modgap.speech.base import Recognizer
    from modgap.store.cache import Store

__all__ = ["OWN", "heard", "heard_or_nothing", "recognized"]

OWN = "own"
VERSION = 1  # raised whenever the same clip would give other words
MAX_TOKENS = 128


def heard(
    model: SpeechLM,
    clip: Clip,
    by: str | Recognizer = OWN,
    *,
    instruction: str = TRANSCRIBE,
    too_long: TooLong = "fail",
    store: Store | None = None,
    progress: Progress | None = None,
) -> str:
    """What is said in a clip, for interventions that pair it with words which nobody has typed.

    Parameters
    ----------
    model : SpeechLM
    clip : Clip
    by : str or Recognizer
        ``"own"``: what the model answers when it is asked to write the clip down (greedily, up to
        128 tokens). Else a recogniser, or the name of one (`modgap.load_recognizer`).
    instruction : str
        How the model is asked; by default as the embedded family was taught.
    too_long : "fail" or "cut"
        With "cut", the model writes down the beginning of a clip that is longer than it takes; a
        recogniser hears the whole one.
    store : Store, optional
        A cache to look in first and to keep the words in.
    progress : callable (fraction, note), optional

    Returns
    -------
    str
        Without blanks around it.

    Raises
    ------
    SettingsError
        No words were heard.
    AudioError
        The clip is longer than the model takes, and not to be cut.
    ModelError
        There is no such recogniser.
    """
    words = heard_or_nothing(
        model, clip, by, instruction=instruction, too_long=too_long, store=store, progress=progress
    )
    if not words:
        name = "The model" if by == OWN else getattr(by, "name", by)
        raise SettingsError(
            f"{name} heard no words in {clip.name or 'the clip'}: give a transcript, or let "
            "another recogniser hear it."
        )
    return words


def heard_or_nothing(
    model: SpeechLM,
    clip: Clip,
    by: str | Recognizer = OWN,
    *,
    instruction: str = TRANSCRIBE,
    too_long: TooLong = "fail",
    store: Store | None = None,
    progress: Progress | None = None,
) -> str:
    """The same, empty where no words were heard; an empty instruction is the default one."""
    instruction = instruction or TRANSCRIBE
    if by != OWN:
        if isinstance(by, str):
            from modgap.speech.recognizers import load_recognizer

            by = load_recognizer(by)
        return recognized(by, clip, store=store, progress=progress)
    dtype = str(model.dtype).removeprefix("torch.")
    who = [OWN, model.identity, dtype, model.device.type, instruction]
    if cut_notes(model, clip, too_long):
        who.append(too_long)

    def make() -> str:
        prompt = model.speech_prompt(clip, instruction=instruction, too_long=too_long)
        return model.generate(prompt, max_new_tokens=MAX_TOKENS, progress=progress).text.strip()

    return _kept(store, who, clip, make)


def recognized(
    recognizer: Recognizer,
    clip: Clip,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
) -> str:
    """What a recogniser writes of a clip, without blanks around it; empty where it hears no words.

    Parameters
    ----------
    recognizer : Recognizer
        From `modgap.load_recognizer`.
    clip : Clip
    store : Store, optional
        A cache to look in first and to keep the words in.
    progress : callable (fraction, note), optional
        May raise `Cancelled`.
    """

    def make() -> str:
        return recognizer.transcribe(clip, progress=progress).strip()

    return _kept(store, ["recogniser", recognizer.identity], clip, make)


def _kept(store: Store | None, who: list[str], clip: Clip, make: Callable[[], str]) -> str:
    key = digest("heard", VERSION, who, clip.sha256)
    return kept(store, key, make, lambda w: Record(meta={"kind": "heard", "words": w}), _words)


def _words(record: Record) -> str:
    if record.meta.get("kind") != "heard":
        raise StoreError("This record is of another kind.")
    return str(record.meta["words"])

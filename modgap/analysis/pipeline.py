"""The pipeline that a speech language model is compared with: a recogniser, then a text LLM.

A_p of the method, section 5. The LLM gets the recogniser's words in the prompt in which `analyze`
gives it the transcript, so the two answers differ by what was misheard and by nothing else; or, as
VoiceBench does it, it is told that they are transcribed speech.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.core.errors import StoreError
from modgap.core.names import short_name
from modgap.core.progress import Progress, Steps
from modgap.core.settings import AnalysisSettings, check_text, digest
from modgap.scoring.answers import Answer, answer
from modgap.scoring.word_errors import WordErrors, word_errors
from modgap.store.lookup import keep, look_up
from modgap.store.record import Record

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import Prompt
    from modgap.speech.recognizers import Recognizer
    from modgap.store.cache import Store

__all__ = ["ANSWERS", "Cascade", "heard_prompt", "pipeline", "pipeline_key"]

VERSION = 1  # raised whenever the same input would give another answer
_SETTINGS = ("instruction", "system", "markers", "max_new_tokens", "temperature", "seed")
#: System text of VoiceBench's text models (src/models/naive.py to naive4.py), and what follows it
#: where they answer a recogniser's words.
ANSWERS = "You are a helpful assistant who tries to help answer the user's question."
TRANSCRIBED = (
    "Please note that the user's query is transcribed from speech, and the transcription may "
    "contain errors."
)
NOTHING = "The recogniser heard no words, so there is nothing to answer."


@dataclass(frozen=True)
class Cascade:
    """What a pipeline makes of a clip.

    Attributes
    ----------
    key : str
        Names the entry in the cache (`pipeline_key`).
    recognizer, llm : str
        Names of the two parts; of a folder its last part.
    clip : dict
        ``sha256``, ``seconds``, ``name``.
    transcript : str
        What was said.
    heard : str
        What the recogniser wrote.
    errors : WordErrors
        Of `heard` against `transcript`.
    answer : Answer or None
        Of the LLM to `heard`; None if no words were heard.
    settings : AnalysisSettings
        Only its prompt and decoding settings count.
    transcribed : bool
        Whether the LLM was told that the words are transcribed speech.
    from_cache : bool
    created : str
        UTC, ISO 8601.
    """

    key: str
    recognizer: str
    llm: str
    clip: dict[str, Any]
    transcript: str
    heard: str
    errors: WordErrors
    answer: Answer | None
    settings: AnalysisSettings
    from_cache: bool
    created: str
    transcribed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """In JSON's terms."""
        settings = self.settings.to_dict()
        return {
            "format": "modgap-pipeline",
            "key": self.key,
            "recognizer": self.recognizer,
            "llm": self.llm,
            "clip": self.clip,
            "transcript": self.transcript,
            "heard": self.heard,
            "word_error_rate": self.errors.rate,
            "word_errors": asdict(self.errors),
            "answer": None if self.answer is None else self.answer.text,
            "settings": {name: settings[name] for name in _SETTINGS},
            "transcribed": self.transcribed,
            "created": self.created,
        }


def pipeline(
    recognizer: Recognizer,
    llm: SpeechLM,
    clip: Clip,
    transcript: str,
    settings: AnalysisSettings | None = None,
    *,
    transcribed: bool = False,
    store: Store | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> Cascade:
    """Recognise a clip, and let a text LLM answer what was heard.

    Parameters
    ----------
    recognizer : Recognizer
        From `load_recognizer`.
    llm : SpeechLM
        From `load_model`; only its text side is used. The speech language model itself, or another.
    clip : Clip
    transcript : str
        What is said: counts for the word errors alone, never for the answer.
    settings : AnalysisSettings, optional
        Its prompt and decoding settings.
    transcribed : bool
        Tell the LLM that the words are transcribed speech (`heard_prompt`).
    store : Store, optional
        A cache to look in first and to keep the result in.
    progress : callable (fraction, note), optional
        May raise `Cancelled`.
    **overrides
        Single settings, by name.

    Raises
    ------
    SettingsError
        A setting or the transcript does not fit.

    Examples
    --------
    >>> model = modgap.load_model("demo")                                       # doctest: +SKIP
    >>> ears = modgap.load_recognizer()                                         # doctest: +SKIP
    >>> made = modgap.pipeline(ears, model, clip, "what is two plus two")       # doctest: +SKIP
    >>> made.heard, made.errors.rate, made.answer.text                          # doctest: +SKIP
    """
    settings = (settings or AnalysisSettings()).updated(**overrides)
    check_text("transcript", transcript)
    key = pipeline_key(recognizer, llm, clip.sha256, settings, transcribed=transcribed)
    steps = Steps(progress)
    steps(0.0, "looking in the cache" if store is not None else "listening")
    found = look_up(store, key, _from_record)
    cached = found is not None
    if found is None:
        heard = recognizer.transcribe(clip, progress=steps.part(0.0, 0.6, "listening"))
        given = None
        if heard.strip():
            prompt = heard_prompt(llm, heard, transcribed=transcribed, **settings.prompt)
            given = answer(
                llm,
                prompt,
                **settings.decoding,
                progress=steps.part(0.6, 1.0, "answering"),
            )
        found = heard, given, datetime.now(UTC).isoformat(timespec="seconds")
        keep(store, key, lambda: _record(*found))
    steps(1.0, "done")
    heard, given, created = found
    return Cascade(
        key=key,
        recognizer=short_name(recognizer.name),
        llm=short_name(llm.name),
        clip={"sha256": clip.sha256, "seconds": clip.seconds, "name": clip.name},
        transcript=transcript,
        heard=heard,
        errors=word_errors(transcript, heard),
        answer=given,
        settings=settings,
        from_cache=cached,
        created=created,
        transcribed=transcribed,
    )


def heard_prompt(
    llm: SpeechLM,
    heard: str,
    *,
    transcribed: bool,
    instruction: str = "",
    system: str | None = None,
    **prompt: Any,
) -> Prompt:
    """The prompt with what a recogniser has written.

    Parameters
    ----------
    llm : SpeechLM
    heard : str
    transcribed : bool
        Whether the model is told, in VoiceBench's words, that this is transcribed speech: in the
        system text, behind `system` if there is one, or behind the words where the chat template
        has no place for a system message.
    instruction, system, **prompt
        As in `SpeechLM.text_prompt`.
    """
    if transcribed and llm.takes_system:
        system = f"{system or ANSWERS} {TRANSCRIBED}"
    elif transcribed:
        instruction = "\n".join(filter(None, (instruction, TRANSCRIBED)))
    return llm.text_prompt(heard, instruction=instruction, system=system, **prompt)


def pipeline_key(
    recognizer: Recognizer,
    llm: SpeechLM,
    clip_sha256: str,
    settings: AnalysisSettings,
    *,
    transcribed: bool = False,
) -> str:
    """Hash of everything that the answer depends on; names the entry in the cache."""
    values = settings.to_dict()
    chosen = {name: values[name] for name in _SETTINGS}
    if settings.prompt_style != "plain":
        chosen["prompt_style"] = settings.prompt_style
    if transcribed:
        chosen["transcribed"] = True
    if settings.temperature == 0:
        chosen["seed"] = None
    dtype = str(llm.dtype).removeprefix("torch.")
    return digest(
        "pipeline", VERSION, recognizer.identity, llm.identity, dtype, llm.device.type,
        clip_sha256, chosen,
    )  # fmt: skip


def _record(heard: str, given: Answer | None, created: str) -> Record:
    arrays: dict[str, np.ndarray] = {}
    values = None
    if given is not None:
        values = asdict(given)
        arrays["logprobs"] = np.array(values.pop("logprobs"), np.float64)
    meta = {"kind": "pipeline", "heard": heard, "answer": values, "created": created}
    return Record(arrays, {}, meta)


def _from_record(record: Record) -> tuple[str, Answer | None, str]:
    try:
        meta, given = record.meta, None
        if meta["kind"] != "pipeline":
            raise ValueError("it is of another kind")
        if meta["answer"] is not None:
            given = Answer.from_values(meta["answer"], record.arrays["logprobs"])
        return str(meta["heard"]), given, str(meta["created"])
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise StoreError(f"This record is not a pipeline's answer ({problem}).") from problem

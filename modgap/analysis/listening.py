"""Does a model hear? What it writes down of shipped clips, and its answer to a spoken question.

Hidden states may be transformers' own to the bit and the model deaf all the same: a wrong prompt,
weights of another release. No comparison of numbers tells that, its words do.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from modgap.analysis.examples import Example, examples
from modgap.audio.clip import load_clip
from modgap.core.errors import ModgapError, SettingsError
from modgap.scoring.answers import verdict
from modgap.scoring.word_errors import word_errors

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import Prompt

__all__ = ["ASKED", "PLAUSIBLE", "Heard", "Listening", "listen"]

ASKED = "Write down what you hear."
#: Word error rate up to which a model is taken to hear. Lenient: names and numbers are spelt in
#: many ways, and recognisers add marks of their own.
PLAUSIBLE = 0.5
TOKENS = 48

T = TypeVar("T")


@dataclass(frozen=True)
class Heard:
    """What a model wrote down of a clip.

    Attributes
    ----------
    clip : str
        Name of the shipped clip.
    said, heard : str
        Its words, and the model's.
    asked : str
        By which instruction; empty: by the clip alone, as recognisers are asked.
    wer : float or None
        Word error rate of `heard` (`word_errors`).
    """

    clip: str
    said: str
    heard: str
    asked: str
    wer: float | None


@dataclass(frozen=True)
class Listening:
    """What a model made of shipped clips, and what that took.

    Attributes
    ----------
    dtype : str
        In which it was asked.
    clips : tuple of Heard
    question, reference : str
        A spoken question, and its answer.
    typed, spoken : str
        The model's greedy answers to the question as text and as speech.
    typed_right, spoken_right : bool or None
        Whether these hold the reference (`modgap.verdict`); None where it was not asked.
    load_seconds, first_seconds, token_seconds : float or None
        Of loading the model; of the spoken question up to the first token of its answer; of each
        further token.
    weights_bytes, peak_bytes : int
        Of the model's weights; the most that was taken on the GPUs since it was loaded, without one
        by this process since it began.
    problem : str
        Why it could not be asked; empty if it was.
    """

    dtype: str
    clips: tuple[Heard, ...] = ()
    question: str = ""
    reference: str = ""
    typed: str = ""
    spoken: str = ""
    typed_right: bool | None = None
    spoken_right: bool | None = None
    load_seconds: float | None = None
    first_seconds: float | None = None
    token_seconds: float | None = None
    weights_bytes: int = 0
    peak_bytes: int = 0
    problem: str = ""

    @property
    def best(self) -> float | None:
        """The lowest word error rate of a clip."""
        return min((c.wer for c in self.clips if c.wer is not None), default=None)

    @property
    def plausible(self) -> bool:
        """Whether at least one clip was written down well enough."""
        return self.best is not None and self.best <= PLAUSIBLE

    @property
    def sentence(self) -> str:
        """The outcome in one line."""
        if self.problem:
            return f"it could not be asked to listen: {self.problem}"
        if self.best is None:
            return "it was not asked to listen: no clips came with this copy of modgap"
        rate = f"word error rate {self.best:.2f} on the better of {len(self.clips)} clips"
        if self.plausible:
            return f"it hears: {rate}"
        return (
            f"it does not write down what it hears ({rate}): look at its prompt, its weights and "
            "what it was tuned for before its numbers are used"
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Listening:
        """Build it from the result of `dataclasses.asdict`."""
        clips = tuple(Heard(**clip) for clip in values["clips"])
        return cls(**{**values, "clips": clips})


def listen(model: SpeechLM, load_seconds: float | None = None) -> Listening:
    """Let a model write down two shipped clips and answer a spoken question.

    One clip is the question itself, said by a synthesizer; the other a sentence that a person read.
    A model that does not write down a clip when it is told to is asked by the clip alone.

    Parameters
    ----------
    model : SpeechLM
        One that takes clips.
    load_seconds : float, optional
        What loading it took.
    """
    dtype = str(model.dtype).removeprefix("torch.")
    weights = sum(p.numel() * p.element_size() for p in model.hf.parameters())
    made = Listening(dtype, load_seconds=load_seconds, weights_bytes=weights)
    asked = [e for e in examples() if e.reference and not e.instruction][:1]
    read = [e for e in examples() if e.instruction == ASKED][-1:]
    _forget_peak()
    try:
        made = dataclasses.replace(made, clips=tuple(_heard(model, e) for e in (*asked, *read)))
        for example in asked:
            made = dataclasses.replace(made, **_answered(model, example))
    except (ModgapError, RuntimeError, ValueError, TypeError, IndexError, KeyError) as problem:
        line = (str(problem).strip().splitlines() or [""])[0]
        return dataclasses.replace(made, problem=f"{type(problem).__name__}: {line[:200]}")
    return dataclasses.replace(made, peak_bytes=_peak())


def _heard(model: SpeechLM, example: Example) -> Heard:
    tries = []
    clip = load_clip(example.path)
    for asked in (ASKED, ""):
        try:
            prompt = model.speech_prompt(clip, instruction=asked, too_long="cut")
        except SettingsError:
            if not asked:
                raise
            continue  # the prompts of some recognisers have no place for words
        said = model.generate(prompt, max_new_tokens=TOKENS).text.strip()
        rate = word_errors(example.transcript, said).rate
        tries.append(Heard(example.id, example.transcript, said, asked, rate))
        if rate is not None and rate <= PLAUSIBLE:
            break
    return min(tries, key=lambda heard: 1e9 if heard.wer is None else heard.wer)


def _answered(model: SpeechLM, example: Example) -> dict[str, Any]:
    pair = model.prepare(load_clip(example.path), example.transcript, too_long="cut")
    typed = model.generate(pair.text, max_new_tokens=TOKENS).text.strip()
    first, _ = _timed(lambda: _tokens(model, pair.speech, 1))
    whole, (n, spoken) = _timed(lambda: _tokens(model, pair.speech, TOKENS))
    return {
        "question": example.transcript,
        "reference": example.reference or "",
        "typed": typed,
        "spoken": spoken,
        "typed_right": verdict(typed, example.reference) == "right",
        "spoken_right": verdict(spoken, example.reference) == "right",
        "first_seconds": first,
        "token_seconds": max(0.0, whole - first) / (n - 1) if n > 1 else None,
    }


def _tokens(model: SpeechLM, prompt: Prompt, most: int) -> tuple[int, str]:
    made = model.generate(prompt, max_new_tokens=most)
    return len(made.token_ids), made.text.strip()


def _timed(ask: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    found = ask()  # its tokens are on the host, so that a GPU is done with it
    return time.perf_counter() - began, found


def _forget_peak() -> None:
    for n in range(torch.cuda.device_count()):
        torch.cuda.reset_peak_memory_stats(n)


def _peak() -> int:
    """Bytes; 0 where that cannot be told."""
    if torch.cuda.is_available():
        return sum(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count())))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024

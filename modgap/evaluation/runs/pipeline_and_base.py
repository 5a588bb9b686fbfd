"""What stands beside the models: the pipeline's recogniser, and the text-only base.

What they say of a question is the same for all models of a run. The cache remembers it, so they are
asked once and not once a model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modgap.core.errors import StoreError
from modgap.core.settings import digest
from modgap.evaluation.runs.answering import read_prompt
from modgap.evaluation.runs.asking import asking_of
from modgap.scoring.likeliest_option import answer_options
from modgap.scoring.option_likelihoods import option_logprobs
from modgap.store.lookup import kept
from modgap.store.record import Record

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.evaluation.runs.run_settings import RunSettings
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question
    from modgap.speech.recognizers import Recognizer
    from modgap.store.cache import Store

__all__ = ["Base", "Ears", "wer"]


def wer(said: str, heard: str) -> float | None:
    """Word error rate of what was heard; None where nothing was said."""
    from modgap.scoring.word_errors import word_errors

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

    def __init__(self, recognizer: Recognizer, store: Store | None = None) -> None:
        self.recognizer = recognizer
        self.store = store

    def hear(self, clip: Clip) -> str:
        """What is said in a clip, as the recogniser writes it."""
        key = digest("run heard", 1, self.recognizer.identity, clip.sha256)
        found = _remembered(self.store, key, lambda: {"heard": self.recognizer.transcribe(clip)})
        return str(found["heard"])


class Base:
    """A text model with a memory; its prompts are those of the other models without their clips.

    Parameters
    ----------
    model : SpeechLM
    store : Store, optional
        The cache that remembers.
    """

    def __init__(self, model: SpeechLM, store: Store | None = None) -> None:
        self.model = model
        self.store = store

    def answer(
        self, question: Question, settings: RunSettings, words: str | None = None
    ) -> dict[str, Any]:
        """Its answer to a question, or to the `words` that a recogniser made of it.

        Returns
        -------
        dict
            ``response``, ``option_logprob``, ``tokens``, ``finished`` and ``seconds``, as first
            computed.
        """
        model, options = self.model, answer_options(question)
        asking = asking_of(model, settings)
        prompt = asking.typed(question, words)
        ids = prompt.inputs["input_ids"][0].tolist()
        chosen = None
        if asking.sampling is not None:
            chosen = [asking.sampling.to_dict(), asking.seed(question)]
        key = digest(
            "run base", 3, model.identity, str(model.dtype), model.device.type, ids, options,
            settings.budget, chosen,
        )  # fmt: skip

        def make() -> dict[str, Any]:
            began = time.perf_counter()
            likely: Sequence[float] = ()
            if options:
                kept, logits = read_prompt(model, prompt)
                likely = option_logprobs(model, kept, logits, prompt.length, options)
            made = model.generate(
                prompt,
                max_new_tokens=settings.budget,
                seed=asking.seed(question),
                sampling=asking.sampling,
            )
            return {
                "response": made.text.strip(),
                "option_logprob": list(likely),
                "tokens": len(made.token_ids),
                "finished": made.finished,
                "seconds": time.perf_counter() - began,
            }

        return _remembered(self.store, key, make)


def _remembered(store: Store | None, key: str, make: Any) -> dict[str, Any]:
    def parse(record: Record) -> dict[str, Any]:
        if record.meta.get("kind") != "run":
            raise StoreError("This record is of another kind.")
        return dict(record.meta["said"])

    return kept(store, key, make, lambda said: Record({}, {}, {"kind": "run", "said": said}), parse)

"""The plain runs of a clip, kept: one pass over the text prompt, one over the speech prompt.

They leave the text states, the speech states of every level, keys and values.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from modgap.core.errors import SettingsError
from modgap.interventions.plain_run import plain_run
from modgap.interventions.rules import SourcePath, source_path
from modgap.measures.alignment import Alignment, dtw_paths
from modgap.measures.pair_metrics import PairMetrics
from modgap.models.resume import KeysValues

if TYPE_CHECKING:
    from modgap.measures.similarity import Coarse
    from modgap.models.base import Progress, PromptPair, SpeechLM

__all__ = ["NO_WORDS", "KeptRuns"]

#: Told where the transcript is lacking.
NO_WORDS = (
    "This needs the words of the clip: give a transcript, or let them be heard (modgap.heard, "
    "--heard-by)."
)


@dataclass(eq=False)
class KeptRuns:
    """The plain runs of a pair of prompts; make one with `KeptRuns.of`.

    Attributes
    ----------
    model : SpeechLM
    pair : PromptPair
    continuation : tuple of int
        Tokens after the prompt whose probabilities are asked for; they are run along.
    text : tuple of L + 1 Tensor (T_t, d)
        Raw states at the transcript's positions.
    text_rest : tuple of L + 1 Tensor (n, d)
        Raw states of the text run behind the transcript, those of the continuation included.
    text_logits : Tensor, shape (n_out, vocabulary)
    logits : Tensor, shape (n_out, vocabulary)
        float32, of the plain speech run.
    kept : keys and values of the plain speech run
    seconds : float
        How long the plain speech run took.
    """

    model: SpeechLM
    pair: PromptPair
    continuation: tuple[int, ...]
    text: tuple[Tensor, ...]
    text_rest: tuple[Tensor, ...]
    text_logits: Tensor
    logits: Tensor
    kept: tuple[KeysValues, ...]
    text_kept: tuple[KeysValues, ...]
    seconds: float
    _levels: tuple[Tensor, ...]  # (S - first, d): all positions from the first speech position on
    memo: dict[Any, Any] = field(default_factory=dict)  # what others derive of the plain runs
    _paths: dict[tuple[int, str, str], SourcePath] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: SpeechLM,
        pair: PromptPair,
        *,
        continuation: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> Self:
        """Run both prompts once.

        Parameters
        ----------
        model : SpeechLM
        pair : PromptPair
        continuation : sequence of int
            Ids of an answer whose probability is asked for.
        progress : callable (fraction, note), optional
        """
        tail = tuple(int(i) for i in continuation)
        report = progress or (lambda *_: None)
        with model.lock:
            report(0.0, "plain run, text")
            told = pair.text.length > 0
            if told:
                first = int(pair.text.content[0])
                text, text_logits, text_kept = plain_run(model, pair.text, tail, first)
            report(0.3, "plain run, speech")
            began = time.perf_counter()
            levels, logits, kept = plain_run(model, pair.speech, tail, int(pair.speech.content[0]))
            took = time.perf_counter() - began
        if not told:
            none = tuple(h[:0] for h in levels)
            return cls(model, pair, tail, none, none, logits[:0], logits, kept, (), took, levels)
        at = pair.text.content - pair.text.content[0]
        picked = tuple(h[at.to(h.device)] for h in text)
        rest = tuple(h[int(at[-1]) + 1 :].clone() for h in text)
        return cls(
            model, pair, tail, picked, rest, text_logits, logits, kept, text_kept, took, levels
        )

    @property
    def speech(self) -> tuple[Tensor, ...]:
        """Raw states of every level at the speech positions, L + 1 of (T_s, d)."""
        at = self._content()
        return tuple(h[at.to(h.device)] for h in self._levels)

    @cached_property
    def after(self) -> int:
        """How many tokens stand behind the content of both prompts, the same in both."""
        speech, text = (
            prompt.inputs["input_ids"][0, int(prompt.content[-1]) + 1 :].tolist()
            for prompt in (self.pair.speech, self.pair.text)
        )
        pairs = zip(reversed(speech), reversed(text), strict=False)
        return sum(1 for _ in itertools.takewhile(lambda both: both[0] == both[1], pairs))

    @property
    def answer_states(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Where the answer is said: raw states of the speech run and of the text run.

        L + 1 of (n_out, d) each: at the last token of the prompt, and at those of the continuation
        that another one follows.
        """
        n_out = len(self.logits)
        return tuple(h[-n_out:] for h in self._levels), tuple(h[-n_out:] for h in self.text_rest)

    @property
    def nbytes(self) -> int:
        """Memory held."""
        pairs = [t for kv in (*self.kept, *self.text_kept) for t in kv]
        return sum(
            t.numel() * t.element_size()
            for t in (
                *self.text,
                *self.text_rest,
                *self._levels,
                *pairs,
                self.logits,
                self.text_logits,
            )
        )

    def measured(
        self, speech: Sequence[Tensor] | None = None, text: Sequence[Tensor] | None = None
    ) -> tuple[Coarse, Alignment]:
        """The measures of every level between speech and text, the last one finally normed.

        Parameters
        ----------
        speech, text : sequence of L + 1 Tensor (n, d), optional
            Raw states to measure in the place of the plain runs'.
        """
        top, norm = self.model.n_layers, self.model.final_norm
        metrics = PairMetrics(top + 1)
        with self.model.lock, torch.no_grad():
            for level, (H_s, H_t) in enumerate(
                zip(speech or self.speech, text or self.text, strict=True)
            ):
                last = level == top
                metrics.add(level, norm(H_s) if last else H_s, norm(H_t) if last else H_t)
        return metrics.finish()[:2]

    @property
    def told(self) -> bool:
        """Whether the words are known: without them there are no text states, and no paths."""
        return self.pair.text.length > 0

    def path(self, layer: int, path: str, measure: str) -> SourcePath:
        """The path between the plain runs' raw states of a layer, found once.

        Raises
        ------
        SettingsError
            There is no transcript.
        """
        if not self.told:
            raise SettingsError(NO_WORDS)
        key = (layer, path, measure)
        if key not in self._paths:
            H_s = self._levels[layer][self._content().to(self._levels[layer].device)]
            self._paths[key] = source_path(H_s, self.text[layer].to(H_s.device), path, measure)
        return self._paths[key]

    def segments(
        self, layer: int, measure: str = "cosine", where: str = "segment"
    ) -> list[list[int]]:
        """Ascending speech positions of every text token in a layer.

        ``where="segment"``: all that the monotone path gives it; ``"pair"``: its argmax alone.
        """
        if where == "pair":
            return [[int(i)] for i in self.path(layer, "argmax", measure).i]
        matrix = self.path(layer, "dtw", measure).matrix
        path = dtw_paths((1 - matrix if measure == "cosine" else matrix)[None])[0]
        return [sorted(path[path[:, 1] == j, 0].tolist()) for j in range(matrix.shape[1])]

    def _content(self) -> Tensor:
        content = self.pair.speech.content.cpu()
        return content - content[0]

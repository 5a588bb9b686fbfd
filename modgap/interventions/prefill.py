"""The plain run of a clip, kept: every intervention on it pays only for what it changes.

One pass over the text prompt and one over the speech prompt leave the text states, the speech
states of every level, keys and values. An edit at level l and position p0 then costs L - l layers
over the positions from p0 on, and many variants go through as one batch.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from modgap.core.errors import SettingsError
from modgap.interventions.intervention import Intervention
from modgap.interventions.maps.files import load_map
from modgap.interventions.plain_run import continued, plain_run
from modgap.interventions.rules import (
    Edit,
    SourcePath,
    apply_edit,
    plan_edit,
    plan_map,
    source_path,
)
from modgap.measures.alignment import Alignment, dtw_paths
from modgap.measures.pair_metrics import PairMetrics
from modgap.models.hooks import visiting
from modgap.models.resume import KeysValues, repeated, rerun, resume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modgap.measures.similarity import Coarse
    from modgap.models.base import Progress, PromptPair, SpeechLM

__all__ = ["Edited", "Prefill", "check_stack", "editing"]

#: Told where the transcript is lacking.
NO_WORDS = (
    "This needs the words of the clip: give a transcript, or let them be heard (modgap.heard, "
    "--heard-by)."
)
#: Variants that go through the model together.
BATCH = 16

Edits = tuple[Edit, ...]


def check_stack(model: SpeechLM, stack: Sequence[Intervention]) -> None:
    """Refuse what does not fit a model, before any pass.

    Raises
    ------
    SettingsError
        A layer does not exist or cannot be changed, or a map is not there or of other states.
    """
    for it in stack:
        it.check(model.n_layers)
        model.check_edit(it.layers)
        if it.rule == "map":
            load_map(it.map).check(model.hidden_size)


@dataclass(frozen=True, eq=False)
class Edited:
    """What variants of one prompt give.

    Attributes
    ----------
    logits : Tensor, shape (V, n_out, vocabulary)
        float32, after the prompt and after each given token of the continuation.
    cache : DynamicCache
        Keys and values of V rows, for decoding.
    edits : tuple of V tuples of Edit
        What each variant was to change, the idle ones included.
    states : tuple of L + 1 Tensor (V, T_s, d), or None
        Raw speech states of every level after the edits.
    """

    logits: Tensor
    cache: Any
    edits: tuple[Edits, ...]
    states: tuple[Tensor, ...] | None = None


@dataclass(eq=False)
class Prefill:
    """The plain runs of a pair of prompts; make one with `Prefill.of`.

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
    ) -> Prefill:
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

    def plan(self, stack: Sequence[Intervention]) -> Edits:
        """Choose the pairs of each intervention on this clip.

        Raises
        ------
        SettingsError
            A layer or a pair does not exist here.
        """
        edits = []
        check_stack(self.model, stack)
        for it in stack:
            path = None
            if it.needs_words or (self.told and it.pairs):
                path = self.path(it.source_layer, it.path, it.measure)
            if it.rule == "map":
                n = len(self.pair.speech.content)
                edits.append(plan_map(it, load_map(it.map), n, path))
            else:
                assert path is not None
                edits.append(plan_edit(it, path))
        return tuple(edits)

    def run(
        self,
        variants: Sequence[Sequence[Intervention]],
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Edited:
        """Run variants of the speech prompt in one batch.

        Parameters
        ----------
        variants : sequence of V stacks of Intervention
            A stack that changes nothing gives the plain run's numbers, bit by bit.
        states : bool
            Whether to keep the speech states of all levels.
        progress : callable (fraction, note), optional
            Called at every layer.
        """
        edits = tuple(self.plan(stack) for stack in variants)
        planned = [tuple(e for e in mine if not e.idle) for mine in edits]
        busy = [v for v, edits in enumerate(planned) if edits]
        V = len(planned)
        logits = self.logits.expand(V, *self.logits.shape).clone()
        plain = self.speech if states else None
        kept = None if plain is None else [h.expand(V, *h.shape).clone() for h in plain]
        if not busy:
            return Edited(
                logits, repeated(self.kept, V), edits, None if kept is None else tuple(kept)
            )
        first = min(e.intervention.layers[0] for v in busy for e in planned[v])
        offset = int(self._content()[min(int(e.rows[0]) for v in busy for e in planned[v])])
        if any(e.intervention.rule == "mean" for v in busy for e in planned[v]):
            offset = 0  # its means are over all speech positions
        at = self._content() - offset  # speech positions inside the window; negative: before it
        inside = at >= 0

        def change(level: int, hidden: Tensor) -> Tensor:
            if progress is not None:
                progress(level / (self.model.n_layers + 1), f"layer {level}")
            for row, v in enumerate(busy):
                for edit in planned[v]:
                    if level in edit.intervention.layers:
                        self._change(edit, level, hidden[row], offset)
            if kept is not None:
                for row, v in enumerate(busy):
                    kept[level][v, inside] = hidden[row, at[inside]]
            return hidden

        out, cache = self.resumed(first, offset, len(busy), change)
        logits[busy] = out.to(logits.device)
        if len(busy) < V:
            cache = _merge(cache, self.kept, busy, V)
        return Edited(logits, cache, edits, None if kept is None else tuple(kept))

    def resumed(
        self, first: int, offset: int, rows: int, change: Callable[[int, Tensor], Tensor]
    ) -> tuple[Tensor, Any]:
        """Take the plain speech run up at a level and a position, several times side by side.

        Parameters
        ----------
        first : int
            Level, in 0..L-1.
        offset : int
            Position, counted from the first speech position.
        rows : int
        change : callable (level, Tensor (rows, n, d)) -> Tensor
            Called with the states of every level from `first` on, n positions from `offset` to the
            end; it may change them in place.

        Returns
        -------
        logits : Tensor, shape (rows, n_out, vocabulary)
            float32.
        cache : DynamicCache
        """
        begin = int(self.pair.speech.content[0]) + offset
        with self.model.lock, torch.no_grad():
            if self.model.resumable:
                window = self._levels[first][offset:]
                hidden = window.expand(rows, *window.shape).clone()
                hidden, cache = resume(
                    self.model, change(first, hidden), first, begin, self.kept, change
                )
            else:
                inputs = continued(self.model, self.pair.speech, self.continuation)
                hidden, cache = rerun(self.model, inputs, rows, first, begin, change)
            n_out = len(self.logits)
            return self.model.logits(self.model.final_norm(hidden[:, -n_out:])).float(), cache

    def scores(
        self, variants: Sequence[Sequence[Intervention]], progress: Progress | None = None
    ) -> np.ndarray:
        """Log-probability of the continuation under each variant, float64 (V,), in nats."""
        found = []
        for start in range(0, len(variants), BATCH):
            if progress is not None:
                progress(start / len(variants), f"variant {start + 1} of {len(variants)}")
            found.append(self.log_probability(self.run(variants[start : start + BATCH]).logits))
        return np.concatenate(found) if found else np.zeros(0)

    def log_probability(self, logits: Tensor) -> np.ndarray:
        """Log-probability of the continuation from logits (V, n_out, vocabulary)."""
        logp = logits[:, : len(self.continuation)].double().log_softmax(-1)
        ids = torch.tensor(self.continuation, device=logp.device)
        picked = logp.gather(-1, ids.expand(len(logp), -1)[..., None])[..., 0]
        return picked.sum(-1).cpu().numpy()

    def _change(self, edit: Edit, level: int, hidden: Tensor, offset: int) -> None:
        """Edit one row (n, d) in place."""
        at = self._content() - offset
        rows = at[torch.as_tensor(edit.rows)]
        H_s = hidden[at.clamp_min(0)]  # rows before the window are neither edited nor averaged
        hidden[rows] = apply_edit(edit, level, H_s, self.text[level])

    def _content(self) -> Tensor:
        content = self.pair.speech.content.cpu()
        return content - content[0]


def _merge(cache: Any, kept: Sequence[KeysValues], busy: Sequence[int], rows: int) -> Any:
    whole: Any = repeated(kept, rows)
    for layer, changed in zip(whole.layers, cache.layers, strict=True):
        layer.keys, layer.values = layer.keys.clone(), layer.values.clone()
        layer.keys[busy], layer.values[busy] = changed.keys, changed.values
    return whole


@contextmanager
def editing(prefill: Prefill, stack: Sequence[Intervention]) -> Iterator[None]:
    """While it is open, every whole pass over the speech prompt is edited.

    The slow way, for passes that are not this module's own (transformers' ``generate``, a capture).
    The hooks are removed whatever happens. Passes over single tokens (decoding) go unchanged.
    """
    edits = [e for e in prefill.plan(stack) if not e.idle]
    content, model = prefill.pair.speech.content, prefill.model

    def visit(level: int, hidden: Tensor) -> Tensor | None:
        mine = [e for e in edits if level in e.intervention.layers]
        if not mine or hidden.shape[1] < prefill.pair.speech.length:
            return None
        hidden = hidden.clone()
        for row in range(len(hidden)):
            for edit in mine:
                at = content.to(hidden.device)
                new = apply_edit(edit, level, hidden[row, at], prefill.text[level])
                hidden[row, at[torch.as_tensor(edit.rows, device=at.device)]] = new
        return hidden

    levels = sorted({level for e in edits for level in e.intervention.layers})
    with visiting(model, levels, visit, first=True):
        yield

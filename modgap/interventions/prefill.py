"""What interventions make of a clip whose plain runs are kept: each pays only for what it changes.

An edit at level l and position p0 costs L - l layers over the positions from p0 on, and many
variants go through as one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from modgap.interventions.intervention import Intervention
from modgap.interventions.kept_runs import KeptRuns
from modgap.interventions.maps.files import load_map
from modgap.interventions.plain_run import continued
from modgap.interventions.rules import Edit, apply_edit, plan_edit, plan_map
from modgap.models.resume import KeysValues, repeated, rerun, resume

if TYPE_CHECKING:
    from modgap.models.base import Progress, SpeechLM

__all__ = ["BATCH", "Edited", "Edits", "Prefill", "check_stack"]

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


class Prefill(KeptRuns):
    """The plain runs of a pair of prompts, and what variants of them give; see `Prefill.of`."""

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


def _merge(cache: Any, kept: Sequence[KeysValues], busy: Sequence[int], rows: int) -> Any:
    whole: Any = repeated(kept, rows)
    for layer, changed in zip(whole.layers, cache.layers, strict=True):
        layer.keys, layer.values = layer.keys.clone(), layer.values.clone()
        layer.keys[busy], layer.values[busy] = changed.keys, changed.values
    return whole

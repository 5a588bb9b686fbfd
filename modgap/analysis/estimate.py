"""What a map would cost before it is made: passes, and seconds by the last rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modgap.analysis import sweeps
from modgap.analysis.mismatched import other_texts

if TYPE_CHECKING:
    from modgap.interventions.prefill import Prefill

__all__ = ["Estimate", "Work", "work_of"]


@dataclass(frozen=True)
class Estimate:
    """What is left to do for a result.

    Attributes
    ----------
    passes : int
        Runs of the model.
    seconds : float
        By the rate of what was last computed of this clip; batches make it less.
    cached : bool
        The result is in the cache: nothing is left to do.
    """

    passes: int
    seconds: float
    cached: bool


@dataclass(frozen=True)
class Work:
    """Runs of the model, and the decoder layers that they pay for: an edit skips those below it."""

    passes: int
    layers: int


def work_of(kind: str, prefill: Prefill, wanted: Mapping[str, Any]) -> Work:
    """The work of a result of a session.

    Parameters
    ----------
    kind : str
        ``"sweep"``, ``"patching"`` or ``"mismatched"``; the others are a few passes.
    prefill : Prefill
        The plain runs.
    wanted : mapping
        Its options with their defaults (`Session.key`).
    """
    model, depth = prefill.model, prefill.model.n_layers
    if kind == "mismatched":
        count = len(other_texts(prefill.pair.transcript, wanted["texts"]))
        return Work(count, count * depth)
    if kind == "sweep":
        grid = {name: value for name, value in wanted.items() if name != "target"}
        levels = [it.layers[0] for it in sweeps.grid_of(model.editable_levels, **grid)]
    elif kind == "patching":
        after = wanted["where"] == "after"
        columns = prefill.after if after else len(prefill.pair.text.pieces or ())
        copies = 1 if after else 1 + wanted["draws"]
        chosen = sweeps.levels_of(model.editable_levels, wanted["layers"])
        levels = [level for level in chosen for _ in range(columns * copies)]
    else:
        return Work(2, 2 * depth)
    # The answer behind the prompt is run along twice first.
    return Work(len(levels) + 2, sum(depth - level for level in levels) + 2 * depth)

"""Interventions over layers and strengths: how much likelier each makes the target answer, in nats.

`patching` asks the same number of other variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from modgap.core.errors import SettingsError
from modgap.core.progress import Steps
from modgap.core.settings import AnalysisSettings
from modgap.core.views import Viewed
from modgap.interventions.intervention import Intervention
from modgap.interventions.maps.pins import pinned
from modgap.interventions.prefill import Prefill
from modgap.models.decoding import decode_rows
from modgap.models.resume import repeated

if TYPE_CHECKING:
    from modgap.models.base import Progress, PromptPair, SpeechLM

__all__ = [
    "Sweep",
    "aimed",
    "grid_of",
    "levels_of",
    "needs_target",
    "plain_scores",
    "sweep",
    "with_target",
]


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Viewed):
    """Change of the target answer's log-probability over a grid of interventions.

    Attributes
    ----------
    target : str
        The target answer.
    plain, text : float
        Its log-probability given the speech as it is, and given the transcript (nats).
    table : DataFrame
        One row a variant: ``rule``, ``layer``, ``tokens``, ``strength``, ``logprob``, ``change``
        (``logprob - plain``).
    """

    target: str
    plain: float
    text: float
    table: pd.DataFrame


def with_target(
    model: SpeechLM,
    pair: PromptPair,
    target: str | None = None,
    settings: AnalysisSettings | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[Prefill, str]:
    """The plain runs with the target answer behind the prompt.

    Parameters
    ----------
    model : SpeechLM
    pair : PromptPair
    target : str, optional
        The reference answer; by default the model's own answer to the text, its end included.

    Raises
    ------
    SettingsError
        The target is empty.
    """
    steps = Steps(progress)
    plain = Prefill.of(model, pair, progress=steps.part(0.0, 0.4, "plain runs"))
    report = steps.part(0.5, 1.0, "runs with the answer")
    return aimed(plain, target, settings or AnalysisSettings(), report)


def aimed(
    plain: Prefill, target: str | None, settings: AnalysisSettings, progress: Progress | None
) -> tuple[Prefill, str]:
    """`with_target` where the plain runs are there already."""
    model = plain.model
    with model.lock:
        (made,) = decode_rows(
            model,
            repeated(plain.text_kept, 1),
            plain.text_logits[:1],
            plain.pair.text.length,
            max_new_tokens=settings.max_new_tokens,
        )
    if target is None:
        ids, name = list(made.token_ids), made.text.strip()
    else:
        name = target.strip()
        if not name:
            raise SettingsError("The target answer is empty: give a word, or leave it out.")
        # An answer begins as this model's answers begin.
        space = " " if made.text.startswith(" ") else ""
        ids = model.tokenizer.encode(space + name, add_special_tokens=False)
    return Prefill.of(model, plain.pair, continuation=ids, progress=progress), name


def levels_of(editable: Sequence[int], layers: Sequence[int] | None) -> tuple[int, ...]:
    """The layers asked for, each once; all that can be changed where none are named."""
    return tuple(editable if layers is None else dict.fromkeys(layers))


def grid_of(
    editable: Sequence[int],
    *,
    rules: Sequence[str] = ("angle", "length"),
    layers: Sequence[int] | None = None,
    tokens: Sequence[str] = ("bottom-3", "all"),
    strengths: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    **fixed: Any,
) -> list[Intervention]:
    """The variants of a sweep, each once; see `sweep`."""
    of_maps = {name: fixed.pop(name) for name in ("map", "keep_length") if name in fixed}
    grid = [
        Intervention.from_dict(
            {"rule": rule, "layers": [layer], "tokens": which, "strength": alpha, **fixed}
            | (of_maps if rule == "map" else {})
        )
        for layer in levels_of(editable, layers)
        for rule in rules
        for which in tokens
        for alpha in strengths
    ]
    return list(pinned(dict.fromkeys(grid)))


def sweep(
    prefill: Prefill,
    target: str = "",
    *,
    progress: Progress | None = None,
    **options: Any,
) -> Sweep:
    """Try interventions over a grid.

    Parameters
    ----------
    prefill : Prefill
        From `with_target`.
    target : str
        Its name, for the record.
    rules, layers, tokens, strengths : sequences
        The grid; all layers that can be changed by default, as a rule 0..L-1. A variant that is
        named twice is tried once.
    **options
        Further fields of `Intervention`, the same for all.

    Raises
    ------
    SettingsError
        A field or a layer does not fit.
    """
    needs_target(prefill)
    grid = grid_of(prefill.model.editable_levels, **options)
    plain, text = plain_scores(prefill)
    scores = prefill.scores([(it,) for it in grid], progress)
    table = pd.DataFrame(
        {
            "rule": [it.rule for it in grid],
            "layer": [it.layers[0] for it in grid],
            "tokens": [it.tokens for it in grid],
            "strength": [it.strength for it in grid],
            "logprob": scores,
            "change": scores - plain,
        }
    )
    return Sweep(target, plain, text, table)


def plain_scores(prefill: Prefill) -> tuple[float, float]:
    """Log-probability of the target given the speech as it is, and given the transcript (nats)."""
    plain, text = prefill.logits[None], prefill.text_logits[None]
    return float(prefill.log_probability(plain)[0]), float(prefill.log_probability(text)[0])


def needs_target(prefill: Prefill) -> None:
    """Refuse plain runs without a target behind the prompt."""
    if not prefill.continuation:
        raise SettingsError("There is no target answer: make the runs with with_target(...).")

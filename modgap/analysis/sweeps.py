"""Where the gap is decided: interventions over layers and strengths, and activation patching.

Both ask one number of many variants of a clip: how much more likely an intervention makes the
wanted answer, in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modgap.core.errors import SettingsError
from modgap.core.progress import Steps
from modgap.core.settings import AnalysisSettings
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.decoding import decode_rows
from modgap.models.resume import repeated

if TYPE_CHECKING:
    from modgap.models.base import Progress, PromptPair, SpeechLM

__all__ = ["Patching", "Sweep", "patching", "sweep", "with_target"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Change of the wanted answer's log-probability over a grid of interventions.

    Attributes
    ----------
    target : str
        The wanted answer.
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


@dataclass(frozen=True, eq=False)
class Patching:
    """What one text token's state does in the place of its stretch of speech.

    Attributes
    ----------
    target : str
    plain, text : float
        As in `Sweep`.
    layers : tuple of K int
    pieces : tuple of T_t str
    spans : float64 ndarray (T_t, 2)
        Start and end in seconds of the speech positions that were replaced (the hull over layers).
    change : float64 ndarray (K, T_t)
        Change of the target's log-probability when, in layer l, the speech positions of text token
        j hold its state.
    """

    target: str
    plain: float
    text: float
    layers: tuple[int, ...]
    pieces: tuple[str, ...]
    spans: np.ndarray
    change: np.ndarray

    @property
    def restored(self) -> np.ndarray:
        """Share of the distance between speech and text that each patch closes; NaN without one."""
        gap = self.text - self.plain
        return self.change / gap if abs(gap) > 1e-9 else np.full_like(self.change, np.nan)

    def table(self) -> pd.DataFrame:
        """One row a layer and text token."""
        K, T = self.change.shape
        return pd.DataFrame(
            {
                "layer": np.repeat(self.layers, T),
                "j": np.tile(np.arange(T), K),
                "piece": list(self.pieces) * K,
                "start": np.tile(self.spans[:, 0], K),
                "end": np.tile(self.spans[:, 1], K),
                "change": self.change.ravel(),
            }
        )


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
            raise SettingsError("The wanted answer is empty: give a word, or leave it out.")
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
    grid = [
        Intervention.from_dict(
            {"rule": rule, "layers": [layer], "tokens": which, "strength": alpha, **fixed}
        )
        for layer in levels_of(editable, layers)
        for rule in rules
        for which in tokens
        for alpha in strengths
    ]
    return list(dict.fromkeys(grid))


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
    _needs_target(prefill)
    grid = grid_of(prefill.model.editable_levels, **options)
    plain, text = _plain_scores(prefill)
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


def patching(
    prefill: Prefill,
    target: str = "",
    *,
    layers: Sequence[int] | None = None,
    where: str = "segment",
    measure: str = "cosine",
    path_layer: int | None = None,
    progress: Progress | None = None,
) -> Patching:
    """Replace each text token's speech positions by its own state, one layer and token at a time.

    Parameters
    ----------
    prefill : Prefill
        From `with_target`.
    target : str
        Its name, for the record.
    layers : sequence of int, optional
        Of 0..L-1, each once; all by default.
    where : "segment" or "pair"
        All speech positions that the monotone path gives the token, or the one on the argmax path.
    measure : "cosine" or "euclidean"
    path_layer : int, optional
        Layer of the path; by default the patched layer's own.

    Raises
    ------
    SettingsError
        A setting is unknown or a layer does not exist.
    """
    _needs_target(prefill)
    if where not in ("segment", "pair"):
        raise SettingsError(f'where is "segment" or "pair", not {where!r}.')
    levels = levels_of(prefill.model.editable_levels, layers)
    times, pieces = prefill.pair.speech.times, prefill.pair.text.pieces
    assert times is not None
    assert pieces is not None
    variants = []
    spans = np.stack([np.full(len(pieces), np.inf), np.full(len(pieces), -np.inf)], axis=1)
    for level in levels:
        source = level if path_layer is None else path_layer
        for j, rows in enumerate(prefill.segments(source, measure, where)):
            spans[j, 0] = min(spans[j, 0], times[rows[0], 0])
            spans[j, 1] = max(spans[j, 1], times[rows[-1], 1])
            variants.append(
                (
                    Intervention(
                        rule="patch",
                        layers=(level,),
                        tokens="given",
                        pairs=tuple((i, j) for i in rows),
                        measure=measure,  # type: ignore[arg-type]  # checked by the class
                        path_layer=source,
                    ),
                )
            )
    plain, text = _plain_scores(prefill)
    change = prefill.scores(variants, progress) - plain
    return Patching(
        target, plain, text, levels, pieces, spans, change.reshape(len(levels), len(pieces))
    )


def _plain_scores(prefill: Prefill) -> tuple[float, float]:
    plain, text = prefill.logits[None], prefill.text_logits[None]
    return float(prefill.log_probability(plain)[0]), float(prefill.log_probability(text)[0])


def _needs_target(prefill: Prefill) -> None:
    if not prefill.continuation:
        raise SettingsError("There is no wanted answer: make the runs with with_target(...).")

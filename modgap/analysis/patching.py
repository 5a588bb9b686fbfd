"""Activation patching: each text token's state in the place of its speech, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modgap.analysis.sweeps import levels_of, needs_target, plain_scores
from modgap.core.errors import SettingsError
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill

if TYPE_CHECKING:
    from modgap.core.progress import Progress

__all__ = ["Patching", "patching"]


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
    needs_target(prefill)
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
    plain, text = plain_scores(prefill)
    change = prefill.scores(variants, progress) - plain
    return Patching(
        target, plain, text, levels, pieces, spans, change.reshape(len(levels), len(pieces))
    )

"""The same clips through several models: curves over relative depth, answers beside each other.

Models differ in depth, so layer k of a model with L decoder layers stands at its relative depth
k / L, as measured: nothing is interpolated. Only where a number needs the same depths in all models
(a table side by side, a spread over models) is there a common grid: the depths of the model with
the fewest measured layers, where every other model gives its nearest layer (ties: the lower one).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modgap.analysis.export import records
from modgap.core.errors import SettingsError
from modgap.core.names import unused_name
from modgap.core.views import Viewed
from modgap.scoring.answers import verdict

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis

__all__ = [
    "CURVES",
    "ModelComparison",
    "at_common_depths",
    "common_depths",
    "curve_table",
    "nearest_layer",
    "spread_over_models",
]

#: The measures of a curve table, as `measures.tables.layer_table` names them.
CURVES = (
    "cosine", "euclidean", "speech_norm", "text_norm", "norm_ratio", "aps_cos", "aps_euc",
    "aps_dtw_cos", "aps_dtw_euc", "monotonicity", "monotonicity_euc",
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class ModelComparison(Viewed):
    """One clip in several models.

    Attributes
    ----------
    names : tuple of str
        One per model, all different.
    analyses : tuple of Analysis
        In the same order, of one clip and one transcript.

    Raises
    ------
    SettingsError
        Names and analyses do not fit each other, or the analyses are of different clips or words.
    """

    names: tuple[str, ...]
    analyses: tuple[Analysis, ...]

    def __post_init__(self) -> None:
        if not self.analyses or len(self.names) != len(self.analyses):
            raise SettingsError("A comparison needs one name per analysis, and at least one.")
        check_different(self.names)
        if len({(a.clip["sha256"], a.transcript) for a in self.analyses}) > 1:
            raise SettingsError("Models are compared on one clip and transcript; these differ.")

    @property
    def curves(self) -> pd.DataFrame:
        """`curve_table` of the analyses."""
        return curve_table(self.analyses, models=self.names)

    @property
    def same_weights(self) -> tuple[tuple[str, ...], ...]:
        """Groups of names that are one and the same model: their curves lie on each other."""
        groups: dict[str, list[str]] = {}
        for name, analysis in zip(self.names, self.analyses, strict=True):
            groups.setdefault(analysis.model["identity"], []).append(name)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)

    def stops(self) -> tuple[float, ...]:
        """All relative depths at which any of the models has a measured layer, rising."""
        every = {
            round(k / a.model["n_layers"], 6) for a in self.analyses for k in a.layer_ids.tolist()
        }
        return tuple(sorted(every))

    def layers_at(self, depth: float) -> tuple[int, ...]:
        """Each model's measured layer nearest to a relative depth."""
        return tuple(nearest_layer(a.layer_ids, a.model["n_layers"], depth) for a in self.analyses)

    def answers(self, reference: str | None = None) -> pd.DataFrame:
        """One row a model: ``model``, ``text``, ``speech`` (what it answered to each), and with a
        `reference` ``text_verdict`` and ``speech_verdict``; None where it was not asked."""
        rows = []
        for name, analysis in zip(self.names, self.analyses, strict=True):
            row: dict[str, Any] = {"model": name}
            for kind in ("text", "speech"):
                given = None if analysis.answers is None else analysis.answers[kind].text
                row[kind] = given
                if reference is not None:
                    row[f"{kind}_verdict"] = None if given is None else verdict(given, reference)
            rows.append(row)
        return pd.DataFrame(rows, dtype=object)  # a text's dtype would turn None into NaN

    def to_dict(self) -> dict[str, Any]:
        """The comparison in JSON's terms; undefined numbers are None."""
        first = self.analyses[0]
        return {
            "clip": first.clip,
            "transcript": first.transcript,
            "models": [
                {
                    **{"as": name, "key": a.key, "settings": a.settings.to_dict()},
                    **{"notes": list(a.notes), **a.model},
                }
                for name, a in zip(self.names, self.analyses, strict=True)
            ],
            "answers": records(self.answers()),
            "curves": records(self.curves),
            "versions": first.versions,
        }


def curve_table(
    analyses: Sequence[Analysis],
    *,
    models: Sequence[str] | None = None,
    clips: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The measures of several analyses over layers and relative depth, as one long table.

    Parameters
    ----------
    analyses : sequence of Analysis
    models, clips : sequence of str, optional
        What to call each one's model and clip; their own names by default.

    Returns
    -------
    DataFrame
        One row per analysis and measured layer: ``model``, ``clip``, ``layer`` (k), ``n_layers``
        (L), ``depth`` (k / L, in [0, 1]), and the measures of `CURVES`, NaN where undefined.

    Raises
    ------
    SettingsError
        There is nothing, the names are not as many as the analyses, or two analyses bear the same
        names of model and clip.
    """
    if not analyses:
        raise SettingsError("Nothing to compare: give at least one analysis.")
    models = [a.model["name"] for a in analyses] if models is None else models
    clips = [a.clip["name"] for a in analyses] if clips is None else clips
    if not len(analyses) == len(models) == len(clips):
        raise SettingsError("Give as many names of models and clips as there are analyses.")
    pairs = list(zip(models, clips, strict=True))
    if len(set(pairs)) < len(pairs):
        raise SettingsError("Two analyses bear the same names of model and clip: name them apart.")
    parts = []
    for analysis, (model, clip) in zip(analyses, pairs, strict=True):
        n_layers = int(analysis.model["n_layers"])
        head = pd.DataFrame({"layer": analysis.layers["layer"].to_numpy(np.int64)})
        head.insert(0, "model", model)
        head.insert(1, "clip", clip)
        head["n_layers"] = n_layers
        head["depth"] = head["layer"] / n_layers
        parts.append(pd.concat([head, analysis.layers[list(CURVES)].astype(float)], axis=1))
    return pd.concat(parts, ignore_index=True)


def nearest_layer(layers: Iterable[int], n_layers: int, depth: float) -> int:
    """The layer whose k / `n_layers` is nearest to `depth`; the lower one of two that are.

    Examples
    --------
    >>> nearest_layer(range(5), 4, 0.6), nearest_layer(range(5), 4, 0.125)
    (2, 0)
    """
    # Rounded, so that the two sides of a tie are not told apart by the last bit of a division.
    return min((round(abs(k / n_layers - depth), 9), int(k)) for k in layers)[1]


def common_depths(curves: pd.DataFrame) -> np.ndarray:
    """The relative depths of the model with the fewest measured layers (ties: the first).

    Returns
    -------
    float64 ndarray (G,)
        Rising.
    """
    found = [np.unique(part["depth"]) for _, part in curves.groupby("model", sort=False)]
    return min(found, key=len)


def at_common_depths(curves: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure of all models at the same relative depths, mean over clips.

    Parameters
    ----------
    curves : DataFrame
        From `curve_table` or `clip_curves`.
    measure : str
        A column of it.

    Returns
    -------
    DataFrame
        One row per depth of `common_depths` and model: ``depth``, ``model``, ``layer`` (the one
        that is nearest in that model) and the measure, NaN where it is undefined in every clip.
    """
    rows = []
    check_measure(curves, measure)
    means = curves.groupby(["model", "layer", "n_layers"], sort=False)[measure].mean()
    names = list(dict.fromkeys(curves["model"]))
    own = {name: means.loc[name] for name in names}
    for depth in common_depths(curves):
        for name in names:
            layers, depths = own[name].index.to_frame().to_numpy().T
            layer = nearest_layer(layers, int(depths[0]), float(depth))
            rows.append((float(depth), name, layer, float(own[name].loc[layer].iloc[0])))
    return pd.DataFrame(rows, columns=["depth", "model", "layer", measure])


def spread_over_models(curves: pd.DataFrame, measure: str) -> pd.DataFrame:
    """How far the models lie apart at the same relative depth.

    Returns
    -------
    DataFrame
        One row per depth of `common_depths`: ``depth``, ``n`` (models where the measure is
        defined), ``mean``, ``std`` (over models, with divisor n: they are all that is compared),
        ``low`` and ``high`` (the extremes).
    """
    groups = at_common_depths(curves, measure).groupby("depth")[measure]
    table = groups.agg(n="count", mean="mean", low="min", high="max")
    table["std"] = groups.std(ddof=0)
    return table.reset_index()[["depth", "n", "mean", "std", "low", "high"]]


def apart(names: Sequence[str]) -> tuple[str, ...]:
    """The names, numbered where one comes again (folders of the same name)."""
    made: list[str] = []
    for name in names:
        made.append(unused_name(name, made))
    return tuple(made)


def check_measure(curves: pd.DataFrame, measure: str) -> None:
    """Raise SettingsError unless `measure` is one of `CURVES` and in the table."""
    if measure not in CURVES or measure not in curves:
        raise SettingsError(f"Unknown measure {measure!r}. Choose from {', '.join(CURVES)}.")


def check_different(names: Sequence[str]) -> None:
    """Raise SettingsError if a name comes twice."""
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise SettingsError(f"{twice} is named twice: name different models.")

"""The same words in two clips, in one model: two voices, two rooms, a clip and its coded copy.

The text is the same, token for token, so what differs between the two analyses is what the clips
differ in. Beside each clip's likeness to the text stands that of the two clips to each other: where
it rises with depth, the model leaves the voice behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modgap.analysis.export import records
from modgap.analysis.model_comparison import CURVES, apart
from modgap.analysis.session import Session
from modgap.core.errors import SettingsError
from modgap.core.progress import Steps
from modgap.scoring.answers import verdict

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.core.settings import AnalysisSettings
    from modgap.models.base import SpeechLM
    from modgap.store.cache import Store

__all__ = ["ClipComparison", "compare_clips"]

#: Per text token, by measure: the column of its partner, of its value, in `token_table`.
_TOKENS = {"cosine": ("i_cos", "cos"), "euclidean": ("i_euc", "euc")}
_SAME = ("identity", "dtype")


@dataclass(frozen=True, eq=False)
class ClipComparison:
    """Two clips of the same words in one model.

    Attributes
    ----------
    names : (str, str)
        Of the clips, different.
    analyses : (Analysis, Analysis)
        A and B, in the same order.

    Raises
    ------
    SettingsError
        They are of different words, models, settings or layers, or the names are equal.
    """

    names: tuple[str, str]
    analyses: tuple[Analysis, Analysis]

    def __post_init__(self) -> None:
        if len(self.names) != 2 or len(self.analyses) != 2 or self.names[0] == self.names[1]:
            raise SettingsError("Two clips are compared, by two different names.")
        a, b = self.analyses
        if a.transcript != b.transcript:
            raise SettingsError(
                "Two clips are compared by the same words; these transcripts differ."
            )
        if any(a.model[name] != b.model[name] for name in _SAME):
            raise SettingsError("Two clips are compared in one model; these analyses are of two.")
        same = a.settings.prompt == b.settings.prompt and a.settings.final_norm == (
            b.settings.final_norm
        )
        if not same or a.layer_ids.tolist() != b.layer_ids.tolist():
            raise SettingsError("Two clips are compared under the same settings; these differ.")

    @property
    def differences(self) -> pd.DataFrame:
        """One row per layer and measure of `CURVES`: ``layer``, ``measure``, ``a``, ``b``,
        ``difference`` (b - a); NaN where undefined."""
        a, b = (analysis.layers for analysis in self.analyses)
        parts = []
        for name in CURVES:
            one, other = (t[name].to_numpy(np.float64) for t in (a, b))
            values = {"layer": a["layer"].to_numpy(np.int64), "measure": name}
            parts.append(pd.DataFrame(values | {"a": one, "b": other, "difference": other - one}))
        return pd.concat(parts, ignore_index=True)

    @property
    def between(self) -> pd.DataFrame:
        """How alike the two clips are to each other: one row per layer with ``layer``, ``cosine``
        and ``euclidean`` of the means of their speech positions, cos(s_A[l], s_B[l]) and
        ||s_A[l] - s_B[l]||."""
        a, b = (x.pooled_speech.astype(np.float64) for x in self.analyses)
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            cosine = (a * b).sum(axis=1) / lengths
        return pd.DataFrame(
            {
                "layer": self.analyses[0].layer_ids.astype(np.int64),
                "cosine": cosine,
                "euclidean": np.linalg.norm(a - b, axis=1),
            }
        )

    def tokens(self, layer: int, measure: str = "cosine") -> pd.DataFrame:
        """The text tokens of a layer, each on the argmax path of either clip.

        Parameters
        ----------
        layer : int
        measure : "cosine" or "euclidean"

        Returns
        -------
        DataFrame
            One row a token: ``j``, ``piece``, ``a``, ``b`` (its value in either clip),
            ``difference`` (b - a), ``start_a``, ``start_b`` (s, of the speech position).

        Raises
        ------
        SettingsError
            The measure or the layer is unknown.
        """
        if measure not in _TOKENS:
            raise SettingsError(f"The measure is cosine or euclidean, not {measure!r}.")
        if layer not in self.analyses[0].layer_ids:
            raise SettingsError(f"Layer {layer} was not measured.")
        at, value = _TOKENS[measure]
        a, b = (t[t["layer"] == layer] for t in (x.tokens for x in self.analyses))
        one, other = (t[value].to_numpy(np.float64) for t in (a, b))
        starts = [
            x.speech_times[t[at].to_numpy(), 0] for x, t in zip(self.analyses, (a, b), strict=True)
        ]
        return pd.DataFrame(
            {
                "j": a["j"].to_numpy(), "piece": a["piece"].to_numpy(), "a": one, "b": other,
                "difference": other - one, "start_a": starts[0], "start_b": starts[1],
            }
        )  # fmt: skip

    def answers(self, reference: str | None = None) -> pd.DataFrame:
        """One row a clip, and before them one for the text: ``clip``, ``answer``, and with a
        `reference` ``verdict``; None where it was not asked."""
        a, b = self.analyses
        rows: list[dict[str, Any]] = []
        one, other = self.names
        for name, made, kind in (("text", a, "text"), (one, a, "speech"), (other, b, "speech")):
            given = None if made.answers is None else made.answers[kind].text
            row: dict[str, Any] = {"clip": name, "answer": given}
            if reference is not None:
                row["verdict"] = None if given is None else verdict(given, reference)
            rows.append(row)
        return pd.DataFrame(rows, dtype=object)

    def to_dict(self) -> dict[str, Any]:
        """The comparison in JSON's terms; undefined numbers are None."""
        first = self.analyses[0]
        return {
            "format": "modgap-clips",
            "model": first.model,
            "transcript": first.transcript,
            "settings": first.settings.to_dict(),
            "clips": [
                {"as": name, "key": a.key, **a.clip}
                for name, a in zip(self.names, self.analyses, strict=True)
            ],
            "answers": records(self.answers()),
            "differences": records(self.differences),
            "between": records(self.between),
            "versions": first.versions,
        }


def compare_clips(
    model: SpeechLM,
    first: Clip,
    second: Clip,
    transcript: str,
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> ClipComparison:
    """Analyse two clips of the same words in a model.

    Parameters
    ----------
    model : SpeechLM
    first, second : Clip
        A and B.
    transcript : str
        What is said in both.
    settings, store, progress, **overrides
        As in `analyze`.

    Raises
    ------
    ModgapError
        A clip cannot be analysed.

    Examples
    --------
    >>> found = modgap.compare_clips(model, quiet, noisy, "what is two plus two")  # doctest: +SKIP
    >>> found.differences.query("measure == 'aps_cos'")                            # doctest: +SKIP
    """
    steps, made = Steps(progress), []
    for n, clip in enumerate((first, second)):
        session = Session(model, clip, transcript, settings, store=store, **overrides)
        part = steps.part(n / 2, (n + 1) / 2, f"clip {'AB'[n]}")
        made.append(session.analyze(progress=part))
    one, other = apart([first.name or "A", second.name or "B"])
    return ClipComparison((one, other), (made[0], made[1]))

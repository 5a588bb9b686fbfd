"""The Alignment Path Score of pairs that do not belong together: a clip against other texts.

The speech runs once, each text once; only the texts differ. What the score of the own text is worth
is told by where it lies among these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modgap.core.errors import SettingsError
from modgap.core.settings import AnalysisSettings, check_text
from modgap.interventions.plain_run import text_states
from modgap.interventions.prefill import Prefill
from modgap.measures.sinks import without_sinks

if TYPE_CHECKING:
    from modgap.models.base import Progress

__all__ = ["OTHER_TEXTS", "SCORES", "Mismatched", "mismatched_aps"]

#: What a clip is held against where no other texts are given: plain sentences of 3 to 12 words.
OTHER_TEXTS = (
    "The ferry leaves at noon.",
    "She painted the kitchen door green.",
    "How many legs does a spider have?",
    "My brother plays the violin in a small orchestra.",
    "Please close the window before you go to bed.",
    "It rained all week in the mountains.",
    "Which planet is closest to the sun?",
    "The old library was turned into a market hall last year.",
    "He never drinks coffee.",
    "Bread is made from flour, water, yeast and salt.",
    "Where can I buy a ticket for the night train?",
    "Nobody knew why the garden gate was open.",
    "A week has seven days.",
    "They moved to a larger house near the harbour.",
    "What do bees collect from flowers?",
    "The meeting has been put off until Thursday afternoon.",
)
SCORES = ("aps_cos", "aps_euc", "filtered_aps_cos", "filtered_aps_euc")


@dataclass(frozen=True, eq=False)
class Mismatched:
    """Path scores of one clip's speech against other texts.

    Attributes
    ----------
    texts : tuple of N str
    layer_ids : int64 ndarray (K,)
    scores : dict of str to float64 ndarray (N, K)
        By a name of `SCORES`; the last two are without sinks and silence (`measures.sinks`).
    """

    texts: tuple[str, ...]
    layer_ids: np.ndarray
    scores: dict[str, np.ndarray]

    def band(self, score: str = "aps_cos", low: float = 0.05, high: float = 0.95) -> pd.DataFrame:
        """One row a layer: ``layer``, ``mean``, ``low`` and ``high`` (quantiles over the texts)."""
        values = self.scores[score]
        ends = np.nanquantile(values, (low, high), axis=0)
        return pd.DataFrame(
            {"layer": self.layer_ids, "mean": values.mean(0), "low": ends[0], "high": ends[1]}
        )

    def table(self) -> pd.DataFrame:
        """One row a text and layer, a column a score."""
        N, K = len(self.texts), len(self.layer_ids)
        return pd.DataFrame(
            {
                "text": np.repeat(self.texts, K),
                "layer": np.tile(self.layer_ids, N),
                **{name: values.ravel() for name, values in self.scores.items()},
            }
        )


def other_texts(transcript: str, texts: Sequence[str] | None) -> tuple[str, ...]:
    """The texts that differ from the transcript, each once.

    Raises
    ------
    SettingsError
        Fewer than two are left, or one is no text.
    """
    found = tuple(dict.fromkeys(check_text("text", t).strip() for t in texts or OTHER_TEXTS))
    found = tuple(t for t in found if t and t.casefold() != transcript.strip().casefold())
    if len(found) < 2:
        raise SettingsError("Mismatched pairs need at least two other texts: give texts=[...].")
    return found


def mismatched_aps(
    prefill: Prefill,
    quiet: np.ndarray,
    settings: AnalysisSettings | None = None,
    *,
    texts: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Mismatched:
    """Hold the clip's speech against other texts, in every layer.

    Parameters
    ----------
    prefill : Prefill
        The plain runs of the clip and its transcript.
    quiet : bool ndarray (T_s,)
        Which speech positions are silent (`measures.sinks.silent`).
    settings : AnalysisSettings, optional
        How the prompts were made.
    texts : sequence of str, optional
        What the clip does not say; `OTHER_TEXTS` by default. Texts of the clip's own language and
        length make the hardest comparison.
    progress : callable (fraction, note), optional

    Raises
    ------
    SettingsError
        Fewer than two texts differ from the transcript.
    """
    model, pair = prefill.model, prefill.pair
    chosen = settings or AnalysisSettings()
    said = other_texts(pair.transcript, texts)
    report = progress or (lambda *_: None)
    speech = prefill.speech
    found: dict[str, list[np.ndarray]] = {name: [] for name in SCORES}
    for n, text in enumerate(said):
        report(n / len(said), f"text {n + 1} of {len(said)}")
        states = text_states(model, model.text_prompt(text, **chosen.prompt))
        _, made = prefill.measured(speech, states)
        found["aps_cos"].append(made.aps_cos)
        found["aps_euc"].append(made.aps_euc)
        found["filtered_aps_cos"].append(without_sinks(made.similarity, quiet).score)
        found["filtered_aps_euc"].append(without_sinks(made.distance, quiet, lowest=True).score)
    layers = np.arange(model.n_layers + 1, dtype=np.int64)
    return Mismatched(said, layers, {name: np.stack(rows) for name, rows in found.items()})

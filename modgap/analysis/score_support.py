"""What an Alignment Path Score rests on, beside it: positions, words, mismatched pairs, sinks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modgap.analysis.word_hits import in_word
from modgap.core.errors import ModgapError
from modgap.measures.sinks import Filtered, distinct, silent, without_sinks

if TYPE_CHECKING:
    from modgap.analysis.mismatched import Mismatched
    from modgap.analysis.result import Analysis
    from modgap.speech.words import WordTimes

__all__ = ["filtered_paths", "score_support"]

_PATHS = {"cos": "argmax_cos", "euc": "argmin_euc"}


def filtered_paths(analysis: Analysis) -> dict[str, Filtered]:
    """The paths without sinks and silence of an analysis, by ``"cos"`` and ``"euc"``."""
    quiet = silent(analysis.audio, analysis.audio_rate, analysis.speech_times)
    a = analysis.alignment
    return {
        "cos": without_sinks(a.similarity, quiet),
        "euc": without_sinks(a.distance, quiet, lowest=True),
    }


def score_support(
    analysis: Analysis, *, words: WordTimes | None = None, others: Mismatched | None = None
) -> pd.DataFrame:
    """The path scores of every layer, and what they rest on.

    Parameters
    ----------
    analysis : Analysis
    words : WordTimes, optional
        When each word is said.
    others : Mismatched, optional
        The clip against other texts, from `Session.mismatched`.

    Returns
    -------
    DataFrame
        One row a layer: ``layer``, ``tokens`` (T_t), and, for ``cos`` and ``euc``: ``aps_<m>``;
        ``distinct_<m>``, the different speech positions on the path; ``filtered_aps_<m>``,
        ``filtered_distinct_<m>`` and ``left_out_<m>``, the same without sinks and silence and how
        many positions that leaves out. With `words`: ``word_<m>`` and ``filtered_word_<m>``, shares
        of the tokens in their word, and ``chance``, ``filtered_chance_<m>``, those of a position
        drawn at random (of those that are left). With `others`: ``others_low_<m>``,
        ``others_high_<m>``, the middle 90 % of mismatched pairs, and the same as ``filtered_...``.

    Raises
    ------
    ModgapError
        Words of another transcript, or a clip that was held against others in other layers.
    """
    if words is not None and words.transcript != analysis.transcript:
        raise ModgapError("The word times are those of another transcript than the analysis.")
    if others is not None and not set(analysis.layer_ids) <= set(others.layer_ids.tolist()):
        raise ModgapError("The mismatched pairs were measured in other layers.")
    a = analysis.alignment
    columns: dict[str, object] = {"layer": analysis.layer_ids, "tokens": len(analysis.pieces)}
    inside, tokens = None, np.empty(0, np.int64)
    if words is not None:
        owner = words.of_tokens(analysis.spans)
        tokens = np.flatnonzero(owner >= 0)
        inside, _ = in_word(analysis.speech_times, words.times[owner[tokens]])
        columns["chance"] = inside.mean() if inside.size else np.nan
    for m, filtered in filtered_paths(analysis).items():
        path = getattr(a, _PATHS[m])
        columns[f"aps_{m}"] = getattr(a, f"aps_{m}")
        columns[f"distinct_{m}"] = distinct(path)
        columns[f"filtered_aps_{m}"] = filtered.score
        columns[f"filtered_distinct_{m}"] = distinct(filtered.path)
        columns[f"left_out_{m}"] = (~filtered.kept).sum(1)
        if inside is not None:
            columns[f"word_{m}"] = _share(inside, path, tokens)
            columns[f"filtered_word_{m}"] = _share(inside, filtered.path, tokens)
            columns[f"filtered_chance_{m}"] = [
                inside[kept].mean() if kept.any() and inside.size else np.nan
                for kept in filtered.kept
            ]
        if others is not None:
            for name in ("", "filtered_"):
                band = others.band(f"{name}aps_{m}").set_index("layer").loc[analysis.layer_ids]
                columns[f"{name}others_low_{m}"] = band["low"].to_numpy()
                columns[f"{name}others_high_{m}"] = band["high"].to_numpy()
    return pd.DataFrame(columns)


def _share(inside: np.ndarray, path: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Share of the tokens whose position lies in their word, float64 (K,); NaN without any."""
    if not len(tokens):
        return np.full(len(path), np.nan)
    at = path[:, tokens]
    return (inside[np.maximum(at, 0), np.arange(len(tokens))] & (at >= 0)).mean(1)

"""Does an alignment path land in the word? Paths held against word times from outside the model.

Similarity and monotonicity judge a path by the model's own states. When a word is said is known
from elsewhere (forced alignment, or the synthesizer), so this measure can say that a path is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modgap.core.errors import ModgapError
from modgap.core.views import Viewed
from modgap.speech.words import WordTimes

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis

__all__ = ["PATHS", "WordHits", "hits_of", "hits_summary", "in_word", "word_hits", "word_rows"]

#: Path -> where `Alignment` holds each text token's speech position on it.
PATHS: Mapping[str, str] = {
    "cos": "argmax_cos",
    "euc": "argmin_euc",
    "dtw_cos": "dtw_pair_cos",
    "dtw_euc": "dtw_pair_euc",
}
CHANCE, DIAGONAL = "chance", "diagonal"


@dataclass(frozen=True, eq=False, repr=False)
class WordHits(Viewed):
    """How the paths of one clip lie to the times of its words.

    n text tokens are part of a word whose time is known; the others (full stops) are not counted.
    A token is *inside* if the time of its speech position and the time of its word overlap.

    Attributes
    ----------
    layer_ids : int ndarray (K,)
    tokens : int ndarray (n,)
        The text positions that are counted.
    inside : dict of path to bool ndarray (K, n)
        For each path of `PATHS`.
    off : dict of path to float64 ndarray (K, n)
        Milliseconds between the two stretches of time; 0 where they overlap or touch.
    chance : float64 ndarray (n,)
        Probability that a speech position drawn at random is inside.
    chance_off : float64 ndarray (m,)
        `off` of every position that is outside, over all tokens: what a random position is off by.
    diagonal : bool ndarray (n,)
        Whether the position on the straight line from the first to the last is inside.
    diagonal_off : float64 ndarray (n,)
    source : str
        Whose word times they are.
    """

    layer_ids: np.ndarray
    tokens: np.ndarray
    inside: dict[str, np.ndarray]
    off: dict[str, np.ndarray]
    chance: np.ndarray
    chance_off: np.ndarray
    diagonal: np.ndarray
    diagonal_off: np.ndarray
    source: str

    def layers(self) -> pd.DataFrame:
        """One row per layer.

        ``layer``, ``n`` (tokens counted), and for each path ``word_<path>``, the share of tokens
        inside (NaN if none is counted), and ``word_ms_<path>``, the median of how far the others
        are off in ms (NaN if there are none); ``chance``, ``chance_ms``, ``diagonal``,
        ``diagonal_ms``, the same for random positions and for the straight line.
        """
        columns: dict[str, Any] = {"layer": self.layer_ids, "n": len(self.tokens)}
        for path in PATHS:
            rows = list(zip(self.inside[path], self.off[path], strict=True))
            columns[f"word_{path}"] = [_mean(inside) for inside, _ in rows]
            columns[f"word_ms_{path}"] = [_median(off[~inside]) for inside, off in rows]
        columns |= {"chance": _mean(self.chance), "chance_ms": _median(self.chance_off)}
        columns |= {
            "diagonal": _mean(self.diagonal),
            "diagonal_ms": _median(self.diagonal_off[~self.diagonal]),
        }
        return pd.DataFrame(columns)


def word_hits(analysis: Analysis, words: WordTimes) -> WordHits:
    """Hold the paths of an analysis against the times of its words.

    Parameters
    ----------
    analysis : Analysis
    words : WordTimes
        Of the same transcript, such as `modgap.word_times` gives.

    Raises
    ------
    ModgapError
        The words are those of another transcript.

    Examples
    --------
    >>> words = modgap.word_times(clip, result.transcript)                      # doctest: +SKIP
    >>> modgap.word_hits(result, words).layers()[["layer", "word_cos"]]         # doctest: +SKIP
    """
    if words.transcript != analysis.transcript:
        raise ModgapError("The word times are those of another transcript than the analysis.")
    paths = {path: getattr(analysis.alignment, field) for path, field in PATHS.items()}
    return hits_of(paths, analysis.layer_ids, analysis.speech_times, analysis.spans, words)


def hits_of(
    paths: Mapping[str, np.ndarray],
    layer_ids: np.ndarray,
    speech_times: np.ndarray,
    spans: np.ndarray,
    words: WordTimes,
) -> WordHits:
    """`word_hits` of bare arrays.

    Parameters
    ----------
    paths : mapping of path to int ndarray (K, T_t)
        The speech position of each text token.
    layer_ids : int ndarray (K,)
    speech_times : float ndarray (T_s, 2)
        Seconds.
    spans : int ndarray (T_t, 2)
        Of the text tokens in the transcript.
    words : WordTimes
    """
    owner = words.of_tokens(spans)
    tokens = np.flatnonzero(owner >= 0)
    inside, gap = in_word(speech_times, words.times[owner[tokens]])
    n_speech, n_text = len(speech_times), len(spans)
    columns = np.arange(len(tokens))
    straight = ((tokens + 0.5) * n_speech / max(1, n_text)).astype(np.int64)
    return WordHits(
        layer_ids=np.asarray(layer_ids),
        tokens=tokens,
        inside={path: inside[at[:, tokens], columns] for path, at in paths.items()},
        off={path: 1000 * gap[at[:, tokens], columns] for path, at in paths.items()},
        chance=inside.mean(0) if n_speech else np.zeros(len(tokens)),
        chance_off=1000 * gap[~inside],
        diagonal=inside[straight, columns],
        diagonal_off=1000 * gap[straight, columns],
        source=words.source,
    )


def in_word(speech_times: np.ndarray, word_times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each speech position lies in each word, and how far off it is.

    Parameters
    ----------
    speech_times : float ndarray (T_s, 2)
    word_times : float ndarray (n, 2)
        Seconds; a word without length is a moment, inside the position that holds it.

    Returns
    -------
    inside : bool ndarray (T_s, n)
        The two stretches share some time.
    gap : float64 ndarray (T_s, n)
        Seconds from one to the other, 0 where they overlap or touch.
    """
    a, b = (np.asarray(speech_times, np.float64)[:, end, None] for end in (0, 1))
    s, e = (np.asarray(word_times, np.float64)[None, :, end] for end in (0, 1))
    shared = np.minimum(b, e) - np.maximum(a, s)
    inside = (shared > 1e-9) | ((s == e) & (a <= s) & (s < b))
    return inside, np.where(inside, 0.0, np.maximum(-shared, 0.0))


def word_rows(words: WordTimes, spans: np.ndarray) -> list[tuple[float, float, int, int]]:
    """Where each word stands in an alignment: (start s, end s, first text token, last one)."""
    owner = words.of_tokens(spans)
    rows = []
    for w, (start, end) in enumerate(words.times.tolist()):
        mine = np.flatnonzero(owner == w)
        if len(mine):
            rows.append((start, end, int(mine[0]), int(mine[-1])))
    return rows


def hits_summary(clips: Sequence[WordHits], *, seed: int = 0, draws: int = 2000) -> pd.DataFrame:
    """The measure over many clips: tokens pooled, intervals over clips.

    Parameters
    ----------
    clips : sequence of WordHits
        Of one model, the same layers.
    seed, draws : int
        Of the bootstrap: clips are drawn with replacement.

    Returns
    -------
    DataFrame
        One row per path and layer, then ``chance`` and ``diagonal`` (layer -1): ``path``,
        ``layer``, ``share``, ``low``, ``high`` (95 %), ``ms`` (median distance of the tokens
        outside), ``tokens``, ``clips``.

    Raises
    ------
    ModgapError
        No clip, or clips with different layers.
    """
    if not clips:
        raise ModgapError("There is no clip to sum up.")
    layers = clips[0].layer_ids
    if any(not np.array_equal(c.layer_ids, layers) for c in clips):
        raise ModgapError("The clips were measured in different layers.")
    drawn = np.random.default_rng(seed).integers(len(clips), size=(draws, len(clips)))
    counts = np.array([len(c.tokens) for c in clips], np.float64)
    rows = []

    def add(path: str, layer: int, share: Sequence[np.ndarray], off: Sequence[np.ndarray]) -> None:
        found = np.array([float(x.sum()) for x in share])
        total = counts[drawn].sum(1)
        spread = found[drawn].sum(1)[total > 0] / total[total > 0]
        low, high = np.quantile(spread, (0.025, 0.975)) if len(spread) else (np.nan, np.nan)
        whole = found.sum() / counts.sum() if counts.sum() else np.nan
        ms = _median(np.concatenate(list(off)))
        rows.append((path, layer, whole, low, high, ms, int(counts.sum()), len(clips)))

    for path in PATHS:
        for k, layer in enumerate(layers.tolist()):
            add(
                path,
                layer,
                [c.inside[path][k] for c in clips],
                [c.off[path][k][~c.inside[path][k]] for c in clips],
            )
    add(CHANCE, -1, [c.chance for c in clips], [c.chance_off for c in clips])
    add(
        DIAGONAL, -1, [c.diagonal for c in clips],
        [c.diagonal_off[~c.diagonal] for c in clips],
    )  # fmt: skip
    names = ["path", "layer", "share", "low", "high", "ms", "tokens", "clips"]
    return pd.DataFrame(rows, columns=names)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else float("nan")

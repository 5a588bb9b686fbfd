"""Activation patching: the text's states in the place of the speech's, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modgap.analysis.sweeps import levels_of, needs_target, plain_scores
from modgap.analysis.word_hits import in_word
from modgap.core.errors import SettingsError
from modgap.core.progress import Steps
from modgap.core.settings import integer
from modgap.core.views import Viewed
from modgap.interventions.after_audio import pieces_after, scores_after
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill

if TYPE_CHECKING:
    from modgap.core.progress import Progress
    from modgap.speech.words import WordTimes

__all__ = ["WHERE", "Patching", "patching", "random_positions", "word_positions"]

#: What is replaced: the positions that the token's word is said in, those that the DTW path gives
#: the token, the one on its argmax path; or a token behind the audio by its counterpart.
WHERE = ("word", "segment", "pair", "after")
Rows = tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Patching(Viewed):
    """What the text's states do in the place of the speech's.

    A cell is a layer l and a row j: a token of the transcript, whose state is put into the speech
    positions `positions` of the cell; or, with ``where="after"``, a token behind the audio.

    Attributes
    ----------
    target : str
    plain, text : float
        As in `Sweep`.
    layers : tuple of K int
    pieces : tuple of T int
        What the rows are called.
    where : str
        One of `WHERE`.
    source : str
        Whose word times say where a word is said; empty if none do.
    positions : tuple of K tuples of T tuples of int
        What was replaced: speech positions, ascending; none for a token that is part of no word.
        With ``where="after"``: which of the tokens behind the audio.
    times : float64 ndarray (T_s, 2)
        Start and end of every speech position in seconds.
    change : float64 ndarray (K, T)
        Change of the target's log-probability (nats); NaN where nothing was replaced.
    control : float64 ndarray (K, T)
        The same for as many speech positions drawn at random, mean over the draws; NaN where none
        were drawn.
    """

    target: str
    plain: float
    text: float
    layers: tuple[int, ...]
    pieces: tuple[str, ...]
    where: str
    source: str
    positions: tuple[tuple[Rows, ...], ...]
    times: np.ndarray
    change: np.ndarray
    control: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """How many positions were replaced, int64 (K, T)."""
        return np.array([[len(rows) for rows in line] for line in self.positions], np.int64)

    @property
    def spans(self) -> np.ndarray:
        """Start and end in seconds of what was replaced, float64 (K, T, 2); NaN behind the audio
        and where nothing was."""
        spans = np.full((*self.change.shape, 2), np.nan)
        if self.where != "after":
            for k, line in enumerate(self.positions):
                for j, rows in enumerate(line):
                    if rows:
                        spans[k, j] = self.times[rows[0], 0], self.times[rows[-1], 1]
        return spans

    @property
    def restored(self) -> np.ndarray:
        """Share of the distance between speech and text that each patch closes; NaN without one."""
        gap = self.text - self.plain
        return self.change / gap if abs(gap) > 1e-9 else np.full_like(self.change, np.nan)

    @property
    def size_effect(self) -> float:
        """Spearman's rho over cells between how much was replaced and how large the change is.

        Where it is high, a map shows how much was overwritten; NaN where it is undefined.
        """
        from scipy import stats

        known = np.isfinite(self.change)
        counts, change = self.counts[known], np.abs(self.change[known])
        if known.sum() < 3 or not np.ptp(counts) or not np.ptp(change):
            return float("nan")
        return float(stats.spearmanr(counts, change).statistic)

    def table(self) -> pd.DataFrame:
        """One row a layer and token: ``layer``, ``j``, ``piece``, ``positions`` (such as "3 4 5"),
        ``count``, ``start``, ``end`` (s), ``change``, ``control`` (nats)."""
        K, T = self.change.shape
        spans = self.spans.reshape(-1, 2)
        return pd.DataFrame(
            {
                "layer": np.repeat(self.layers, T),
                "j": np.tile(np.arange(T), K),
                "piece": list(self.pieces) * K,
                "positions": [" ".join(map(str, rows)) for line in self.positions for rows in line],
                "count": self.counts.ravel(),
                "start": spans[:, 0],
                "end": spans[:, 1],
                "change": self.change.ravel(),
                "control": self.control.ravel(),
            }
        )


def patching(
    prefill: Prefill,
    target: str = "",
    *,
    layers: Sequence[int] | None = None,
    where: str = "word",
    words: WordTimes | None = None,
    measure: str = "cosine",
    path_layer: int | None = None,
    draws: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Patching:
    """Replace speech positions by the text's states, one layer and token at a time.

    Parameters
    ----------
    prefill : Prefill
        From `with_target`.
    target : str
        Its name, for the record.
    layers : sequence of int, optional
        Of 0..L-1, each once; all by default.
    where : str
        ``"word"``: a token's state goes into all speech positions that its word is said in, by
        `words`. ``"segment"``: into those that the monotone path gives the token, ``"pair"``: into
        the one on the argmax path; both are what the model takes for the token, not where it is
        said. ``"after"``: a token behind the audio gets its state from behind the transcript.
    words : WordTimes, optional
        For ``"word"``, such as `modgap.word_times` gives.
    measure : "cosine" or "euclidean"
    path_layer : int, optional
        Layer of the path; by default the patched layer's own.
    draws, seed : int
        How often as many random positions are patched as a control; 0: never.

    Raises
    ------
    SettingsError
        A setting is unknown, a layer does not exist, or the words do not fit.
    """
    needs_target(prefill)
    if where not in WHERE:
        raise SettingsError(f"where is one of {', '.join(WHERE)}, not {where!r}.")
    draws = integer("draws", draws, 0, 100)
    levels = levels_of(prefill.model.editable_levels, layers)
    times = prefill.pair.speech.times
    assert times is not None
    plain, text = plain_scores(prefill)
    if where == "after":
        for level in levels:
            Intervention(layers=(level,)).check(prefill.model.n_layers)
        prefill.model.check_edit(levels)
        names = pieces_after(prefill)
        cells = [(level, k) for level in levels for k in range(len(names))]
        change = scores_after(prefill, cells, progress).reshape(len(levels), -1) - plain
        behind: tuple[Rows, ...] = tuple((k,) for k in range(len(names)))
        return Patching(
            target, plain, text, levels, names, where, "", (behind,) * len(levels), times, change,
            np.full_like(change, np.nan),
        )  # fmt: skip
    pieces = prefill.pair.text.pieces
    assert pieces is not None
    positions = tuple(
        _positions(prefill, where, words, level if path_layer is None else path_layer, measure)
        for level in levels
    )
    steps = Steps(progress)
    shape = (len(levels), len(pieces))
    empty = np.array([[not rows for rows in line] for line in positions])

    def change_of(chosen: Sequence[Sequence[Rows]], report: Progress) -> np.ndarray:
        variants = [
            _stack(level, j, rows)
            for level, line in zip(levels, chosen, strict=True)
            for j, rows in enumerate(line)
        ]
        change = (prefill.scores(variants, report) - plain).reshape(shape)
        return np.where(empty, np.nan, change)

    share = 1 / (1 + draws)
    change = change_of(positions, steps.part(0.0, share, "patches"))
    control = np.full(shape, np.nan)
    if draws:
        found = []
        for draw in range(draws):
            chosen = [
                [random_positions(rows, len(times), (seed, draw, j)) for j, rows in enumerate(line)]
                for line in positions
            ]
            part = steps.part(share * (1 + draw), share * (2 + draw), "random positions")
            found.append(change_of(chosen, part))
        control = np.mean(found, axis=0)
    source = words.source if where == "word" and words is not None else ""
    return Patching(
        target, plain, text, levels, pieces, where, source, positions, times, change, control
    )


def word_positions(times: np.ndarray, spans: np.ndarray, words: WordTimes) -> tuple[Rows, ...]:
    """The speech positions that each text token's word is said in.

    Parameters
    ----------
    times : float64 ndarray (T_s, 2)
        Of the speech positions, in seconds.
    spans : int ndarray (T_t, 2)
        Of the text tokens in the transcript.
    words : WordTimes

    Returns
    -------
    tuple of T_t tuples of int
        Ascending; those whose time and the word's overlap. Empty for a token that is part of no
        word, such as a full stop.
    """
    owner = words.of_tokens(spans)
    if not len(words.words):
        return tuple(() for _ in owner)
    inside, _ = in_word(times, words.times)
    return tuple(
        () if w < 0 else tuple(map(int, np.flatnonzero(inside[:, w]))) for w in owner.tolist()
    )


def random_positions(rows: Rows, n: int, seed: Sequence[int]) -> Rows:
    """As many of n positions as `rows`, drawn from the others as far as these suffice."""
    drawn = np.random.default_rng(list(seed)).permutation(n)
    mine = np.isin(drawn, rows)
    return tuple(sorted(map(int, np.concatenate([drawn[~mine], drawn[mine]])[: len(rows)])))


def _positions(
    prefill: Prefill, where: str, words: WordTimes | None, source: int, measure: str
) -> tuple[Rows, ...]:
    if where != "word":
        return tuple(map(tuple, prefill.segments(source, measure, where)))
    if words is None:
        raise SettingsError(
            'where="word" needs the times of the words: give words=modgap.word_times(...), or '
            'where="segment" for the DTW segment.'
        )
    if words.transcript != prefill.pair.transcript:
        raise SettingsError("The word times are those of another transcript.")
    times, spans = prefill.pair.speech.times, prefill.pair.text.spans
    assert times is not None
    assert spans is not None
    return word_positions(times, spans, words)


def _stack(level: int, j: int, rows: Rows) -> tuple[Intervention, ...]:
    if not rows:
        return ()
    pairs = tuple((i, j) for i in rows)
    # The pairs are given, so which path is found plays no part; the own layer's is there already.
    return (Intervention(rule="patch", layers=(level,), tokens="given", pairs=pairs),)

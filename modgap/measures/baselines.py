"""What a layer's similarity is to be held against: other clips' texts, and no common mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modgap.core.errors import ModgapError
from modgap.measures.similarity import centred_cosine, mismatched

__all__ = ["COLUMNS", "PAIRED", "Own", "layer_table", "own_against_others"]

COLUMNS = (
    "layer", "cosine", "cosine_null", "cosine_null_low", "cosine_null_high", "euclidean",
    "euclidean_null", "euclidean_null_low", "euclidean_null_high", "centred", "centred_q25",
    "centred_q75",
)  # fmt: skip
#: Of `own_against_others`; controls that were kept before it was there have none of them.
PAIRED = tuple(
    f"{key}_{name}"
    for key in ("cosine", "euclidean")
    for name in ("diff", "diff_low", "diff_high", "auc", "auc_low", "auc_high")
)
RESAMPLES = 9999
FEWEST = 5  # different texts; an interval from fewer would say nothing


@dataclass(frozen=True, eq=False)
class Own:
    """How pairs that belong together differ from those that do not, layer by layer.

    Attributes
    ----------
    diff, diff_low, diff_high : ndarray float64, shape (K,)
        Mean over clips of the matched score minus the mean of the clip's own mismatched ones
        (its speech, the texts of others), with the 95 % interval over clips.
    auc, auc_low, auc_high : ndarray float64, shape (K,)
        Mean over clips of the share of the clip's mismatched pairs that are less similar than its
        matched one, ties by half: the common-language effect size; 0.5 is chance.
    """

    diff: np.ndarray
    diff_low: np.ndarray
    diff_high: np.ndarray
    auc: np.ndarray
    auc_low: np.ndarray
    auc_high: np.ndarray


def own_against_others(
    scores: np.ndarray,
    texts: Sequence[str],
    *,
    distance: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Own:
    """Hold every clip's matched score against its own mismatched ones.

    A band of single mismatched pairs is as wide as clips differ, however many there are; whether
    matched pairs differ in the mean is asked clip by clip, which removes what a clip's speech
    scores with any text.

    The interval is a percentile bootstrap over clips. A clip is drawn with its speech and its text,
    so that the mismatched texts are drawn anew, too: the difference is a U-statistic of the clips,
    and a bootstrap of the clips' differences alone would take for noise what a text scores with
    any speech. Clips of equal text are drawn together and are no mismatched pairs, nor are two
    copies of a clip.

    Parameters
    ----------
    scores : ndarray, shape (K, N, N)
        In each layer, speech of clip a (rows) against the text of clip b.
    texts : sequence of N str
        What the clips say.
    distance : bool
        Scores are distances: less similar is higher.
    resamples, seed : int
        With fewer than 5 different texts there is no interval (NaN). All layers have the same sets.

    Raises
    ------
    ModgapError
        All clips say the same, or shapes do not fit.
    """
    names, group = np.unique(np.asarray(list(texts)), return_inverse=True)
    n = len(group)
    if scores.ndim != 3 or scores.shape[1:] != (n, n):
        raise ModgapError(f"Scores of {n} clips have shape (K, {n}, {n}), not {scores.shape}.")
    if len(names) < 2:
        raise ModgapError("Mismatched pairs need two clips that say different words.")
    other = (group[:, None] != group).astype(float)
    sets = [np.ones((n, 1))]  # how often each clip counts: once, and then as it is drawn
    if len(names) >= FEWEST:
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
        sets.append(drawn.astype(float)[:, group].T)
    # A set that holds one text only has no mismatched pair: NaN.
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [w / (other @ w) / w.sum(0) for w in sets]
    found = np.full((6, len(scores)), np.nan)
    for k, layer in enumerate(scores):
        diff = np.diag(layer)[:, None] - layer
        near = np.abs(diff) <= 1e-12 * np.abs(layer).max()  # equal but for the order of a sum
        less = np.where(near, 0.5, diff < 0 if distance else diff > 0)
        for first, values in ((0, diff * other), (3, less * other)):
            point, *spread = (
                np.einsum("ab,ab->b", share, values @ w)
                for w, share in zip(sets, shares, strict=True)
            )
            found[first, k] = point[0]
            for one in spread:
                found[first + 1 : first + 3, k] = np.nanquantile(one, (0.025, 0.975))
    return Own(*found)


def layer_table(
    s: np.ndarray, t: np.ndarray, texts: Sequence[str], *, seed: int = 0
) -> pd.DataFrame:
    """The controls of pooled states, a row a layer.

    Parameters
    ----------
    s, t : ndarray, shape (N, K, d)
        s[l] and t[l] of N clips.
    texts : sequence of N str
        What the clips say.
    seed : int
        Of the mismatched pairs, where there are too many, and of the resamples.

    Returns
    -------
    DataFrame
        `COLUMNS` and `PAIRED`; see `modgap.gap.controls.Controls`.
    """
    from scipy.spatial.distance import cdist

    null, centred = mismatched(s, t, texts=texts, seed=seed), centred_cosine(s, t)
    s, t = s.astype(np.float64).swapaxes(0, 1), t.astype(np.float64).swapaxes(0, 1)
    cosines = [_directions(x) @ _directions(y).T for x, y in zip(s, t, strict=True)]
    scores = {
        "cosine": np.clip(cosines, -1, 1),
        "euclidean": np.stack([cdist(x, y) for x, y in zip(s, t, strict=True)]),
    }
    columns: dict[str, np.ndarray] = {"layer": np.arange(len(s))}
    for key, values in scores.items():
        own = own_against_others(values, texts, distance=key == "euclidean", seed=seed)
        columns[key] = np.diagonal(values, axis1=1, axis2=2).mean(1)
        for end in ("", "_low", "_high"):
            columns[f"{key}_null{end}"] = getattr(null, f"{key}{end or '_mean'}")
            columns[f"{key}_diff{end}"] = getattr(own, f"diff{end}")
            columns[f"{key}_auc{end}"] = getattr(own, f"auc{end}")
    columns["centred"] = centred.mean(0)
    columns["centred_q25"], columns["centred_q75"] = np.quantile(centred, [0.25, 0.75], axis=0)
    return pd.DataFrame(columns)[[*COLUMNS, *PAIRED]]


def _directions(x: np.ndarray) -> np.ndarray:
    """Rows of length 1; those of length 0 stay, so that their cosine is 0."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)

"""Coarse measures: one number per layer, and what to hold them against (method, section 2).

Definitions after Xiang et al., "Understanding the Modality Gap", arXiv 2510.12116.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modgap.core.errors import ModgapError
from modgap.measures.similarity_matrices import LayerProducts, layer_products

Array = np.ndarray | Tensor


@dataclass(frozen=True, eq=False)
class Coarse:
    """Per-layer measures of one clip; every attribute is float64 of shape (K,).

    Attributes
    ----------
    cosine, euclidean : ndarray
        Cosine similarity and Euclidean distance of the two means over positions, s[l] and t[l].
        The cosine with a zero vector is 0.
    speech_norm, text_norm, norm_ratio : ndarray
        ||s[l]||, ||t[l]|| and their ratio, speech over text (NaN where ||t[l]|| is 0).
    cosine_q25, _q50, _q75, euclidean_q25, _q50, _q75 : ndarray
        Spread: quartiles over speech positions i of cos(H_s[i], t[l]) and ||H_s[i] - t[l]||.
    speech_token_norm_q25, _q50, _q75, text_token_norm_q25, _q50, _q75 : ndarray
        Quartiles over positions of the single positions' norms.
    """

    cosine: np.ndarray
    euclidean: np.ndarray
    speech_norm: np.ndarray
    text_norm: np.ndarray
    norm_ratio: np.ndarray
    cosine_q25: np.ndarray
    cosine_q50: np.ndarray
    cosine_q75: np.ndarray
    euclidean_q25: np.ndarray
    euclidean_q50: np.ndarray
    euclidean_q75: np.ndarray
    speech_token_norm_q25: np.ndarray
    speech_token_norm_q50: np.ndarray
    speech_token_norm_q75: np.ndarray
    text_token_norm_q25: np.ndarray
    text_token_norm_q50: np.ndarray
    text_token_norm_q75: np.ndarray


def coarse(speech: Tensor, text: Tensor) -> Coarse:
    """Coarse measures of every layer of one clip.

    Parameters
    ----------
    speech : Tensor, shape (K, T_s, d)
    text : Tensor, shape (K, T_t, d)
        Hidden states of any floating dtype and device; computed in float32 or better.

    Raises
    ------
    ModgapError
        Shapes that do not fit, no positions, NaN or infinite states.
    """
    return coarse_of(layer_products(speech, text))


def coarse_of(products: LayerProducts) -> Coarse:
    """Coarse measures from the products of the layers of one clip."""
    s, t = _float64(products.speech_mean), _float64(products.text_mean)
    t_norm = products.text_norm
    over_speech = torch.stack(
        [products.mean_cos[..., 0], products.mean_dist[..., 0], products.speech_norm]
    )
    (cos_25, dist_25, s_25), (cos_50, dist_50, s_50), (cos_75, dist_75, s_75) = np.quantile(
        _float64(over_speech), [0.25, 0.5, 0.75], axis=-1
    )
    t_25, t_50, t_75 = np.quantile(_float64(t_norm), [0.25, 0.5, 0.75], axis=-1)
    speech_norm, text_norm = np.sqrt((s * s).sum(1)), np.sqrt((t * t).sum(1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(text_norm > 0, speech_norm / text_norm, np.nan)
    return Coarse(
        cosine=_cosine(s, t),
        euclidean=np.sqrt(((s - t) ** 2).sum(1)),
        speech_norm=speech_norm,
        text_norm=text_norm,
        norm_ratio=ratio,
        cosine_q25=cos_25,
        cosine_q50=cos_50,
        cosine_q75=cos_75,
        euclidean_q25=dist_25,
        euclidean_q50=dist_50,
        euclidean_q75=dist_75,
        speech_token_norm_q25=s_25,
        speech_token_norm_q50=s_50,
        speech_token_norm_q75=s_75,
        text_token_norm_q25=t_25,
        text_token_norm_q50=t_50,
        text_token_norm_q75=t_75,
    )


@dataclass(frozen=True, eq=False)
class NullBand:
    """Coarse measures of speech of one clip against text of another, over many such pairs.

    Attributes
    ----------
    pairs : int
        Number of mismatched pairs.
    cosine_mean, cosine_low, cosine_high : ndarray float64, shape (K,)
    euclidean_mean, euclidean_low, euclidean_high : ndarray float64, shape (K,)
        Mean and the quantiles asked for.
    """

    pairs: int
    cosine_mean: np.ndarray
    cosine_low: np.ndarray
    cosine_high: np.ndarray
    euclidean_mean: np.ndarray
    euclidean_low: np.ndarray
    euclidean_high: np.ndarray


def mismatched(
    speech_pooled: Array,
    text_pooled: Array,
    *,
    texts: Sequence[str] | None = None,
    band: tuple[float, float] = (0.05, 0.95),
    max_pairs: int = 10_000,
    seed: int = 0,
) -> NullBand:
    """Null band of the coarse measures: what pairs that do not belong together score.

    Hidden states are anisotropic, so that even unrelated means have a high cosine. The band is that
    of single pairs: it tells how one clip compares. A mean over clips differs from that of the
    mismatched pairs long before it leaves the band; for it there is
    `modgap.measures.baselines.own_against_others`.

    Parameters
    ----------
    speech_pooled, text_pooled : array, shape (N, K, d)
        s[l] and t[l] of N >= 2 clips.
    texts : sequence of N str, optional
        What the clips say: two that say the same are no mismatched pair.
    band : (float, float)
        Quantiles of the band's edges.
    max_pairs : int
        All N (N - 1) pairs are taken, or this many drawn from them with ``seed``; of these, those
        of equal text are left out.

    Raises
    ------
    ModgapError
        Shapes that do not fit, fewer than 2 clips, NaN or infinite values, all texts the same.
    """
    s, t = _pooled_sets(speech_pooled, text_pooled)
    n = len(s)
    total = n * (n - 1)
    if max_pairs < 1 or not 0 <= band[0] <= band[1] <= 1:
        raise ModgapError("max_pairs must be at least 1, and the band two quantiles in order.")
    if total <= max_pairs:
        drawn = np.arange(total)
    else:
        drawn = np.random.default_rng(seed).choice(total, max_pairs, replace=False)
    a, b = drawn // (n - 1), drawn % (n - 1)
    b = b + (b >= a)  # skips b == a
    if texts is not None:
        said = np.asarray(texts, dtype=object)
        differ = said[a] != said[b]
        a, b = a[differ], b[differ]
        if not len(a):
            raise ModgapError("Mismatched pairs need two clips that say different words.")
    cos = np.empty((s.shape[1], len(a)))
    dist = np.empty_like(cos)
    step = max(1, (1 << 22) // s.shape[2])
    for k in range(s.shape[1]):
        for start in range(0, len(a), step):
            part = slice(start, start + step)
            x, y = s[a[part], k], t[b[part], k]
            cos[k, part] = _cosine(x, y)
            dist[k, part] = np.sqrt(((x - y) ** 2).sum(1))
    cos_low, cos_high = np.quantile(cos, band, axis=1)
    dist_low, dist_high = np.quantile(dist, band, axis=1)
    return NullBand(len(a), cos.mean(1), cos_low, cos_high, dist.mean(1), dist_low, dist_high)


def centred_cosine(speech_pooled: Array, text_pooled: Array) -> np.ndarray:
    """Cosine of each clip's s[l] and t[l] after removing each modality's mean over the set.

    Parameters
    ----------
    speech_pooled, text_pooled : array, shape (N, K, d)
        s[l] and t[l] of N >= 2 clips.

    Returns
    -------
    ndarray float64, shape (N, K)
        0 where a centred vector is zero.

    Raises
    ------
    ModgapError
        Shapes that do not fit, fewer than 2 clips, NaN or infinite values.
    """
    s, t = _pooled_sets(speech_pooled, text_pooled)
    return _cosine(s - s.mean(0), t - t.mean(0))


def linear_cka(X: Array, Y: Array) -> float:
    """Linear centred kernel alignment of two representations of the same n items.

    ``||Xc' Yc||_F^2 / (||Xc' Xc||_F ||Yc' Yc||_F)``, columns centred (Kornblith et al., 2019,
    arXiv 1905.00414); the biased estimate: it is high for any two sets when n is below d.

    Parameters
    ----------
    X : array, shape (n, d1)
    Y : array, shape (n, d2)
        Row i of both belongs to the same item, here to a pair of aligned tokens.

    Returns
    -------
    float
        In [0, 1]; NaN where one side does not vary over the items.

    Raises
    ------
    ModgapError
        Shapes that do not fit, fewer than 2 items, NaN or infinite values.
    """
    x, y = _float64(X), _float64(Y)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        raise ModgapError(
            "CKA needs (n, d1) and (n, d2) with the same n >= 2 aligned pairs; "
            f"got {x.shape} and {y.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ModgapError("CKA is undefined for NaN or infinite states.")
    x, y = x - x.mean(0), y - y.mean(0)
    if len(x) < max(x.shape[1], y.shape[1]):  # the same numbers from n x n matrices
        gram_x, gram_y = x @ x.T, y @ y.T
        cross = (gram_x * gram_y).sum()
    else:
        gram_x, gram_y = x.T @ x, y.T @ y
        cross = ((x.T @ y) ** 2).sum()
    scale = np.linalg.norm(gram_x) * np.linalg.norm(gram_y)
    return float(np.clip(cross / scale, 0, 1)) if scale > 0 else float("nan")


def _float64(x: Array) -> np.ndarray:
    if isinstance(x, Tensor):
        return x.detach().cpu().double().numpy()
    return np.asarray(x, np.float64)


def _cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cosine over the last axis; exactly 1 for equal vectors, 0 where one is zero."""
    dot, xx, yy = (x * y).sum(-1), (x * x).sum(-1), (y * y).sum(-1)
    length = np.sqrt(xx * yy)
    cos = np.divide(dot, length, out=np.zeros_like(dot), where=length > 0)
    return np.clip(cos, -1, 1)


def _pooled_sets(speech_pooled: Array, text_pooled: Array) -> tuple[np.ndarray, np.ndarray]:
    s, t = _float64(speech_pooled), _float64(text_pooled)
    if s.ndim != 3 or s.shape != t.shape or 0 in s.shape:
        raise ModgapError(
            f"Pooled states of both modalities must have shape (N, K, d); got {s.shape}, {t.shape}."
        )
    if len(s) < 2:
        raise ModgapError("This control compares clips: give at least 2.")
    if not (np.isfinite(s).all() and np.isfinite(t).all()):
        raise ModgapError("The pooled states hold NaN or infinite values.")
    return s, t

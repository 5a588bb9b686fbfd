"""The two tidy tables of an analysis: one row per layer, and one per layer and text token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from modgap.measures.alignment import Alignment
    from modgap.measures.similarity import Coarse

_SCORES = ("aps_cos", "aps_euc", "aps_dtw_cos", "aps_dtw_euc")
_TEXT = frozenset({"piece", "monotonicity_reason", "monotonicity_euc_reason"})
_WHOLE = frozenset(
    {"layer", "j", "span_start", "span_end", "i_cos", "i_euc", "i_dtw_cos", "i_dtw_euc"}
)


def layer_table(layer_ids: np.ndarray, coarse: Coarse, alignment: Alignment) -> pd.DataFrame:
    """One row per layer: the coarse measures, their spreads, and the scores of the paths.

    Parameters
    ----------
    layer_ids : int ndarray (K,)
    coarse : Coarse
    alignment : Alignment

    Returns
    -------
    DataFrame
        ``layer``; the fields of `Coarse`; ``aps_cos``, ``aps_euc``, ``aps_dtw_cos``,
        ``aps_dtw_euc``; ``monotonicity`` (of the argmax path), ``monotonicity_euc``, NaN where
        undefined, with the reason in ``monotonicity_reason`` and ``monotonicity_euc_reason``.
    """
    columns: dict[str, object] = {"layer": layer_ids, **layer_measures(coarse, alignment)}
    columns["monotonicity_reason"] = list(alignment.monotonicity_reason_cos)
    columns["monotonicity_euc_reason"] = list(alignment.monotonicity_reason_euc)
    return tidy(columns)


def layer_measures(coarse: Coarse, alignment: Alignment) -> dict[str, np.ndarray]:
    """The numbers of `layer_table` by name, each (K,)."""
    found = {name: getattr(coarse, name) for name in coarse.__dataclass_fields__}
    found |= {name: getattr(alignment, name) for name in _SCORES}
    found["monotonicity"] = alignment.monotonicity_cos
    found["monotonicity_euc"] = alignment.monotonicity_euc
    return found


def token_table(
    layer_ids: np.ndarray,
    alignment: Alignment,
    times: np.ndarray,
    pieces: Sequence[str],
    spans: np.ndarray,
) -> pd.DataFrame:
    """One row per layer and text token: its partner on each path, how close, and when it sounds.

    Parameters
    ----------
    layer_ids : int ndarray (K,)
    alignment : Alignment
    times : float64 ndarray (T_s, 2)
        Seconds.
    pieces : sequence of T_t str
    spans : int ndarray (T_t, 2)

    Returns
    -------
    DataFrame
        ``layer``, ``j``, ``piece``, ``span_start``, ``span_end`` (characters of the transcript);
        ``i_cos`` and ``cos``, S at the argmax path, with ``start`` and ``end`` (seconds) of
        ``i_cos``; ``i_euc`` and ``euc``, D at the argmin path; ``i_dtw_cos``, ``dtw_cos``,
        ``i_dtw_euc``, ``dtw_euc``, the same for the pairs on the DTW paths.
    """
    K, T_t = alignment.argmax_cos.shape
    k, j = np.repeat(np.arange(K), T_t), np.tile(np.arange(T_t), K)
    columns: dict[str, object] = {
        "layer": np.asarray(layer_ids)[k],
        "j": j,
        "piece": list(pieces) * K,
        "span_start": spans[j, 0],
        "span_end": spans[j, 1],
    }
    for index, value, at, matrix in (
        ("i_cos", "cos", alignment.argmax_cos, alignment.similarity),
        ("i_euc", "euc", alignment.argmin_euc, alignment.distance),
        ("i_dtw_cos", "dtw_cos", alignment.dtw_pair_cos, alignment.similarity),
        ("i_dtw_euc", "dtw_euc", alignment.dtw_pair_euc, alignment.distance),
    ):
        i = at.reshape(-1)
        columns[index] = i
        columns[value] = matrix[k, i, j]
        if index == "i_cos":
            columns["start"], columns["end"] = times[i, 0], times[i, 1]
    return tidy(columns)


def tidy(columns: Mapping[str, Any] | pd.DataFrame) -> pd.DataFrame:
    """A table with one dtype per kind of column, whatever the columns came through."""
    out: dict[str, Any] = {}
    for name, column in columns.items():
        if name in _TEXT:
            # Without a dtype, a column that is empty in one clip would differ from its namesakes.
            texts = [None if value is None or value != value else value for value in column]
            out[str(name)] = pd.array(texts, dtype="str")
        else:
            out[str(name)] = np.asarray(column, np.int64 if name in _WHOLE else np.float64)
    return pd.DataFrame(out)

"""The numbers of an analysis once more, from its ``states.safetensors`` alone.

Nothing of modgap is imported: numpy, scipy and librosa only, in float64 (method, sections 2 and 3).
"""

from __future__ import annotations

import json
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

TOLERANCE = 1e-5  # of cosines and scores; of distances and norms, relative to the norms


def strict_json(path: Path) -> dict:
    """JSON without the NaN and Infinity that Python's reader would let through."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in {path.name}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def check_folder(folder: Path) -> dict:
    """Compare everything in a results folder with its recomputation; returns analysis.json."""
    summary = strict_json(folder / "analysis.json")
    states = load_file(folder / "states.safetensors")
    matrices = load_file(folder / "matrices.safetensors")
    layers = pd.read_parquet(folder / "layers.parquet")
    tokens = pd.read_parquet(folder / "tokens.parquet")
    speech, text = (states[kind].astype(np.float64) for kind in ("speech", "text"))
    K, T_s, T_t = matrices["similarity"].shape
    assert matrices["distance"].shape == (K, T_s, T_t)
    assert speech.shape[:2] == (K, T_s)
    assert text.shape[:2] == (K, T_t)
    assert len(summary["speech_tokens"]) == T_s
    assert len(summary["text_tokens"]) == T_t
    assert len(summary["layers"]) == len(layers) == K
    assert len(tokens) == K * T_t
    for k in range(K):
        row = summary["layers"][k]
        assert row["layer"] == layers["layer"][k]
        S, D = matrices["similarity"][k], matrices["distance"][k]
        check_coarse(row, speech[k], text[k])
        check_spread(layers.iloc[k], speech[k], text[k])
        check_matrices(S, D, speech[k], text[k])
        mine = tokens[tokens["layer"] == row["layer"]]
        check_cosine(row, S.astype(np.float64), mine)
        check_distance(row, D.astype(np.float64), mine)
        check_dtw(row["dtw_path"], np.float32(1) - S)
        check_dtw(row["dtw_path_euc"], D)
        check_times(summary, row, mine)
        for name in set(row) & set(layers.columns):
            value, stored = row[name], layers[name][k]
            assert (pd.isna(stored) and value is None) or value == stored, name
    return summary


def check_coarse(row: dict, H_s: np.ndarray, H_t: np.ndarray) -> None:
    s, t = H_s.mean(0), H_t.mean(0)
    norms = np.linalg.norm(s), np.linalg.norm(t)
    assert_allclose(row["cosine"], s @ t / (norms[0] * norms[1]), atol=TOLERANCE)
    assert_allclose(row["euclidean"], np.linalg.norm(s - t), rtol=TOLERANCE)
    assert_allclose(row["speech_norm"], norms[0], rtol=TOLERANCE)
    assert_allclose(row["text_norm"], norms[1], rtol=TOLERANCE)
    assert_allclose(row["norm_ratio"], norms[0] / norms[1], rtol=2 * TOLERANCE)


def check_spread(row: pd.Series, H_s: np.ndarray, H_t: np.ndarray) -> None:
    t = H_t.mean(0, keepdims=True)
    scale = np.linalg.norm(H_s, axis=1).max() + np.linalg.norm(t)
    cosines, distances = 1 - cdist(H_s, t, "cosine")[:, 0], cdist(H_s, t)[:, 0]
    norms = {"speech": np.linalg.norm(H_s, axis=1), "text": np.linalg.norm(H_t, axis=1)}
    for share in (25, 75):
        assert_allclose(row[f"cosine_q{share}"], np.percentile(cosines, share), atol=TOLERANCE)
        expected = np.percentile(distances, share)
        assert_allclose(row[f"euclidean_q{share}"], expected, atol=TOLERANCE * scale)
    for kind, values in norms.items():
        for share in (25, 50, 75):
            expected = np.percentile(values, share)
            assert_allclose(row[f"{kind}_token_norm_q{share}"], expected, rtol=TOLERANCE)


def check_matrices(S: np.ndarray, D: np.ndarray, H_s: np.ndarray, H_t: np.ndarray) -> None:
    assert_allclose(S, 1 - cdist(H_s, H_t, "cosine"), atol=TOLERANCE)
    scale = np.linalg.norm(H_s, axis=1).max() + np.linalg.norm(H_t, axis=1).max()
    assert_allclose(D, cdist(H_s, H_t), atol=TOLERANCE * scale)


def check_cosine(row: dict, S: np.ndarray, tokens: pd.DataFrame) -> None:
    best, j = np.array(row["argmax_path"]), np.arange(S.shape[1])
    assert_array_equal(best, S.argmax(0))  # the first of equal ones, as the method says
    assert_allclose(row["aps_cos"], S.max(0).mean(), atol=1e-9)
    assert_allclose(row["aps_dtw_cos"], S[pairs(row["dtw_path"], -S), j].mean(), atol=1e-9)
    check_rho(row["monotonicity"], row["monotonicity_reason"], best)
    assert_array_equal(tokens["i_cos"], best)
    assert_array_equal(tokens["cos"], S[best, j])
    assert_array_equal(tokens["i_dtw_cos"], pairs(row["dtw_path"], -S))
    assert_array_equal(tokens["dtw_cos"], S[tokens["i_dtw_cos"], j])


def check_distance(row: dict, D: np.ndarray, tokens: pd.DataFrame) -> None:
    best, j = np.array(row["argmin_path_euc"]), np.arange(D.shape[1])
    assert_array_equal(best, D.argmin(0))
    assert_allclose(row["aps_euc"], D.min(0).mean(), rtol=1e-9)
    assert_allclose(row["aps_dtw_euc"], D[pairs(row["dtw_path_euc"], D), j].mean(), rtol=1e-9)
    check_rho(row["monotonicity_euc"], row["monotonicity_euc_reason"], best)
    assert_array_equal(tokens["i_euc"], best)
    assert_array_equal(tokens["euc"], D[best, j])
    assert_array_equal(tokens["i_dtw_euc"], pairs(row["dtw_path_euc"], D))
    assert_array_equal(tokens["dtw_euc"], D[tokens["i_dtw_euc"], j])


def pairs(path: list[list[int]], cost: np.ndarray) -> np.ndarray:
    """Per text token the cheapest of its speech positions on a path, the earliest of equal ones."""
    on_path: dict[int, list[int]] = {}
    for i, j in path:
        on_path.setdefault(j, []).append(i)
    return np.array([min(on_path[j], key=lambda i: cost[i, j]) for j in range(cost.shape[1])])


def check_dtw(path: list[list[int]], cost: np.ndarray) -> None:
    total, expected = librosa.sequence.dtw(C=cost, backtrack=True)
    assert_array_equal(np.array(path), expected[::-1])
    steps = np.diff(np.array(path), axis=0)
    assert {tuple(step) for step in steps.tolist()} <= {(1, 0), (0, 1), (1, 1)}
    i, j = np.array(path).T
    assert_allclose(cost[i, j].astype(np.float64).sum(), total[-1, -1], rtol=1e-12)


def check_rho(rho: float | None, reason: str | None, best: np.ndarray) -> None:
    if len(best) < 2 or len(set(best.tolist())) == 1:
        assert rho is None
        assert reason
    else:
        assert reason is None
        assert_allclose(rho, spearmanr(np.arange(len(best)), best).statistic, atol=1e-12)


def check_times(summary: dict, row: dict, tokens: pd.DataFrame) -> None:
    times = np.array([[t["start"], t["end"]] for t in summary["speech_tokens"]])
    assert (times[:, 0] < times[:, 1]).all()
    assert_array_equal(times[1:, 0] >= times[:-1, 1] - 1e-9, True)
    assert times[-1, 1] <= summary["clip"]["seconds"] + 1e-9
    assert_array_equal(tokens[["start", "end"]], times[row["argmax_path"]])
    assert tokens["piece"].tolist() == summary["text_tokens"]
    words = [summary["transcript"][a:b] for a, b in summary["text_spans"]]
    assert words == summary["text_tokens"]

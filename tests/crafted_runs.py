"""Analyses with hand-made numbers, for what only reads their tables."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from modgap.analysis.model_comparison import CURVES
from modgap.core.settings import AnalysisSettings


def run(
    model: str,
    clip: str,
    values: Sequence[float],
    *,
    n_layers: int | None = None,
    layers: Sequence[int] | None = None,
    answers: tuple[str, str] | None = None,
    identity: str = "",
    transcript: str = "hello there",
    seed: int = 0,
) -> Any:
    """An analysis whose measures are `values` over `layers`; matrices of 3 x 2 by `seed`."""
    ids = np.arange(len(values)) if layers is None else np.asarray(layers)
    n = n_layers or max(1, int(ids[-1]))
    table = pd.DataFrame({"layer": ids})
    for key in CURVES:
        table[key] = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    K = len(ids)
    similarity = rng.uniform(-1, 1, (K, 3, 2)).astype(np.float32)
    distance = (rng.uniform(0, 5, (K, 3, 2)) * (1 + seed)).astype(np.float32)
    path = np.array([[0, 0], [1, 0], [2, 1]])
    alignment = SimpleNamespace(
        similarity=similarity,
        distance=distance,
        argmax_cos=similarity.argmax(1),
        argmin_euc=distance.argmin(1),
        dtw_cos=(path,) * K,
        dtw_euc=(path,) * K,
    )
    given = None
    if answers:
        given = {"text": SimpleNamespace(text=answers[0])}
        given["speech"] = SimpleNamespace(text=answers[1])
    return SimpleNamespace(
        key="0" * 64,
        model={"name": model, "identity": identity or model, "n_layers": n, "dtype": "float32"},
        clip={"name": clip, "sha256": clip, "seconds": 1.0},
        transcript=transcript,
        settings=AnalysisSettings(),
        layers=table,
        layer_ids=ids,
        alignment=alignment,
        speech_times=np.array([[0.0, 0.04], [0.04, 0.08], [0.08, 0.12]]),
        pieces=("hello", " there"),
        answers=given,
        versions={"modgap": "x"},
    )

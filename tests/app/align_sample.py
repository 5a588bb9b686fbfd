"""Made-up but lifelike alignment data: a noisy ridge that sharpens with depth."""

from __future__ import annotations

import numpy as np

from modgap.figures.alignment.view import AlignmentView

WORDS = (
    " what is the capital of France <s> $ and who wrote the play <b> about a prince of Denmark ?\n"
)


def sample_view(K: int = 9, n: int = 120, m: int = 24, *, audio: bool = True) -> AlignmentView:
    """K layers of n speech and m text positions; argmax is real, DTW a plain ridge line."""
    rng = np.random.default_rng(7)
    words = (WORDS.split(" ")[1:] * (m // 18 + 1))[:m]
    pieces = tuple((" " + w if j else w) for j, w in enumerate(words))
    centre = np.sort(rng.uniform(0.04, 0.96, m)) * n
    width = n / m * 0.9
    ridge = np.exp(-(((np.arange(n)[:, None] - centre[None]) / width) ** 2))
    S = np.empty((K, n, m), np.float32)
    for k in range(K):
        deep = k / max(1, K - 1)
        noise = rng.normal(0, 0.10 + 0.04 * deep, (n, m)) + 0.5 * rng.normal(0, 0.1, (1, m))
        S[k] = np.clip(0.05 + 0.12 * deep + (0.1 + 0.6 * deep) * ridge + noise, -1, 1)
    D = ((1.3 - S) * (6 + 40 * np.linspace(0, 1, K)[:, None, None])).astype(np.float32)
    line = np.interp(np.arange(n), np.r_[0, centre, n - 1], np.r_[0, np.arange(m), m - 1])
    path = np.stack([np.arange(n), np.rint(line).astype(int)], axis=1).astype(np.int32)
    top, low = S.argmax(1).astype(np.int32), D.argmin(1).astype(np.int32)
    seconds = n * 0.04
    t = np.arange(int(16000 * seconds)) / 16000
    sound = np.sin(2 * np.pi * 180 * t) * (0.15 + np.abs(np.sin(2 * np.pi * 1.7 * t))) * 9000

    def scores(paths: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, paths[:, None, :], axis=1)[:, 0].mean(axis=1)

    rho = np.linspace(0.1, 0.95, K)
    rho[0] = np.nan
    return AlignmentView(
        id=f"sample-{K}-{n}-{m}-{audio}",
        layers=tuple(range(K)),
        similarity=S,
        distance=D,
        argmax={"cosine": top, "euclidean": low},
        dtw={"cosine": (path,) * K, "euclidean": (path,) * K},
        dtw_pair={"cosine": top, "euclidean": low},
        scores={
            "aps": {"cosine": scores(top, S), "euclidean": scores(low, D)},
            "aps_dtw": {"cosine": scores(top, S), "euclidean": scores(low, D)},
            "monotonicity": {"cosine": rho, "euclidean": rho},
        },
        times=np.stack([np.arange(n) * 0.04, np.arange(1, n + 1) * 0.04], axis=1),
        pieces=pieces,
        audio=sound.astype(np.int16) if audio else None,
        title="demo:lora · capital of France",
        name="sample",
    )

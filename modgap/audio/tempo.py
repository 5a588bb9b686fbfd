"""Speech said faster or slower in the same voice."""

from __future__ import annotations

from typing import Any

import numpy as np

from modgap.audio.conditions import RATE

__all__ = ["change_tempo"]


def change_tempo(x: np.ndarray, factor: float) -> np.ndarray:
    """Say the same words `factor` times as fast, at the same pitch.

    FFmpeg's ``atempo``: short pieces are left out or repeated where they fit (WSOLA).

    Parameters
    ----------
    x : ndarray float, shape (n,)
        Mono at `RATE`.
    factor : float
        0.5 to 2.

    Returns
    -------
    ndarray float32, shape (n / factor,), nearly

    Raises
    ------
    ValueError
        The factor is out of range.
    """
    import av
    from av.filter import Graph

    if not 0.5 <= factor <= 2.0:
        raise ValueError(f"Speech is made 0.5 to 2 times as fast, not {factor:g}.")
    graph = Graph()
    source: Any = graph.add_abuffer(sample_rate=RATE, format="flt", layout="mono")
    tempo = graph.add("atempo", f"{factor:g}")
    sink: Any = graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    samples = np.ascontiguousarray(x, dtype=np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    source.push(frame)
    source.push(None)
    parts = []
    while True:
        try:
            parts.append(sink.pull().to_ndarray().reshape(-1))
        except (av.error.EOFError, av.error.BlockingIOError):
            break
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

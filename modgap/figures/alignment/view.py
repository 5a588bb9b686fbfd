"""What an alignment map draws, checked and packed into bytes."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import soundfile as sf

from modgap.core.errors import ModgapError
from modgap.figures.palette import DARK, LIGHT, lookup_table
from modgap.figures.text import visible
from modgap.measures.monotone import most_monotone

ENVELOPE_BINS = 4000
STEPS = 127  # int8 without -128, so that the scale is symmetric


@dataclass(frozen=True, eq=False)
class AlignmentView:
    """One clip's alignment in K layers, T_s speech and T_t text positions.

    Attributes
    ----------
    id : str
        Equal for equal content; the browser keeps its state while it stays.
    layers : tuple of int, (K,)
        Layer numbers, rising.
    similarity, distance : float (K, T_s, T_t)
        S in [-1, 1] and D >= 0 (method, section 3).
    argmax : dict of int arrays (K, T_t)
        Per measure ("cosine", "euclidean") the speech position of each text token.
    dtw : dict of tuples of K int arrays (P, 2)
    dtw_pair : dict of int arrays (K, T_t)
    scores : dict of float arrays (K,)
        "aps", "aps_dtw", "monotonicity" for each measure, as ``scores["aps"]["cosine"]``; NaN
        where undefined.
    times : float (T_s, 2)
        Seconds.
    pieces : tuple of str, (T_t,)
    audio : int16 (n,) or None, at `rate` Hz
    title, name : str
        For the exported picture and its file name.
    """

    id: str
    layers: tuple[int, ...]
    similarity: np.ndarray
    distance: np.ndarray
    argmax: dict[str, np.ndarray]
    dtw: dict[str, tuple[np.ndarray, ...]]
    dtw_pair: dict[str, np.ndarray]
    scores: dict[str, dict[str, np.ndarray]]
    times: np.ndarray
    pieces: tuple[str, ...]
    audio: np.ndarray | None = None
    rate: int = 16000
    title: str = "Alignment"
    name: str = "alignment"

    def __post_init__(self) -> None:
        S, D = self.similarity, self.distance
        if S.ndim != 3 or S.shape != D.shape or 0 in S.shape:
            raise ModgapError(f"Similarity {S.shape} and distance {D.shape} must be (K, T_s, T_t).")
        K, n, m = S.shape
        if len(self.layers) != K or list(self.layers) != sorted(set(self.layers)):
            raise ModgapError(f"{len(self.layers)} layer numbers for {K} layers, or not rising.")
        if self.times.shape != (n, 2) or len(self.pieces) != m:
            raise ModgapError(
                f"{n} x {m} positions, but {len(self.times)} times and {len(self.pieces)} tokens."
            )
        if not (np.isfinite(S).all() and np.isfinite(D).all()):
            raise ModgapError("Similarity or distance holds NaN or infinite values.")
        if float(D.min()) < 0 or float(np.abs(S).max()) > 1 + 1e-4:
            raise ModgapError("Similarity must lie in [-1, 1], distance at 0 or above.")
        for measure in ("cosine", "euclidean"):
            for at in (self.argmax[measure], self.dtw_pair[measure]):
                if at.shape != (K, m) or at.min() < 0 or at.max() >= n:
                    raise ModgapError(f"The {measure} pairs must be (K, T_t) speech positions.")
            if len(self.dtw[measure]) != K:
                raise ModgapError(f"One {measure} DTW path per layer is needed.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """K, T_s, T_t."""
        K, n, m = self.similarity.shape
        return K, n, m

    @cached_property
    def scale(self) -> float:
        """The upper end of the distance scale, one for all layers."""
        return float(self.distance.max()) or 1.0

    def index(self, layer: int | None) -> int:
        """Where a layer number stands in `layers`; if it is unknown, the most monotone one's."""
        at = layer if layer in self.layers else self.opening
        return len(self.layers) // 2 if at is None else self.layers.index(at)

    @property
    def opening(self) -> int | None:
        """The layer with the most monotone argmax path of cosines, if any has one."""
        return most_monotone(self.scores["monotonicity"]["cosine"], self.layers)

    def holds(self, i: int, j: int) -> bool:
        """Whether (i, j) is a cell of the matrices."""
        return 0 <= i < self.shape[1] and 0 <= j < self.shape[2]

    @classmethod
    def from_analysis(cls, analysis: Any) -> AlignmentView:
        """The view of an `Analysis`; its sound is what the model heard, if the run kept it."""
        a = analysis.alignment
        model, clip = str(analysis.model.get("name", "")), str(analysis.clip.get("name", "clip"))
        return cls(
            id=analysis.key,
            layers=tuple(int(k) for k in analysis.layer_ids),
            similarity=a.similarity,
            distance=a.distance,
            argmax={"cosine": a.argmax_cos, "euclidean": a.argmin_euc},
            dtw={"cosine": a.dtw_cos, "euclidean": a.dtw_euc},
            dtw_pair={"cosine": a.dtw_pair_cos, "euclidean": a.dtw_pair_euc},
            scores={
                "aps": {"cosine": a.aps_cos, "euclidean": a.aps_euc},
                "aps_dtw": {"cosine": a.aps_dtw_cos, "euclidean": a.aps_dtw_euc},
                "monotonicity": {"cosine": a.monotonicity_cos, "euclidean": a.monotonicity_euc},
            },
            times=np.asarray(analysis.speech_times, dtype=float),
            pieces=tuple(analysis.pieces),
            audio=analysis.audio if analysis.audio is not None and len(analysis.audio) else None,
            rate=int(analysis.audio_rate),
            title=" · ".join(part for part in (model, clip) if part),
            name=clip.rsplit(".", 1)[0],
        )


def quantise(view: AlignmentView) -> tuple[np.ndarray, np.ndarray]:
    """Similarity and distance as int8 (K, T_s, T_t), -127 to 127.

    Similarity is ``q / 127``, off by 1/254 at most; distance ``(q + 127) / 254 * scale``, off by
    ``scale / 508`` at most.
    """
    s = view.similarity * np.float32(STEPS)
    np.rint(s, out=s)
    np.clip(s, -STEPS, STEPS, out=s)
    d = view.distance * np.float32(2 * STEPS / view.scale)
    np.rint(d, out=d)
    d -= STEPS
    np.clip(d, -STEPS, STEPS, out=d)
    return s.astype(np.int8), d.astype(np.int8)


def envelope(audio: np.ndarray, bins: int = ENVELOPE_BINS) -> np.ndarray:
    """Lowest and highest sample of each stretch, int8 (n, 2) with the loudest sample at 127."""
    n = max(1, min(bins, len(audio)))
    edges = np.linspace(0, len(audio), n + 1).astype(int)[:-1]
    x = audio.astype(np.float32)
    both = np.stack([np.minimum.reduceat(x, edges), np.maximum.reduceat(x, edges)], axis=1)
    return np.rint(both * (STEPS / max(1.0, float(np.abs(both).max())))).astype(np.int8)


def body(view: AlignmentView) -> tuple[dict[str, Any], bytes]:
    """The head, less the opening view, and the sections of the payload."""
    K, n, m = view.shape
    s, d = quantise(view)
    rows, cols = np.arange(K)[:, None], np.arange(m)[None, :]
    luts = [lookup_table(c) for c in (LIGHT.diverging, DARK.diverging, LIGHT.sequential)]
    parts: dict[str, bytes] = {
        "cosine": s.tobytes(),
        "euclidean": d.tobytes(),
        "times": view.times.astype("<f4").tobytes(),
        "luts": np.stack(luts).tobytes(),
    }
    for measure in ("cosine", "euclidean"):
        paths = view.dtw[measure]
        parts[f"dtw_{measure}"] = np.concatenate(paths).astype("<i4").tobytes()
        parts[f"dtw_ends_{measure}"] = np.cumsum([len(p) for p in paths]).astype("<i4").tobytes()
        for kind, at in (("argmax", view.argmax[measure]), ("pair", view.dtw_pair[measure])):
            parts[f"{kind}_{measure}"] = at.astype("<i4").tobytes()
            for sign, matrix in (("S", view.similarity), ("D", view.distance)):
                exact = matrix[rows, at, cols].astype("<f4")
                parts[f"{kind}_{measure}_{sign}"] = exact.tobytes()
    seconds = float(view.times[-1, 1])
    if view.audio is not None:
        wav = io.BytesIO()
        sf.write(wav, view.audio, view.rate, format="WAV", subtype="PCM_16")
        parts["envelope"], parts["audio"] = envelope(view.audio).tobytes(), wav.getvalue()
        seconds = len(view.audio) / view.rate
    out, sections = bytearray(), {}
    for name, raw in parts.items():
        sections[name] = [len(out), len(raw)]
        out += raw + b"\0" * (-len(raw) % 4)
    head = {
        "id": hashlib.sha256(f"{view.id}|{K}|{n}|{m}".encode()).hexdigest()[:16],
        "K": K,
        "S": n,
        "T": m,
        "layers": list(view.layers),
        "pieces": list(view.pieces),
        "labels": [visible(p) for p in view.pieces],
        "scale": view.scale,
        "seconds": seconds,
        "scores": {
            name: {k: [None if math.isnan(x) else float(x) for x in v] for k, v in by.items()}
            for name, by in view.scores.items()
        },
        "title": view.title,
        "name": view.name,
        "sections": sections,
    }
    return head, bytes(out)

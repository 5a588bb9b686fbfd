"""Time of all metrics of one clip, against the hand-written way and the matrix products alone.

    python -m benchmarks.metrics
    python -m benchmarks.metrics --layers 9 --speech 250 --text 40 --size 128 --json

Random float32 states on the CPU. The hand-written way is what a researcher would write around
captured states: per layer scipy's ``cdist`` (cosine and Euclidean), ``librosa.sequence.dtw`` for
both, argmax and argmin, ``scipy.stats.spearmanr``. All are measured in turn in one process; the
medians' ratios are what counts, seconds depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import librosa
import numpy as np
import torch
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from modgap.measures.alignment import Alignment
from modgap.measures.pair_metrics import PairMetrics


@dataclass(frozen=True)
class MetricsTimes:
    """Seconds (medians) of the three, and how far the results lie apart.

    Attributes
    ----------
    modgap, by_hand, products : float
        Seconds for all layers: ``PairMetrics``; the hand-written way; ``torch.mm`` of the same
        shapes alone.
    modgap_all, by_hand_all, products_all : tuple of float
        The single repetitions.
    cosine_error, distance_error : float
        Largest difference of any S (absolute) and any D (relative) from scipy's.
    """

    layers: int
    speech: int
    text: int
    size: int
    threads: int
    modgap: float
    by_hand: float
    products: float
    modgap_all: tuple[float, ...]
    by_hand_all: tuple[float, ...]
    products_all: tuple[float, ...]
    cosine_error: float
    distance_error: float

    @property
    def speedup(self) -> float:
        """How many times faster than the hand-written way; target at least 12."""
        return self.by_hand / self.modgap

    @property
    def over_products(self) -> float:
        """Time in units of the matrix products alone; target at most 1.5."""
        return self.modgap / self.products

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "speedup": self.speedup, "over_products": self.over_products}

    def table(self) -> str:
        """The numbers as a Markdown table."""
        shape = f"{self.layers} x {self.speech} x {self.text} x {self.size}, {self.threads} threads"
        rows = [
            ("modgap (`PairMetrics`)", self.modgap, 1.0),
            ("by hand (cdist, librosa, spearmanr)", self.by_hand, self.speedup),
            ("matrix products alone", self.products, 1 / self.over_products),
        ]
        lines = [
            f"| all metrics of one clip, float32, {shape} | seconds | against modgap |",
            "|---|---:|---:|",
            *(f"| {name} | {seconds:.3f} | {ratio:.2f} |" for name, seconds, ratio in rows),
            "",
            f"{self.speedup:.1f} times as fast as by hand (target: at least 12); "
            f"{self.over_products:.2f} times the products alone (target: at most 1.5).",
            f"Largest difference from scipy: S {self.cosine_error:.1e}, "
            f"D {self.distance_error:.1e} (relative).",
        ]
        return "\n".join(lines)


def measure(
    layers: int = 33,
    speech: int = 750,
    text: int = 200,
    size: int = 4096,
    *,
    repeats: int = 7,
    hand_repeats: int = 1,
    seed: int = 0,
) -> MetricsTimes:
    """Measure one shape; the default is a 30 s clip through a 7B model.

    Parameters
    ----------
    layers, speech, text, size : int
        K, T_s, T_t and d.
    repeats, hand_repeats : int
        Repetitions of modgap and the products (in turn), and of the slow hand-written way.
    """
    generator = torch.Generator().manual_seed(seed)
    H_s = [torch.randn(speech, size, generator=generator) for _ in range(layers)]
    H_t = [torch.randn(text, size, generator=generator) for _ in range(layers)]
    _ours(H_s[:2], H_t[:2])  # loads or compiles the kernels
    _products(H_s[:2], H_t[:2])
    _by_hand(H_s[:1], H_t[:1])
    ours, products, hand = [], [], []
    for _ in range(repeats):
        seconds, alignment = _timed(_ours, H_s, H_t)
        ours.append(seconds)
        products.append(_timed(_products, H_s, H_t)[0])
    for _ in range(hand_repeats):
        seconds, (S, D) = _timed(_by_hand, H_s, H_t)
        hand.append(seconds)
    return MetricsTimes(
        layers=layers,
        speech=speech,
        text=text,
        size=size,
        threads=torch.get_num_threads(),
        modgap=statistics.median(ours),
        by_hand=statistics.median(hand),
        products=statistics.median(products),
        modgap_all=tuple(ours),
        by_hand_all=tuple(hand),
        products_all=tuple(products),
        cosine_error=float(np.abs(alignment.similarity - S).max()),
        distance_error=float(np.abs(alignment.distance / D - 1).max()),
    )


def _timed(function: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def _ours(H_s: list[torch.Tensor], H_t: list[torch.Tensor]) -> Alignment:
    metrics = PairMetrics(len(H_s))
    for layer, (s, t) in enumerate(zip(H_s, H_t, strict=True)):
        metrics.add(layer, s, t)
    return metrics.finish()[1]


def _products(H_s: list[torch.Tensor], H_t: list[torch.Tensor]) -> list[torch.Tensor]:
    return [torch.mm(s, t.T) for s, t in zip(H_s, H_t, strict=True)]


def _by_hand(H_s: list[torch.Tensor], H_t: list[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    S, D = [], []
    for speech, text in zip(H_s, H_t, strict=True):
        s, t = speech.numpy(), text.numpy()
        mean_s, mean_t = s.mean(0), t.mean(0)
        np.dot(mean_s, mean_t) / (np.linalg.norm(mean_s) * np.linalg.norm(mean_t))
        np.linalg.norm(mean_s - mean_t)
        cosine, distance = 1 - cdist(s, t, "cosine"), cdist(s, t, "euclidean")
        for cost in (1 - cosine, distance):
            nearest = cost.argmin(0)
            spearmanr(np.arange(len(nearest)), nearest)
            np.take_along_axis(cost, nearest[None], 0).mean()
            librosa.sequence.dtw(C=cost)
        S.append(cosine)
        D.append(distance)
    return np.stack(S), np.stack(D)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time all metrics of one clip of random states.")
    for name, default in (("layers", 33), ("speech", 750), ("text", 200), ("size", 4096)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--hand-repeats", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = vars(parser.parse_args())
    as_json = args.pop("json")
    times = measure(**args)
    print(json.dumps(times.as_dict(), indent=1) if as_json else times.table())


if __name__ == "__main__":
    main()

"""Time and memory of one clip's analysis on the embedded model, against the bare passes.

    python -m benchmarks.analysis
    python -m benchmarks.analysis --seconds 3 --words 8 --json

Compared are two bare forward passes (speech and text, no metrics), `stream_pair` into
`PairMetrics`, and what a researcher would write: transformers with ``output_hidden_states=True``,
all states to float32 arrays on the CPU, then scipy and librosa layer by layer. All three run in
turn in one process; what counts are the ratios of their medians.

Memory is counted, not sampled: the resident size of a process moves by megabytes for reasons of its
own, more than a small model's states take. The profiler records every allocation and release of
torch, and its running total has an exact peak; NumPy reports its own to tracemalloc. The figure is
the sum of both peaks less that of the bare passes. The two peaks of one run need not fall together,
so the sum may be too high; all ways are charged alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import librosa
import numpy as np
import torch
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from torch.profiler import ProfilerActivity, profile

from modgap.audio.clip import Clip, load_clip
from modgap.core.errors import ModelError
from modgap.measures.pair_metrics import PairMetrics
from modgap.models.base import PromptPair, SpeechLM
from modgap.models.capture import stream_pair
from modgap.models.loading.load import load_model

_TEXT = "what is the capital of the country where people said that two and three make five"


@dataclass(frozen=True)
class AnalysisCosts:
    """Medians in seconds, and peaks in bytes beyond the bare passes.

    Attributes
    ----------
    bare, modgap, by_hand : float
        Seconds of the two bare passes; of `stream_pair` with `PairMetrics` to the finished
        `Alignment`; of the hand-written way.
    bare_all, modgap_all, by_hand_all : tuple of float
        The single rounds, taken in turn.
    bare_bytes : int
        Peak of the bare passes, the model's weights not counted.
    modgap_bytes, by_hand_bytes : int
        Peaks beyond it.
    cosine_error : float
        Largest difference between the two ways' similarity matrices.
    """

    model: str
    layers: int
    speech: int
    text: int
    size: int
    threads: int
    bare: float
    modgap: float
    by_hand: float
    bare_all: tuple[float, ...]
    modgap_all: tuple[float, ...]
    by_hand_all: tuple[float, ...]
    bare_bytes: int
    modgap_bytes: int
    by_hand_bytes: int
    cosine_error: float

    @property
    def over_bare(self) -> float:
        """Time in units of two bare passes; target at most 1.25."""
        return self.modgap / self.bare

    @property
    def memory_share(self) -> float:
        """Extra memory as a share of what the hand-written way takes; target under 0.25."""
        return self.modgap_bytes / self.by_hand_bytes

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "over_bare": self.over_bare, "memory_share": self.memory_share}

    def table(self) -> str:
        """The numbers as a Markdown table."""
        shape = f"{self.layers} x {self.speech} x {self.text} x {self.size}"
        rows = [
            ("two bare forward passes", self.bare, 0),
            ("with all metrics (`stream_pair`, `PairMetrics`)", self.modgap, self.modgap_bytes),
            ("by hand (`output_hidden_states`, scipy, librosa)", self.by_hand, self.by_hand_bytes),
        ]
        lines = [
            f"| one clip on {self.model}, {shape}, {self.threads} threads | ms | against bare | "
            "MB beyond bare |",
            "|---|---:|---:|---:|",
            *(
                f"| {name} | {1e3 * seconds:.1f} | {seconds / self.bare:.2f} | {extra / 1e6:.2f} |"
                for name, seconds, extra in rows
            ),
            "",
            f"{self.over_bare:.2f} times two bare passes (target: at most 1.25); "
            f"{self.memory_share:.2f} of the memory by hand (target: under 0.25).",
            f"Largest difference from scipy: S {self.cosine_error:.1e}.",
        ]
        return "\n".join(lines)


def measure(
    model: SpeechLM | None = None,
    *,
    seconds: float | None = None,
    words: int = 24,
    rounds: int = 21,
) -> AnalysisCosts:
    """Measure one clip.

    Parameters
    ----------
    model : SpeechLM, optional
        By default the embedded model or, where its weights are not installed, a random one of its
        size.
    seconds : float, optional
        Length of the clip; by default the longest that the model takes.
    words : int
        Of the transcript.
    rounds : int
        Repetitions of the three, in turn.
    """
    if model is None:
        model = embedded_or_random()
    clip = _clip(seconds or model.max_seconds or 10.0)
    transcript = " ".join(islice(cycle(_TEXT.split()), words))
    pair = model.prepare(clip, transcript)
    ways: dict[str, Callable[[SpeechLM, PromptPair], Any]] = {
        "bare": _bare,
        "modgap": _ours,
        "by_hand": _by_hand,
    }
    for way in ways.values():  # loads and compiles what is loaded or compiled once
        way(model, pair)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way(model, pair)
            times[name].append(time.perf_counter() - start)
    peaks = {name: peak_bytes(lambda way=way: way(model, pair)) for name, way in ways.items()}
    ours, hand = _ours(model, pair), _by_hand(model, pair)
    return AnalysisCosts(
        model=model.name,
        layers=model.n_layers + 1,
        speech=len(pair.speech.content),
        text=len(pair.text.content),
        size=model.hidden_size,
        threads=torch.get_num_threads(),
        bare=statistics.median(times["bare"]),
        modgap=statistics.median(times["modgap"]),
        by_hand=statistics.median(times["by_hand"]),
        bare_all=tuple(times["bare"]),
        modgap_all=tuple(times["modgap"]),
        by_hand_all=tuple(times["by_hand"]),
        bare_bytes=peaks["bare"],
        modgap_bytes=peaks["modgap"] - peaks["bare"],
        by_hand_bytes=peaks["by_hand"] - peaks["bare"],
        cosine_error=float(np.abs(ours[1].similarity - np.stack(hand[0])).max()),
    )


def peak_bytes(function: Callable[[], Any]) -> int:
    """Most bytes that torch (CPU) and NumPy held at a time while `function` ran, see the module."""
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        function()
        numpy_peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        result = function()
    del result
    steps = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    steps.sort(key=lambda e: e.start_ns())
    held = np.cumsum([e.nbytes() for e in steps], dtype=np.int64)
    return int(numpy_peak + max(0, held.max(initial=0)))


def embedded_or_random() -> SpeechLM:
    """Load "demo" or, without its weights, a random model of its size."""
    try:
        return load_model("demo", device="cpu")
    except ModelError:
        from tests.tiny import make_tiny_checkpoint

        with TemporaryDirectory() as folder:
            path = make_tiny_checkpoint(
                Path(folder) / "random", hidden=128, layers=8, encoder_layers=3, mels=80
            )
            model = load_model(path, device="cpu")
        model.name = "a random model of the embedded one's size"
        return model


def _bare(model: SpeechLM, pair: PromptPair) -> None:
    model.forward(pair.text)
    model.forward(pair.speech)


def _ours(model: SpeechLM, pair: PromptPair) -> Any:
    metrics = PairMetrics(model.n_layers + 1)
    stream_pair(model, pair, metrics.add)
    return metrics.finish()


def _by_hand(model: SpeechLM, pair: PromptPair) -> tuple[list[np.ndarray], list[np.ndarray]]:
    states = {}
    for prompt in (pair.text, pair.speech):
        with torch.no_grad():
            out = model.hf(**prompt.inputs, output_hidden_states=True)
        hidden = torch.stack(out.hidden_states)[:, 0].float().cpu().numpy()
        states[prompt.kind] = hidden[:, prompt.content.numpy()]
    similarity, distance = [], []
    for s, t in zip(states["speech"], states["text"], strict=True):
        mean_s, mean_t = s.mean(0), t.mean(0)
        np.dot(mean_s, mean_t) / (np.linalg.norm(mean_s) * np.linalg.norm(mean_t))
        np.linalg.norm(mean_s - mean_t)
        S, D = 1 - cdist(s, t, "cosine"), cdist(s, t, "euclidean")
        for cost in (1 - S, D):
            nearest = cost.argmin(0)
            spearmanr(np.arange(len(nearest)), nearest)
            np.take_along_axis(cost, nearest[None], 0).mean()
            librosa.sequence.dtw(C=cost)
        similarity.append(S)
        distance.append(D)
    return similarity, distance


def _clip(seconds: float) -> Clip:
    rate = 16000
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t))
    wave = np.sin(2 * np.pi * (150 + 60 * np.sin(5 * t)) * t) * (1 + np.sin(9 * t)) + 0.1 * noise
    return load_clip((0.2 * wave).astype(np.float32), rate=rate)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of one clip's analysis.")
    parser.add_argument("--model", help="a name for load_model; the embedded model by default")
    parser.add_argument("--seconds", type=float, help="of the clip; the longest by default")
    parser.add_argument("--words", type=int, default=24, help="of the transcript")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = vars(parser.parse_args())
    as_json, name = args.pop("json"), args.pop("model")
    costs = measure(load_model(name) if name else None, **args)
    print(json.dumps(costs.as_dict(), indent=1) if as_json else costs.table())


if __name__ == "__main__":
    main()

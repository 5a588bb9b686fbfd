"""What a run of `modgap eval` costs, measured here, and what a large one will: docs/scaling.md.

    python -m benchmarks.runs                     # measure, and plan 5,000 x 8 x 30 on 8 GPUs
    python -m benchmarks.runs --gpu-seconds 0.4   # the plan for a time of a clip on a GPU

Measured: clips a second of the embedded model in one process; bytes of each table's row; how fast
the one writer takes units, how fast rows travel between processes; how fast a run is gone on with;
what of a clip's measures is left for the CPU at the size of a 7B model. The plan multiplies these.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from modgap.evaluation.data.datasets import read_questions
from modgap.evaluation.runs.plan import Loader
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.shards import PartWriter, Rows, done
from modgap.measures.pair_metrics import PairMetrics

LAYERS = 33  # of a 7B model, 0 to 32
UNIT = Loader().unit


def answers_here(clips: int, batch: int) -> tuple[float, Rows]:
    """Clips a second of the embedded model (text and speech), sound read before; and the rows."""
    questions = read_questions("demo", clips)
    sounds = [q.load() for q in questions]
    asked: list[Any] = [
        (type(q)(**{**vars(q), "load": lambda s=s: s}), ("text", "speech"))
        for q, s in zip(questions, sounds, strict=True)
    ]
    worker = Loader(batch=batch, store=False).worker("demo", RunSettings(max_new_tokens=12), {})
    worker.run(asked[:UNIT])
    rows: Rows = {}
    began = time.perf_counter()
    for start in range(0, len(asked), UNIT):
        for table, more in worker.run(asked[start : start + UNIT]).items():
            rows.setdefault(table, []).extend(more)
    return len(asked) / (time.perf_counter() - began), rows


def enlarged(rows: Rows, clips: int) -> list[Rows]:
    """Units with the layers of a 7B model: each layer of the real rows several times.

    No two numbers are equal, or the files would be smaller than those of as many different clips.
    """
    rng = random.Random(0)

    def other(row: dict[str, Any]) -> dict[str, Any]:
        return {k: v * rng.uniform(0.99, 1.01) if type(v) is float else v for k, v in row.items()}

    units: list[Rows] = []
    layers: dict[str, list[dict[str, Any]]] = {}
    answers: dict[str, list[dict[str, Any]]] = {}
    for row in rows["layers"]:
        layers.setdefault(row["question"], []).append(row)
    for row in rows["answers"]:
        answers.setdefault(row["question"], []).append(row)
    names = list(answers)
    for start in range(0, clips, UNIT):
        unit: Rows = {"answers": [], "layers": []}
        for n in range(start, min(clips, start + UNIT)):
            name = names[n % len(names)]
            fresh = {"question": f"{name}/{n}"}
            unit["answers"] += [other(row) | fresh for row in answers[name]]
            real = layers[name]
            unit["layers"] += [
                other(real[k % len(real)]) | fresh | {"layer": k} for k in range(LAYERS)
            ]
        units.append(unit)
    return units


def writing(folder: Path, units: list[Rows], part_rows: int) -> tuple[float, dict[str, float]]:
    """Seconds a unit of taking and writing rows, and bytes a row of each table."""
    writer = PartWriter(folder, seconds=1e9, rows=part_rows)
    began = time.perf_counter()
    for unit in units:
        writer.add(unit)
    writer.flush()
    took = (time.perf_counter() - began) / len(units)
    bytes_of = {}
    for table in ("answers", "layers"):
        size = sum(p.stat().st_size for p in (folder / table).iterdir())
        bytes_of[table] = size / sum(len(unit[table]) for unit in units)
    return took, bytes_of


def travelling(units: list[Rows]) -> float:
    """Seconds a unit of packing rows in one process and unpacking them in another."""
    began = time.perf_counter()
    for unit in units:
        pickle.loads(pickle.dumps(unit, protocol=5))
    return (time.perf_counter() - began) / len(units)


def measures_on_cpu(speech: int, text: int, rounds: int = 5) -> float:
    """Seconds that paths and scores take after the GPU's part, a clip of a 7B model."""
    took = []
    for _ in range(rounds):
        metrics = PairMetrics(LAYERS)
        for layer in range(LAYERS):
            metrics.add(layer, torch.randn(speech, 64), torch.randn(text, 64))
        began = time.perf_counter()
        metrics.finish()
        took.append(time.perf_counter() - began)
    return sorted(took)[rounds // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=256)
    parser.add_argument("--gpu-seconds", type=float, nargs="+", default=[0.1, 0.2, 0.4, 0.8])
    parser.add_argument("--clips", type=int, default=5000)
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--checkpoints", type=int, default=30)
    parser.add_argument("--gpus", type=int, default=8)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} at the start, {torch.get_num_threads()} thread(s)\n")

    print("| measured | |\n|---|---:|")
    rows: Rows = {}
    for batch in (1, 16):
        rate, rows = answers_here(args.questions, batch)
        print(f"| embedded model, text and speech, {batch} together, clips/s | {rate:.1f} |")
    units = enlarged(rows, 20_000)
    with tempfile.TemporaryDirectory() as folder:
        write, size = writing(Path(folder), units, 200_000)
        names = {row["question"] for unit in units for row in unit["answers"]}
        index = {name: n for n, name in enumerate(names)}
        began = time.perf_counter()
        found = done(Path(folder), index)
        resume = sum(map(sum, found.values())) / (time.perf_counter() - began)
    travel = travelling(units[:50])
    cpu = measures_on_cpu(200, 40)
    per_clip = 2 * size["answers"] + LAYERS * size["layers"]
    driver = UNIT / (write + travel)
    print(f"| a row of answers, bytes | {size['answers']:.0f} |")
    print(f"| a row of layers, bytes | {size['layers']:.0f} |")
    print(f"| a clip, 2 answers and {LAYERS} layers, bytes | {per_clip:.0f} |")
    print(f"| writing a unit of {UNIT} clips, ms | {1e3 * write:.1f} |")
    print(f"| rows of a unit from process to process, ms | {1e3 * travel:.1f} |")
    print(f"| so the one writer takes, clips/s | {driver:.0f} |")
    print(f"| finding out what is done, rows/s | {resume:.0f} |")
    print(f"| paths and scores on one CPU core, {LAYERS} x 200 x 40, ms a clip | {1e3 * cpu:.0f} |")

    pairs = args.clips * args.models * args.checkpoints
    print(
        f"\n{args.clips:,} x {args.models} x {args.checkpoints} = {pairs:,} clips through a model"
    )
    print(f"bytes: {pairs * per_clip / 1e9:.1f} GB")
    print(f"\n| seconds a clip on one GPU (given) | clips/s of {args.gpus} GPUs | hours | "
          "share of the writer |\n|---:|---:|---:|---:|")  # fmt: skip
    for seconds in args.gpu_seconds:
        rate = args.gpus / (seconds + cpu)
        print(
            f"| {seconds:g} + {cpu:.3f} | {rate:.1f} | {pairs / rate / 3600:.1f} | "
            f"{100 * rate / driver:.1f} % |"
        )
    print(f"\nThe writer is full at {driver * cpu + driver * min(args.gpu_seconds):.0f} GPUs of "
          f"{min(args.gpu_seconds):g} s a clip.")  # fmt: skip


if __name__ == "__main__":
    main()

"""What `modgap fit` costs against two bare passes over the same clips, in time and in memory.

    python -m benchmarks.fitting                     # 1,000 clips of the embedded model's questions
    python -m benchmarks.fitting --clips 200 --layer 4

The clips are made before either is timed, so that what is compared is the model's work and the fit.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import replace
from typing import Any

import torch

from modgap.evaluation.data.datasets import iter_questions
from modgap.evaluation.interventions.fit_settings import FitSettings, group_of
from modgap.evaluation.interventions.fitting import fit_maps
from modgap.interventions.maps.affine import KINDS
from modgap.models.loading.load import load_model
from modgap.scoring.question import Question


def held(data: str, count: int) -> list[Question]:
    """Questions with their sound in memory."""
    found = []
    for question in iter_questions(data, count):
        clip = question.load()
        found.append(replace(question, load=lambda clip=clip: clip))
    return found


def bare(model: Any, questions: list[Question]) -> float:
    """Seconds of one pass over the text and one over the speech of each clip."""
    began = time.perf_counter()
    for question in questions:
        pair = model.prepare(question.load(), question.transcript, instruction=question.instruction)
        model.forward(pair.text)
        model.forward(pair.speech)
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def peak(model: Any) -> float:
    """MB that were held at most so far, on the GPU where the model is on one, else in all."""
    if model.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a fit costs.")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", default="demo")
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--layer", type=int, default=0)
    args = parser.parse_args()
    model = load_model(args.model)
    questions = held(args.data, args.clips)
    fit_maps(model, questions[: max(8, len(questions) // 4)], FitSettings(kinds=KINDS, gate=True))
    few = peak(model)
    base = bare(model, questions)
    groups = len({group_of(q) for q in questions})
    print(
        f"| {len(questions)} clips ({groups} questions) on {model.name}, layer {args.layer} | s "
        f"| against bare |\n|---|---:|---:|\n| two bare passes | {base:.1f} | 1.00 |"
    )
    ratio = {}
    for name, kinds in (("ridge", ("ridge",)), ("all kinds", KINDS)):
        settings = FitSettings(layers=(args.layer,), kinds=kinds, gate=True)
        made = fit_maps(model, questions, settings)
        seconds = made.seconds
        ratio[name] = seconds / base
        print(f"| `fit`, {name}, with a gate | {seconds:.1f} | {ratio[name]:.2f} |")
    print(f"\n{ratio['ridge']:.2f} times two bare passes (target: at most 1.3).")
    print(
        f"Memory at its peak: {few:.0f} MB after a fit of a quarter of the clips, "
        f"{peak(model):.0f} MB after those of all."
    )


if __name__ == "__main__":
    main()

"""A patching map of a 5 s clip against one whole pass per cell.

    python -m benchmarks.patching
    python -m benchmarks.patching --passes 30 --threads 1

One whole pass per cell is what a researcher would write: a forward pass of the prompt with the
target behind it, and a hook that puts the text's state into the positions of the cell. That way is
timed on some cells, spread over the map, and multiplied; both ways give these cells the same value.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

import modgap
from modgap.analysis.examples import example
from modgap.audio.clip import load_clip
from modgap.interventions.prefill import Prefill


def whole_pass(kept: Prefill, level: int, rows: tuple[int, ...], j: int, plain: float) -> float:
    """Change of the target's log-probability by a forward pass under a hook."""
    model, prompt = kept.model, kept.pair.speech
    at = prompt.content[torch.as_tensor(rows)]
    target = torch.tensor([kept.continuation], device=model.device)
    inputs = dict(prompt.inputs)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], target], 1)
    if "attention_mask" in inputs:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])

    def put(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = given[0].clone()
        hidden[0, at] = kept.text[level][j].to(hidden.dtype)
        return (hidden, *given[1:])

    handle = model.layers[level].register_forward_pre_hook(put)
    try:
        with torch.inference_mode():
            logits = model.hf(**inputs).logits[0, prompt.length - 1 : -1]
    finally:
        handle.remove()
    logp = logits.double().log_softmax(-1).gather(-1, target[0][:, None])
    return float(logp.sum()) - plain


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a patching map costs.")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--example", default="austen-0880")
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0, help="of torch; by default all cores")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    found = example(args.example)
    assert found is not None
    clip = load_clip(found.path)
    model = modgap.load_model(args.model)
    words = modgap.word_times(clip, found.transcript)
    pair = model.prepare(clip, found.transcript, instruction=found.instruction)
    kept, target = modgap.with_target(model, pair)
    modgap.patching(kept, target, words=words, draws=0, layers=[model.n_layers - 1])  # warm
    began = time.perf_counter()
    made = modgap.patching(kept, target, words=words, draws=0)
    ours = time.perf_counter() - began
    cells = [(k, j) for k, j in np.ndindex(made.change.shape) if np.isfinite(made.change[k, j])]
    chosen = [cells[i] for i in np.linspace(0, len(cells) - 1, args.passes).astype(int)]
    whole_pass(kept, 0, made.positions[0][chosen[0][1]], chosen[0][1], made.plain)  # warm
    began = time.perf_counter()
    theirs = [whole_pass(kept, made.layers[k], made.positions[k][j], j, made.plain)
              for k, j in chosen]  # fmt: skip
    single = (time.perf_counter() - began) / len(chosen)
    error = max(abs(a - made.change[k, j]) for a, (k, j) in zip(theirs, chosen, strict=True))
    print(
        f"| {clip.seconds:.1f} s, {made.change.shape[0]} layers, {len(words.words)} words "
        f"({len(cells)} cells), {torch.get_num_threads()} threads, {model.dtype} | seconds | "
        f"against modgap |\n|---|---:|---:|\n"
        f"| modgap (`patching`, no control) | {ours:.1f} | 1.0 |\n"
        f"| one whole pass per cell ({len(chosen)} timed, {single:.2f} s each) "
        f"| {single * len(cells):.1f} | {single * len(cells) / ours:.1f} |\n\n"
        f"{single * len(cells) / ours:.1f} times as fast (target: at least 5). Largest difference "
        f"of a cell: {error:.1e} nats."
    )


if __name__ == "__main__":
    main()

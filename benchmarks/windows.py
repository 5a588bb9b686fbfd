"""What Whisper's decoder tells of people in short windows: the embedded family's are chosen by it.

    python -m benchmarks.windows manifest.csv       # columns file, transcript

For some choices of windows, the share of the transcript's tokens that are read in their order, when
at each position any of the likeliest k tokens of any read may be taken: what an adapter that passes
reads on could reach at most. Tokens that begin a word and those that go on with one are told apart.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from modgap.audio.conditions import RATE
from modgap.demo.compose import STACK, composite, shared_tokens
from modgap.demo.family import base_folder
from modgap.demo.training.features import Hearing, positions
from modgap.demo.training.measuring import read_people
from modgap.demo.training.shared_tokens import SharedTokens
from modgap.models.window_reader import Window, WindowReader

WINDOWS: tuple[tuple[Window, ...], ...] = (
    ((0, 16, 1),),
    ((0, 30, 1),),
    ((0, 70, 1),),
    ((0, 16, 1), (0, 30, 1)),
    ((0, 10, 1), (0, 16, 1), (0, 30, 1)),
    ((0, 10, 1), (0, 16, 1), (0, 30, 3)),
)
LIKELIEST = (1, 3, 8)
LONGEST = 12.0


def in_order(said: Sequence[int], told: Sequence[set[int]]) -> list[bool]:
    """Which tokens of a longest common subsequence of what was said and what may be taken.

    Parameters
    ----------
    said : sequence of int
    told : sequence of set of int
        What may be taken at each position, one token of it at most.
    """
    best = np.zeros((len(told) + 1, len(said) + 1), dtype=int)
    for i, some in enumerate(told):
        for j, token in enumerate(said):
            best[i + 1, j + 1] = max(best[i, j + 1], best[i + 1, j], best[i, j] + (token in some))
    found, i, j = [False] * len(said), len(told), len(said)
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found[j] = True
    return found


def main() -> None:
    """Print the table."""
    from transformers import AutoTokenizer

    parser = argparse.ArgumentParser(description="Choose windows for Whisper's decoder.")
    parser.add_argument("manifest", type=Path)
    args = parser.parse_args()
    encoder, llm = base_folder("encoder"), base_folder("llm")
    hearing = Hearing(encoder, llm, torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(llm)
    tokens = SharedTokens(encoder, tokenizer)
    clips = [
        (hearing.frames(one.clip.resample(RATE)), tokens.write(one.transcript))
        for one in read_people(args.manifest, LONGEST)
    ]
    begins = [[tokenizer.decode([t]).startswith(" ") for t in said] for _, said in clips]
    config = json.loads((encoder / "config.json").read_text())
    whisper, text = shared_tokens(encoder, llm)
    print(f"{len(clips)} recordings, {sum(map(len, begins))} tokens\n")
    print("| windows (frames before, after; tokens) | likeliest | all | begin a word | go on |")
    print("|---|---|---|---|---|")
    for windows in WINDOWS:
        reader = WindowReader.load(
            encoder / "model.safetensors", config, windows, composite(encoder).prompt,
            torch.float32, whisper,
        )  # fmt: skip
        with torch.inference_mode():
            reads = [reader(f[None], positions(len(f)), STACK, max(LIKELIEST)) for f, _ in clips]
        for k in LIKELIEST:
            right: list[bool] = []
            for (_, said), read in zip(clips, reads, strict=True):
                ids = text[read.numbers[..., :k]].masked_fill(read.shares[..., :k] == 0, -1)
                right += in_order(said, [set(row) for row in ids.flatten(1).tolist()])
            hit, first = np.array(right), np.array([b for row in begins for b in row])
            shares = [hit.mean(), hit[first].mean(), hit[~first].mean()]
            cells = " | ".join(f"{100 * share:.0f} %" for share in shares)
            print(f"| {windows} | {k} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

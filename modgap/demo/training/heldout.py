"""What training is steered by: voices that it never heard, and recordings of people."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr
import torch
from torch import Tensor

from modgap.audio.conditions import RATE, pad
from modgap.core.files import table_bytes, write_atomic
from modgap.demo.training import features
from modgap.demo.training.features import Heard, Hearing
from modgap.demo.training.settings import TrainSettings
from modgap.demo.training.shards import stable_rng
from modgap.demo.training.speakers import HELDOUT_TIMBRES, Speakers, Utterance
from modgap.scoring.word_errors import word_errors

__all__ = ["error_rate", "heldout_sets", "make_people", "make_voices"]

ACCENTS = ("en-us", "en-us", "en", "en-gb-x-rp")


def error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Word errors of all texts together, by the words that were said."""
    found = [word_errors(a, b) for a, b in zip(said, heard, strict=True)]
    wrong = sum(f.substitutions + f.deletions + f.insertions for f in found)
    return wrong / max(1, sum(f.words for f in found))


def _write(
    file: Path, rows: list[dict[str, object]], heard: list[Tensor], hearing: Hearing
) -> None:
    frames = [h.to(torch.float16).numpy() for h in heard]
    read = [hearing.read(h) for h in heard]
    features.write_frames(file.with_suffix(".npy"), frames, read)
    write_atomic(file, table_bytes(pd.DataFrame(rows)))


def make_voices(
    s: TrainSettings, texts: Sequence[str], speakers: Speakers, hearing: Hearing
) -> None:
    """Clean utterances of texts that are not trained on, by voices that are not either."""
    file = s.work / "heldout" / "voices" / "00000.parquet"
    if file.is_file():
        return
    rows, frames = [], []
    for n, text in enumerate(texts):
        rng = stable_rng("heldout", s.seed, n)
        voice = f"{rng.choice(ACCENTS)}+{rng.choice(HELDOUT_TIMBRES)}"
        how = Utterance("espeak", voice, int(rng.integers(150, 190)), int(rng.integers(40, 61)))
        wave = pad(speakers.say(text, how).astype(np.float64), 0.1, 0.2, 1e-4, rng)
        frames.append(hearing.frames(wave.astype(np.float32)))
        rows.append({"text": text, "source": "heldout", **asdict(how), "frames": len(frames[-1])})
    _write(file, rows, frames, hearing)


def make_people(s: TrainSettings, manifest: Path, hearing: Hearing) -> None:
    """Recordings of people: a table with the columns file (from its folder on) and transcript."""
    file = s.work / "heldout" / "people" / "00000.parquet"
    if file.is_file():
        return
    rows, frames = [], []
    with manifest.open() as handle:
        for row in csv.DictReader(handle):
            wave, rate = soundfile.read(
                manifest.parent / row["file"], dtype="float32", always_2d=True
            )
            wave = soxr.resample(wave.mean(1), rate, RATE)
            if len(row["transcript"].split()) < 3 or wave.size > features.MAX_SECONDS * RATE:
                continue
            frames.append(hearing.frames(wave.astype(np.float32)))
            rows.append({"text": row["transcript"], "source": row["file"],
                         "frames": len(frames[-1])})  # fmt: skip
    _write(file, rows, frames, hearing)


def heldout_sets(s: TrainSettings) -> dict[str, Heard]:
    """The sets that were made, by name."""
    folders = sorted(f for f in (s.work / "heldout").glob("*") if f.is_dir())
    return {f.name: features.load(features.files_of([f])) for f in folders}

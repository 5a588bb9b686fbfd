"""Clips to log-mel features in memory-mapped float16 shards, made once, by all cores.

A shard is written whole and renamed into place: an interrupted run goes on with the next missing
shard, and a half-written one is never read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modgap.audio.conditions import RATE
from modgap.demo.clips import ClipSpec
from modgap.demo.waveforms import MAX_SECONDS, waveform

HOP = 160
#: Frames kept after the end of the clip: the analysis window and the two convolutions reach there.
EXTRA = 4
SHARD = 512


def feature_extractor() -> Any:
    """The family's Whisper feature extractor: 80 mel bands, 100 frames a second, 10 s."""
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=80, chunk_length=int(MAX_SECONDS))


def log_mel(waves: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Features as the processor makes them, cut to the clip plus :data:`EXTRA` frames.

    Returns
    -------
    list of numpy.ndarray, float16, shape (frames + EXTRA, 80)
        ``frames`` is what the processor's mask would count.
    """
    extractor = feature_extractor()
    batch = extractor(
        list(waves), sampling_rate=RATE, padding="max_length", return_attention_mask=True,
        return_tensors="np",
    )  # fmt: skip
    counts = batch["attention_mask"].sum(-1)
    mels = np.asarray(batch["input_features"])
    return [m[:, : int(n) + EXTRA].T.astype(np.float16) for m, n in zip(mels, counts, strict=True)]


def _write_shard(path: Path, specs: list[ClipSpec], fsdd: Path | None) -> Path:
    import torch

    torch.set_num_threads(1)
    mels: list[np.ndarray] = []
    for start in range(0, len(specs), 16):
        mels += log_mel([waveform(s, fsdd) for s in specs[start : start + 16]])
    lengths = [m.shape[0] for m in mels]
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as handle:
        np.save(handle, np.concatenate(mels))
    index = path.with_suffix(".json")
    index.with_suffix(".json.tmp").write_text(json.dumps({"lengths": lengths}))
    index.with_suffix(".json.tmp").replace(index)
    temporary.replace(path)  # last: the shard counts as done when this file is there
    return path


@dataclass
class FeatureSet:
    """Features of a plan of clips.

    Attributes
    ----------
    specs : list of ClipSpec
    """

    specs: list[ClipSpec]
    _arrays: list[np.ndarray]
    _where: list[tuple[int, int, int]]

    def __len__(self) -> int:
        return len(self.specs)

    def frames(self, i: int) -> int:
        """Number of mel frames of clip ``i`` (without the extra ones)."""
        _, start, end = self._where[i]
        return end - start - EXTRA

    def mel(self, i: int) -> np.ndarray:
        """Features of clip ``i``, float16, shape (frames + EXTRA, 80), memory-mapped."""
        shard, start, end = self._where[i]
        return self._arrays[shard][start:end]


def _key(specs: Sequence[ClipSpec]) -> str:
    text = json.dumps([asdict(s) for s in specs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build(
    specs: list[ClipSpec],
    folder: Path,
    fsdd: Path | None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureSet:
    """Make (or find) the features of all clips.

    Parameters
    ----------
    specs : list of ClipSpec
    folder : Path
        Where the shards lie; shared by any number of plans.
    fsdd : Path or None
        Folder of the digit recordings, needed when the plan has recorded digits.
    workers : int
        Processes.
    progress : callable, optional
        Called with (done shards, all shards).
    """
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [specs[i : i + SHARD] for i in range(0, len(specs), SHARD)]
    paths = [folder / f"{_key(c)}.npy" for c in chunks]
    missing = [(p, c) for p, c in zip(paths, chunks, strict=True) if not p.is_file()]
    done = len(paths) - len(missing)
    if progress:
        progress(done, len(paths))
    if len(missing) == 1 or workers <= 1:
        for p, c in missing:
            _write_shard(p, c, fsdd)
            done += 1
            if progress:
                progress(done, len(paths))
    elif missing:
        with ProcessPoolExecutor(workers) as pool:
            for future in as_completed([pool.submit(_write_shard, p, c, fsdd) for p, c in missing]):
                future.result()
                done += 1
                if progress:
                    progress(done, len(paths))
    arrays, where = [], []
    for k, path in enumerate(paths):
        arrays.append(np.load(path, mmap_mode="r"))
        offset = 0
        for n in json.loads(path.with_suffix(".json").read_text())["lengths"]:
            where.append((k, offset, offset + n))
            offset += n
    return FeatureSet(specs, arrays, where)

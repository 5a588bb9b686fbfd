"""Texts to speech to what frozen Whisper makes of it: made once, kept as 16-bit numbers.

The encoder's frames of a file's utterances lie one after the other in ``NNNNN.npy``, what the
decoder reads in the windows of their positions in ``NNNNN.read.npy``, the tokens that it tells
there in ``NNNNN.words.npy`` and their shares in ``NNNNN.shares.npy``; ``NNNNN.parquet`` says whose
they are, and its being there says that all is whole. The speech itself is not kept.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from modgap.audio.conditions import RATE
from modgap.core.files import write_atomic
from modgap.demo.compose import STACK, WINDOWS, WORDS, composite, shared_tokens
from modgap.demo.training import shards
from modgap.demo.training.speakers import Speakers, Utterance, recorded
from modgap.models.composite_net import encode, load_encoder
from modgap.models.window_reader import WindowReader

__all__ = [
    "Heard",
    "Hearing",
    "Read",
    "files_of",
    "load",
    "positions",
    "speak_texts",
    "write_frames",
]

N = TypeVar("N", int, np.ndarray)
MAX_SECONDS = 12.0
_SUFFIXES = (".npy", ".read.npy", ".words.npy", ".shares.npy")


def positions(frames: N) -> N:
    """How many positions an utterance of so many frames has in the prompt."""
    return -(-frames // STACK)


class Read(NamedTuple):
    """What is read at the positions of an utterance.

    Attributes
    ----------
    states : ndarray of float16, shape (n, reads * d)
        Of Whisper's decoder.
    words : ndarray of int32, shape (n, reads, k)
        The likeliest tokens, by the text model's ids.
    shares : ndarray of float16, shape (n, reads, k)
        Their shares among themselves.
    """

    states: np.ndarray
    words: np.ndarray
    shares: np.ndarray


class Hearing:
    """Frozen Whisper with its mel features, as `modgap_composite` uses it on a clip.

    The encoder hears the clip alone, without the silence up to its whole window: it costs a fifth,
    and Whisper's own decoder reads people's words from it as well.

    Parameters
    ----------
    folder, llm : Path
        Checkpoint folders of Whisper and of the text model.
    dtype : torch.dtype
    """

    def __init__(self, folder: Path, llm: Path, dtype: torch.dtype = torch.bfloat16) -> None:
        from transformers import WhisperFeatureExtractor

        config = json.loads((folder / "config.json").read_text())
        file = folder / "model.safetensors"
        self.encoder: Any = load_encoder(file, config, dtype).eval()
        shared, self.ids = shared_tokens(folder, llm)
        prompt = composite(folder).prompt
        self.reader = WindowReader.load(file, config, WINDOWS, prompt, dtype, shared)
        self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        self.dtype = dtype

    @torch.inference_mode()
    def frames(self, wave: np.ndarray) -> Tensor:
        """Frames (T, d) of samples (n,) at 16 kHz, float32; T = ceil(n / 320)."""
        mel = self.extractor(wave, sampling_rate=RATE, padding="longest", return_tensors="pt")
        return encode(self.encoder, mel["input_features"].to(self.dtype))[0].float()

    @torch.inference_mode()
    def read(self, frames: Tensor) -> Read:
        """What the decoder reads at each position of frames (T, d), as it is kept."""
        read = self.reader(frames[None].to(self.dtype), positions(len(frames)), STACK, WORDS)
        return Read(
            read.states[0].to(torch.float16).numpy(), self.ids[read.numbers].numpy(),
            read.shares.to(torch.float16).numpy(),
        )  # fmt: skip


def speak_texts(
    texts: pd.DataFrame, key: str, speakers: Speakers, hearing: Hearing, file: Path
) -> pd.DataFrame:
    """Say a table of texts and write the frames; the table says what was said how.

    Parameters
    ----------
    texts : DataFrame
        Columns text, source.
    key : str
        Decides every draw, together with the row's number.
    speakers : Speakers
    hearing : Hearing
    file : Path
        The ``.npy`` file to write.

    Returns
    -------
    DataFrame
        Columns text, source, the fields of `Utterance`, frames; utterances that are too long are
        left out.
    """
    shares = speakers.shares()
    rows, kept, read = [], [], []
    for n, (text, source) in enumerate(zip(texts.text, texts.source, strict=True)):
        rng = shards.stable_rng("utterance", key, n)
        how = Utterance.draw(rng, shares)
        wave = recorded(speakers.say(text, how), rng)
        if wave.size > MAX_SECONDS * RATE:
            continue
        heard = hearing.frames(wave)
        frames = heard.to(torch.float16).numpy()
        kept.append(frames)
        read.append(hearing.read(heard))
        rows.append({"text": text, "source": source, **asdict(how), "frames": len(frames)})
    write_frames(file, kept, read)
    return pd.DataFrame(rows)


def write_frames(file: Path, frames: list[np.ndarray], read: list[Read]) -> None:
    """Write frames (T_k, d) of several utterances, and what was read, one below the other."""
    kinds = (frames, *zip(*read, strict=True))
    for suffix, parts in zip(_SUFFIXES, kinds, strict=True):
        buffer = io.BytesIO()
        np.save(buffer, np.concatenate(parts))
        write_atomic(file.with_suffix(suffix), buffer.getvalue())


@dataclass
class Heard:
    """Utterances with their frames.

    Attributes
    ----------
    table : DataFrame
        As `speak_texts` makes it; one row an utterance.
    """

    table: pd.DataFrame
    _arrays: list[tuple[np.ndarray, ...]]
    _where: np.ndarray

    def __len__(self) -> int:
        return len(self.table)

    def frames(self, i: int) -> Tensor:
        """Frames (T, d) of utterance `i`, float32."""
        array, start, end, _, _ = self._where[i]
        return torch.from_numpy(np.array(self._arrays[array][0][start:end])).float()

    def read(self, i: int) -> Tensor:
        """What was read at the positions of utterance `i` (n, reads * d), float32."""
        array, _, _, start, end = self._where[i]
        return torch.from_numpy(np.array(self._arrays[array][1][start:end])).float()

    def words(self, i: int) -> tuple[Tensor, Tensor]:
        """Likeliest tokens of the text model that were read at the positions, and their shares,
        (n, reads, k) each."""
        array, _, _, start, end = self._where[i]
        ids, shares = (self._arrays[array][k][start:end] for k in (2, 3))
        return torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(shares.astype(np.float32))


def files_of(folders: list[Path]) -> list[Path]:
    """The tables of folders that are whole, in the order of folders and numbers."""
    return [file for folder in folders for file in sorted(folder.glob("[0-9]*.parquet"))]


def load(files: list[Path]) -> Heard:
    """All utterances of some tables (`files_of`), memory-mapped, in their order."""
    tables: list[Any] = []
    arrays: list[Any] = []
    where: list[Any] = []
    for file in files:
        table = pd.read_parquet(file)
        frames = table.frames.to_numpy()
        counts = positions(frames)
        ends, read = frames.cumsum(), counts.cumsum()
        number = np.full(len(ends), len(arrays))
        where.append(np.stack([number, ends - frames, ends, read - counts, read], 1))
        arrays.append(tuple(np.load(file.with_suffix(k), mmap_mode="r") for k in _SUFFIXES))
        tables.append(table)
    if not tables:
        return Heard(pd.DataFrame(columns=["text", "source", "frames"]), [], np.zeros((0, 5), int))
    return Heard(pd.concat(tables, ignore_index=True), arrays, np.concatenate(where))

"""Speech for questions that are only written: espeak-ng's voices, under perturbations."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.audio.conditions import RATE
from modgap.audio.perturbations import Perturbation, perturb
from modgap.core.errors import ModgapError, SettingsError
from modgap.core.files import write_atomic
from modgap.evaluation.data.cells import text_of
from modgap.evaluation.data.manifest import manifest_rows
from modgap.evaluation.data.rows import KINDS
from modgap.models.base import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["SynthSettings", "Synthesis", "synthesize"]

_BLOCK = 64  # utterances between two looks at the progress


@dataclass(frozen=True)
class SynthSettings:
    """How a text-only data set is spoken.

    Attributes
    ----------
    voices : tuple of str
        Of espeak-ng, with a timbre after ``+``; a code such as ``de`` or ``fr-fr`` speaks another
        language.
    perturbations : tuple of Perturbation
        Every question is said by every voice under each of them.
    rate : int
        Words a minute, before a perturbation's factor.
    pitch : int
        0 to 99.
    seed : int
        With the question, the voice and the perturbation it decides noise and room.
    """

    voices: tuple[str, ...] = ("en-us+m4",)
    perturbations: tuple[Perturbation, ...] = (Perturbation(),)
    rate: int = 170
    pitch: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        for name, values in (("voice", self.voices), ("perturbation", self.perturbations)):
            if not values:
                raise SettingsError(f"Name at least one {name}.")
            if len(set(values)) < len(values):
                raise SettingsError(f"A {name} is named twice.")
        for p in self.perturbations:
            if not 80 <= round(self.rate * p.rate) <= 450:
                raise SettingsError(
                    f"{p.name} at {self.rate} words a minute is outside the 80 to 450 that can be "
                    "spoken."
                )


@dataclass(frozen=True)
class Synthesis:
    """What was made.

    Attributes
    ----------
    manifest : Path
    rows, made, kept : int
        Rows of the manifest; clips that were made now, and that lay there already.
    left_out : tuple of (str, str)
        Id and reason of each question that cannot be spoken.
    """

    manifest: Path
    rows: int
    made: int
    kept: int
    left_out: tuple[tuple[str, str], ...]


def synthesize(
    source: Path,
    out: Path,
    settings: SynthSettings | None = None,
    *,
    progress: Progress | None = None,
) -> Synthesis:
    """Speak every question of a table, and write a manifest with its clips.

    Parameters
    ----------
    source : Path
        CSV, JSONL or parquet with the column ``transcript``; all others are kept.
    out : Path
        Folder for ``manifest.jsonl`` and ``audio/*.flac`` (16 kHz, mono, 16 bit). Clips that lie
        there by the same settings are kept, so an interrupted run goes on; the manifest is written
        last. Every file is written aside and renamed.
    settings : SynthSettings, optional
    progress : callable (fraction, note), optional
        May raise `Cancelled`.

    Returns
    -------
    Synthesis

    Raises
    ------
    SettingsError
        The table cannot be used, or no question of it can be spoken.

    Notes
    -----
    Rows of one question share the group ``item``; ``voice``, ``perturbation`` and ``language`` tell
    them apart. The same settings give the same samples, in whatever order and however often it is
    interrupted.
    """
    s = settings or SynthSettings()
    if source.suffix.lower() not in KINDS:
        raise SettingsError(f"A table is a .csv, .tsv, .jsonl or .parquet file, not {source.name}.")
    table = list(manifest_rows(source))
    ids = _ids(source, table)
    (out / "audio").mkdir(parents=True, exist_ok=True)
    jobs = [(name, row, voice) for name, row in zip(ids, table, strict=True) for voice in s.voices]
    lines: list[str] = []
    left_out: list[tuple[str, str]] = []
    made = 0
    # espeak-ng runs in a process of its own, and what treats the sound lets other threads run.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for start in range(0, len(jobs), _BLOCK):
            block = jobs[start : start + _BLOCK]
            if progress is not None:
                progress(start / len(jobs), f"{start} of {len(jobs)} utterances")
            for (name, row, voice), results in zip(
                block, pool.map(lambda job: _speak(out, job, s), block), strict=True
            ):
                for perturbation, file, new, problem in results:
                    if problem:
                        left_out.append((f"{name}/{voice}/{perturbation.name}", problem))
                        continue
                    made += new
                    lines.append(_line(name, row, file, voice, perturbation))
    if not lines:
        raise SettingsError(f"No question of {source.name} can be spoken: {left_out[0][1]}")
    manifest = out / "manifest.jsonl"
    write_atomic(manifest, "".join(lines).encode())
    return Synthesis(manifest, len(lines), made, len(lines) - made, tuple(left_out))


def _speak(
    out: Path, job: tuple[str, Mapping[str, Any], str], s: SynthSettings
) -> list[tuple[Perturbation, str, bool, str]]:
    """All versions of one question by one voice: perturbation, file, whether new, what is wrong.

    The same utterance is under every perturbation of one rate.
    """
    name, row, voice = job
    words = str(row["transcript"])
    spoken: dict[int, npt.NDArray[np.float32]] = {}
    results = []
    for p in s.perturbations:
        file, rate, problem = _file(name, words, voice, p, s), round(s.rate * p.rate), ""
        new = not (out / file).is_file()
        if new:
            try:
                if rate not in spoken:
                    spoken[rate] = _utterance(words, voice, rate, s.pitch)
                write_atomic(out / file, _flac(perturb(spoken[rate], p, _seed(s, file))))
            except ModgapError as refusal:
                problem = str(refusal)
        results.append((p, file, new, problem))
    return results


def _utterance(words: str, voice: str, rate: int, pitch: int) -> npt.NDArray[np.float32]:
    """Samples at 16 kHz."""
    import soxr

    from modgap.speech.synthesis import wheel_synthesizer

    samples, own = wheel_synthesizer().speak(words, voice, rate, pitch)
    return soxr.resample(samples, own, RATE)


def _flac(samples: npt.NDArray[np.float32]) -> bytes:
    import soundfile

    from modgap.audio.clip import load_clip

    load_clip(samples, rate=RATE)  # refuses what could not be read again
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _ids(source: Path, table: Sequence[Mapping[str, Any]]) -> list[str]:
    ids = []
    for number, row in enumerate(table):
        if not str(row.get("transcript", "")).strip():
            raise SettingsError(f"Row {number + 1} of {source.name} has no transcript to speak.")
        where = f"Row {number + 1} of {source.name}"
        ids.append(text_of(where, "id", row.get("id")) or str(number))
    if len(set(ids)) < len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise SettingsError(f"Two rows of {source.name} have the id {twice!r}; give each its own.")
    return ids


def _file(name: str, words: str, voice: str, p: Perturbation, s: SynthSettings) -> str:
    """A name for people, made unique by a hash of all that decides the sound."""
    key = json.dumps([name, words, voice, p.name, s.rate, s.pitch, s.seed])
    shown = re.sub(r"[^\w.+-]+", "_", f"{name}-{voice}-{p.name}")[:80]
    return f"audio/{shown}-{hashlib.sha256(key.encode()).hexdigest()[:10]}.flac"


def _seed(s: SynthSettings, file: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{s.seed}|{file}".encode()).digest()[:8], "little")


def _line(name: str, row: Mapping[str, Any], file: str, voice: str, p: Perturbation) -> str:
    kept = {k: v for k, v in row.items() if k not in ("id", "audio") and v != ""}
    made = {
        **kept,
        "id": f"{name}/{voice}/{p.name}",
        "audio": file,
        "item": str(row.get("item") or name),
        "voice": voice,
        "perturbation": p.name,
        "language": str(row.get("language") or voice.partition("+")[0]),
    }
    return json.dumps(made, ensure_ascii=False, default=str) + "\n"

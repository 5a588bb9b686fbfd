"""Settings of the training: one dataclass for library, command line and the parts' processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from modgap.core.errors import SettingsError
from modgap.core.files import write_atomic

__all__ = ["TrainSettings"]

_FOLDERS = ("work", "encoder", "llm", "voice", "wordnet", "people")


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides what the training makes.

    Attributes
    ----------
    work : Path
        Folder for everything that is made on the way; a second run with the same folder goes on.
    encoder, llm : Path
        Checkpoint folders of Whisper and of SmolLM2.
    voice : Path or None
        Folder of the Piper voice; None: espeak-ng speaks alone.
    wordnet : Path or None
        Folder of WordNet's ``data.noun`` and so on; None: no words beyond what SmolLM2 writes.
    flite : str or None
        Program of the synthesizer Flite; None: its voices are left out.
    seed : int
    turn_shards, sentence_shards : int
        Files of 512 tries each that SmolLM2 writes; a little less than half of the tries are kept.
    rounds : int
        How often each text is said, by another voice each time.
    people : Path or None
        Recordings to measure on, never to train on: a manifest.csv.
    width, layers, inner, dropout
        Of the adapter.
    listen_steps, listen_batch, listen_rate
        Length of the first stage, utterances a step, peak rate.
    answered, transcribed, copied, typed : int
        Utterances that are answered and written down, texts that are written down as if an adapter
        without fault had heard them, and typed texts that are answered, a step.
    adapter_steps, lora_steps : int
        Lengths of the two strategies.
    rank : int
        Of the LLM's low-rank adapters.
    align_rate, lora_rate : float
        Peak rates of the speech adapter and of the low-rank adapters.
    ctc_weight : float
        Of the first stage's loss in the second.
    snapshots : int
        Along each strategy's run, denser at its start.
    measure_every : int
        Steps between two measurements on what is held out.
    compiled : int
        1: the LLM's layers are compiled where there is a C++ compiler, which takes a minute and
        saves two fifths of each step; 0: never.
    """

    work: Path
    encoder: Path
    llm: Path
    voice: Path | None = None
    wordnet: Path | None = None
    flite: str | None = None
    seed: int = 1
    turn_shards: int = 30
    sentence_shards: int = 10
    rounds: int = 1
    people: Path | None = None
    width: int = 512
    layers: int = 4
    inner: int = 1024
    dropout: float = 0.1
    listen_steps: int = 5000
    listen_batch: int = 32
    listen_rate: float = 8e-4
    answered: int = 4
    transcribed: int = 6
    copied: int = 4
    typed: int = 2
    adapter_steps: int = 1000
    lora_steps: int = 3000
    rank: int = 16
    align_rate: float = 5e-5
    lora_rate: float = 5e-4
    ctc_weight: float = 0.2
    snapshots: int = 8
    measure_every: int = 250
    compiled: int = 1

    def changed(self, pairs: Sequence[str]) -> TrainSettings:
        """These settings with some numbers changed.

        Parameters
        ----------
        pairs : sequence of str
            ``name=number``.

        Raises
        ------
        SettingsError
            No such setting, or no number.
        """
        numbers = {
            f.name: type(getattr(self, f.name))
            for f in fields(self)
            if isinstance(getattr(self, f.name), int | float)
        }
        found: dict[str, Any] = {}
        for pair in pairs:
            name, _, value = pair.partition("=")
            if name not in numbers:
                raise SettingsError(f"There is no setting {name!r}: use {', '.join(numbers)}.")
            try:
                found[name] = numbers[name](value)
            except ValueError as problem:
                raise SettingsError(f"{pair} names no number: write {name}=NUMBER.") from problem
        return replace(self, **found)

    def save(self) -> Path:
        """Write ``work/settings.json``, which the parts' processes read."""
        data = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
        path = self.work / "settings.json"
        write_atomic(path, json.dumps(data, indent=1).encode())
        return path

    @classmethod
    def load(cls, work: Path) -> TrainSettings:
        """Read the settings of a work folder."""
        data: dict[str, Any] = json.loads((work / "settings.json").read_text())
        known = {f.name for f in fields(cls)}
        for name in _FOLDERS:
            data[name] = None if data.get(name) is None else Path(data[name])
        return cls(**{k: v for k, v in data.items() if k in known} | {"work": work})

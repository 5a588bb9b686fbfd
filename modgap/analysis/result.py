"""What an analysis holds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from modgap.analysis import export
from modgap.core.errors import StoreError
from modgap.core.settings import AnalysisSettings
from modgap.core.views import Viewed
from modgap.measures.alignment import Alignment
from modgap.measures.tables import tidy
from modgap.models.capture import PairedStates
from modgap.scoring.answers import Answer
from modgap.store.record import Record

__all__ = ["Analysis", "states_from_record", "states_record"]

_ARRAYS = ("speech_times", "spans", "layer_ids", "pooled_speech", "pooled_text", "audio")
_PLAIN = ("key", "model", "clip", "transcript", "audio_rate", "created", "versions")
_PATHS = ("dtw_cos", "dtw_euc")
_REASONS = ("monotonicity_reason_cos", "monotonicity_reason_euc")


@dataclass(frozen=True, eq=False, repr=False)
class Analysis(Viewed):
    """What one clip and its transcript give in one model.

    K layers are measured, the clip has T_s speech positions and the transcript T_t tokens. Arrays
    are read-only. An analysis from the cache is equal to the computed one, bit by bit: matrices
    are cached in float32, since float16 cannot hold the distances of large models.

    Attributes
    ----------
    key : str
        Hash of everything the numbers depend on (`analysis_key`); names the entry in the cache.
    model : dict
        ``name``, ``identity``, ``dtype``, ``device``, ``revision``, ``model_type``, ``n_layers``,
        ``hidden_size``. The name of a local folder is its last part.
    clip : dict
        ``sha256`` (of the decoded sound), ``seconds``, ``name``, ``rate`` (Hz, of the source).
    transcript : str
    settings : AnalysisSettings
    speech_times : float64 ndarray (T_s, 2)
        Start and end of each speech position, in seconds.
    pieces : tuple of T_t str
        What each text token covers of the transcript.
    spans : int ndarray (T_t, 2)
        The same as offsets: ``transcript[start:end] == piece``.
    layer_ids : int ndarray (K,)
        0 is what enters the first decoder layer, k is the output of layer k.
    layers : DataFrame, K rows
        See `measures.tables.layer_table`.
    tokens : DataFrame, K * T_t rows
        See `measures.tables.token_table`.
    alignment : Alignment
        Matrices, paths and scores.
    pooled_speech, pooled_text : float32 ndarray (K, d)
        Means over positions, s[l] and t[l] of the method.
    audio : int16 ndarray (n,)
        The clip at `audio_rate` Hz, mono, as the model heard it.
    audio_rate : int
    answers : dict with "text" and "speech" of Answer, or None
        None if they were not asked for.
    states : PairedStates or None
        On the CPU; only with ``settings.states``.
    from_cache : bool
        Whether the numbers were read, not computed, this time.
    created : str
        When they were computed (UTC, ISO 8601).
    versions : dict of str
        Of modgap, of the method's code, and of the libraries that made the numbers.
    notes : tuple of str
        What a reader of the numbers should know of this run; usually empty.
    """

    key: str
    model: dict[str, Any]
    clip: dict[str, Any]
    transcript: str
    settings: AnalysisSettings
    speech_times: np.ndarray
    pieces: tuple[str, ...]
    spans: np.ndarray
    layer_ids: np.ndarray
    layers: pd.DataFrame
    tokens: pd.DataFrame
    alignment: Alignment
    pooled_speech: np.ndarray
    pooled_text: np.ndarray
    audio: np.ndarray
    audio_rate: int
    answers: dict[str, Answer] | None
    states: PairedStates | None
    from_cache: bool
    created: str
    versions: dict[str, str]
    notes: tuple[str, ...] = ()

    def row(self, layer: int) -> int:
        """Where a layer stands among those that were measured."""
        return self.layer_ids.tolist().index(layer)

    def position(self, layer: int, j: int, path: str = "argmax", measure: str = "cosine") -> int:
        """The speech position that a layer's path gives text token `j`.

        Parameters
        ----------
        layer, j : int
        path : "argmax" or "dtw"
        measure : "cosine" or "euclidean"
        """
        a, cosine = self.alignment, measure == "cosine"
        if path == "dtw":
            found = a.dtw_pair_cos if cosine else a.dtw_pair_euc
        else:
            found = a.argmax_cos if cosine else a.argmin_euc
        return int(found[self.row(layer)][j])

    def segment(self, layer: int, j: int) -> list[int]:
        """All speech positions that a layer's monotone path gives text token `j`."""
        path = self.alignment.dtw_cos[self.row(layer)]
        return path[path[:, 1] == j, 0].tolist()

    def to_dict(self) -> dict[str, Any]:
        """The content of ``analysis.json``: no matrices, undefined numbers as None."""
        return export.to_dict(self)

    def save(self, folder: str | Path, *, states: bool = False) -> tuple[Path, ...]:
        """Write the analysis into a folder and return the files' paths.

        ``analysis.json`` (`to_dict`, and the SHA-256 of the others), ``layers.parquet``,
        ``tokens.parquet``, ``matrices.safetensors`` (``similarity`` and ``distance``, float32
        (K, T_s, T_t)) and, with `states`, ``states.safetensors`` (``speech`` (K, T_s, d) and
        ``text`` (K, T_t, d), in the model's dtype). Each file appears whole or not at all; an
        older analysis in the folder is replaced, other files stay.

        Raises
        ------
        StoreError
            The folder cannot be written, or holds files of these names that modgap did not write;
            or `states` are asked for and were not kept.
        """
        return export.save(self, folder, states=states)

    def record(self) -> Record:
        """The analysis as an entry of the cache, without hidden states."""
        arrays = {name: np.asarray(getattr(self, name)) for name in _ARRAYS}
        meta: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        meta |= {"settings": self.settings.to_dict(), "pieces": list(self.pieces)}
        meta |= {"notes": list(self.notes), "answers": None}
        reasons = {}
        for field in dataclasses.fields(Alignment):
            value, name = getattr(self.alignment, field.name), f"alignment_{field.name}"
            if isinstance(value, np.ndarray):
                arrays[name] = value
            elif field.name in _PATHS:  # K of different lengths
                arrays[name] = np.concatenate(value)
                arrays[name + "_lengths"] = np.array([len(path) for path in value])
            else:
                reasons[field.name] = list(value)
        meta["reasons"] = reasons
        if self.answers is not None:
            meta["answers"] = {}
            for kind, answer in self.answers.items():
                values = dataclasses.asdict(answer)
                arrays[f"logprobs_{kind}"] = np.array(values.pop("logprobs"), dtype=np.float64)
                meta["answers"][kind] = values
        return Record(arrays, {"layers": self.layers, "tokens": self.tokens}, meta)

    @classmethod
    def from_record(cls, record: Record) -> Analysis:
        """The analysis that `record` was made of.

        Raises
        ------
        StoreError
            The record is not one of an analysis.
        """
        try:
            arrays, meta = record.arrays, record.meta
            for array in arrays.values():
                array.setflags(write=False)
            parts: dict[str, Any] = {}
            for field in dataclasses.fields(Alignment):
                name = f"alignment_{field.name}"
                if field.name in _PATHS:
                    ends = np.cumsum(arrays[name + "_lengths"])[:-1]
                    parts[field.name] = tuple(np.split(arrays[name], ends))
                elif field.name in _REASONS:
                    parts[field.name] = tuple(meta["reasons"][field.name])
                else:
                    parts[field.name] = arrays[name]
            K, T_s, T_t = parts["similarity"].shape
            shape = len(arrays["layer_ids"]), len(arrays["speech_times"]), len(meta["pieces"])
            if shape != (K, T_s, T_t) or len(record.tables["tokens"]) != K * T_t:
                raise ValueError("its parts do not belong together")
            answers = None
            if meta["answers"] is not None:
                answers = {
                    kind: Answer.from_values(values, arrays[f"logprobs_{kind}"])
                    for kind, values in meta["answers"].items()
                }
            return cls(
                **{name: meta[name] for name in _PLAIN} | {name: arrays[name] for name in _ARRAYS},
                settings=AnalysisSettings.from_dict(meta["settings"]),
                pieces=tuple(meta["pieces"]),
                notes=tuple(meta["notes"]),
                layers=tidy(record.tables["layers"]),
                tokens=tidy(record.tables["tokens"]),
                alignment=Alignment(**parts),
                answers=answers,
                states=None,
                from_cache=True,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise StoreError(f"This record is not an analysis ({problem}).") from problem


def states_record(states: PairedStates) -> Record:
    """Hidden states as a record; bfloat16, which numpy lacks, goes as its bits."""
    arrays = {}
    for kind in ("speech", "text"):
        tensor = getattr(states, kind).contiguous()
        bits = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
        arrays[kind] = bits.numpy()
    meta = {"layers": list(states.layers), "final_norm": states.final_norm}
    return Record(arrays, {}, meta | {"dtype": str(states.speech.dtype)})


def states_from_record(record: Record) -> PairedStates:
    """Build the states that `states_record` was given.

    Raises
    ------
    StoreError
        The record is not one of hidden states.
    """
    try:
        both = {kind: torch.from_numpy(record.arrays[kind]) for kind in ("speech", "text")}
        if record.meta["dtype"] == "torch.bfloat16":
            both = {kind: tensor.view(torch.bfloat16) for kind, tensor in both.items()}
        return PairedStates(
            **both, layers=tuple(record.meta["layers"]), final_norm=record.meta["final_norm"]
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as problem:
        raise StoreError(f"This record holds no hidden states ({problem}).") from problem

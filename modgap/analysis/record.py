"""An analysis and hidden states as records of the cache."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from modgap.core.errors import StoreError
from modgap.core.settings import AnalysisSettings
from modgap.measures.alignment import Alignment
from modgap.measures.tables import tidy
from modgap.models.capture import PairedStates
from modgap.scoring.answers import Answer
from modgap.store.record import Record

if TYPE_CHECKING:
    from modgap.analysis.result import Analysis

_ARRAYS = ("speech_times", "spans", "layer_ids", "pooled_speech", "pooled_text", "audio")
_PLAIN = ("key", "model", "clip", "transcript", "audio_rate", "created", "versions")
_PATHS = ("dtw_cos", "dtw_euc")
_REASONS = ("monotonicity_reason_cos", "monotonicity_reason_euc")


def record(analysis: Analysis) -> Record:
    """The record that `from_record` turns back into an equal analysis, but without states."""
    arrays = {name: np.asarray(getattr(analysis, name)) for name in _ARRAYS}
    meta: dict[str, Any] = {name: getattr(analysis, name) for name in _PLAIN}
    meta |= {"settings": analysis.settings.to_dict(), "pieces": list(analysis.pieces)}
    meta |= {"notes": list(analysis.notes), "answers": None}
    reasons = {}
    for field in dataclasses.fields(Alignment):
        value, name = getattr(analysis.alignment, field.name), f"alignment_{field.name}"
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif field.name in _PATHS:  # K of different lengths
            arrays[name] = np.concatenate(value)
            arrays[name + "_lengths"] = np.array([len(path) for path in value])
        else:
            reasons[field.name] = list(value)
    meta["reasons"] = reasons
    if analysis.answers is not None:
        meta["answers"] = {}
        for kind, answer in analysis.answers.items():
            values = dataclasses.asdict(answer)
            arrays[f"logprobs_{kind}"] = np.array(values.pop("logprobs"), dtype=np.float64)
            meta["answers"][kind] = values
    return Record(arrays, {"layers": analysis.layers, "tokens": analysis.tokens}, meta)


def from_record(record: Record) -> Analysis:
    """Build the analysis that `record` was made of.

    Raises
    ------
    StoreError
        The record is not one of an analysis.
    """
    from modgap.analysis.result import Analysis

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
        return Analysis(
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

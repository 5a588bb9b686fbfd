"""An analysis as files for people and other programs, and as a record for the cache."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .alignment import Alignment
from .analysis_tables import tidy
from .answers import Answer
from .capture import PairedStates
from .errors import StoreError
from .record import Record, write_file
from .settings import AnalysisSettings

if TYPE_CHECKING:
    from .analysis_result import Analysis

FORMAT = "modgap-analysis"
FILES = (
    "layers.parquet",
    "tokens.parquet",
    "matrices.safetensors",
    "states.safetensors",
    "analysis.json",  # last: it vouches for the others
)
_ARRAYS = ("speech_times", "spans", "layer_ids", "pooled_speech", "pooled_text", "audio")
_PLAIN = ("key", "model", "clip", "transcript", "audio_rate", "created", "versions")
_PATHS = ("dtw_cos", "dtw_euc")
_REASONS = ("monotonicity_reason_cos", "monotonicity_reason_euc")
_COLUMNS = (
    "layer",
    "cosine",
    "euclidean",
    "speech_norm",
    "text_norm",
    "norm_ratio",
    "aps_cos",
    "aps_euc",
    "aps_dtw_cos",
    "aps_dtw_euc",
    "monotonicity",
    "monotonicity_reason",
    "monotonicity_euc",
    "monotonicity_euc_reason",
)


def to_dict(analysis: Analysis) -> dict[str, Any]:
    """Everything but the matrices, in JSON's terms; undefined numbers are None."""
    a = analysis.alignment
    layers = []
    for k, row in enumerate(analysis.layers[list(_COLUMNS)].to_dict("records")):
        layers.append(
            {str(name): _plain(value) for name, value in row.items()}
            | {
                "argmax_path": a.argmax_cos[k].tolist(),
                "dtw_path": a.dtw_cos[k].tolist(),
                "argmin_path_euc": a.argmin_euc[k].tolist(),
                "dtw_path_euc": a.dtw_euc[k].tolist(),
            }
        )
    answers = analysis.answers
    return {
        "format": FORMAT,
        "key": analysis.key,
        "model": analysis.model,
        "clip": analysis.clip,
        "transcript": analysis.transcript,
        "settings": analysis.settings.to_dict(),
        "speech_tokens": [{"start": s, "end": e} for s, e in analysis.speech_times.tolist()],
        "text_tokens": list(analysis.pieces),
        "text_spans": analysis.spans.tolist(),
        "layers": layers,
        "answers": answers and {kind: answer.text for kind, answer in answers.items()},
        "answer_tokens": answers
        and {
            kind: [
                {"token": token, "id": number, "logprob": _plain(logprob)}
                for token, number, logprob in zip(
                    answer.tokens, answer.token_ids, answer.logprobs, strict=True
                )
            ]
            for kind, answer in answers.items()
        },
        "notes": list(analysis.notes),
        "created": analysis.created,
        "versions": analysis.versions,
    }


def to_json(summary: dict[str, Any], *, ascii_only: bool = True) -> str:
    """What `to_dict` gives as text: one line per field and per layer, token or sound position."""

    def text(value: Any) -> str:
        return json.dumps(value, allow_nan=False, ensure_ascii=ascii_only)

    lines = []
    for name, value in summary.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            items = ",\n".join(f"  {text(item)}" for item in value)
            lines.append(f" {text(name)}: [\n{items}\n ]")
        else:
            lines.append(f" {text(name)}: {text(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def save(analysis: Analysis, folder: str | Path, *, states: bool = False) -> tuple[Path, ...]:
    """Write the files of `FILES`; see `Analysis.save`."""
    from safetensors.numpy import save as pack_numpy

    folder = Path(folder)
    held = analysis.states
    if states and held is None:
        raise StoreError("The hidden states were not kept: analyse again with states=True.")
    matrices = {
        "similarity": analysis.alignment.similarity,
        "distance": analysis.alignment.distance,
    }
    about = {"key": analysis.key, "layers": json.dumps(analysis.layer_ids.tolist())}
    blobs = {
        "layers.parquet": analysis.layers.to_parquet(None, index=False),
        "tokens.parquet": analysis.tokens.to_parquet(None, index=False),
        "matrices.safetensors": pack_numpy(
            {name: np.asarray(x, order="C") for name, x in matrices.items()}, metadata=about
        ),
    }
    if states and held is not None:
        from safetensors.torch import save as pack_torch

        parts = {"speech": held.speech.contiguous(), "text": held.text.contiguous()}
        final_norm = {"final_norm": json.dumps(held.final_norm)}
        blobs["states.safetensors"] = pack_torch(parts, metadata=about | final_norm)
    summary = to_dict(analysis)
    summary["files"] = {n: hashlib.sha256(b).hexdigest() for n, b in blobs.items()}
    blobs["analysis.json"] = to_json(summary, ascii_only=False).encode()
    try:
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _write_all(folder, blobs)
    except OSError as problem:
        raise StoreError(
            f"The results cannot be written to {folder} ({problem.strerror or problem}): choose "
            "another folder, or free some disk space."
        ) from problem
    return tuple(folder / name for name in sorted(blobs))


def check_folder(folder: Path) -> None:
    """Refuse a folder where `save` would write over files that no analysis has made.

    Raises
    ------
    StoreError
        It holds such a file, or is a file itself.
    """
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file: choose a folder to write the results to.")
    taken = [name for name in FILES if (folder / name).exists()]
    if not taken:
        return
    try:
        with (folder / "analysis.json").open("rb") as file:
            mine = f'"format": "{FORMAT}"'.encode() in file.read(200)
    except OSError:
        mine = False
    if not mine:
        raise StoreError(
            f"{folder} has a file {taken[0]} that modgap did not write: choose another folder."
        )


def _write_all(folder: Path, blobs: dict[str, bytes]) -> None:
    token = uuid.uuid4().hex
    temporary = {name: folder / f".{name}.{token}.tmp" for name in blobs}
    try:
        for name, blob in blobs.items():
            write_file(temporary[name], blob)
        for name in FILES:
            if name in blobs:
                temporary[name].replace(folder / name)
            else:  # states of what was here before do not belong to this
                (folder / name).unlink(missing_ok=True)
    finally:
        for path in temporary.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


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
    from .analysis_result import Analysis

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
                kind: _answer(values, arrays[f"logprobs_{kind}"])
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


def _answer(values: dict[str, Any], logprobs: np.ndarray) -> Answer:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Answer(**values, logprobs=tuple(logprobs.tolist()))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value

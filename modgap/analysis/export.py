"""An analysis as files, for people and other programs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.core.errors import StoreError
from modgap.core.files import write_new

if TYPE_CHECKING:
    import pandas as pd

    from modgap.analysis.result import Analysis

FORMAT = "modgap-analysis"
FILES = (
    "layers.parquet",
    "tokens.parquet",
    "matrices.safetensors",
    "states.safetensors",
    "analysis.json",  # last: it vouches for the others
)
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
            {str(name): plain_value(value) for name, value in row.items()}
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
                {"token": token, "id": number, "logprob": plain_value(logprob)}
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
            write_new(temporary[name], blob)
        for name in FILES:
            if name in blobs:
                temporary[name].replace(folder / name)
            else:  # states of what was here before do not belong to this
                (folder / name).unlink(missing_ok=True)
    finally:
        for path in temporary.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def plain_value(value: Any) -> Any:
    """A number in JSON's terms: Python's own types, None where it is not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table in JSON's terms; undefined numbers are None."""
    return [{str(k): plain_value(v) for k, v in row.items()} for row in table.to_dict("records")]

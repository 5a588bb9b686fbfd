"""Comparisons, sweeps and patchings as records of the cache, and the keys they are kept under."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.analysis.comparison import Comparison
from modgap.analysis.sweeps import Patching, Sweep
from modgap.core.errors import StoreError
from modgap.core.settings import AnalysisSettings, analysis_key, digest
from modgap.interventions.intervention import Intervention
from modgap.scoring.answers import Answer
from modgap.store.record import Record

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.models.base import SpeechLM

__all__ = ["edit_key", "from_record", "to_record"]

#: Goes up when the same request may give other numbers than before.
VERSION = 2
_ANSWERS = ("before", "after", "text")
_NUMBERS = {Comparison: ("kl_before", "kl_after"), Sweep: ("plain", "text"),
            Patching: ("plain", "text")}  # fmt: skip


def edit_key(
    kind: str,
    model: SpeechLM,
    clip: Clip,
    transcript: str,
    settings: AnalysisSettings,
    wanted: Any,
) -> str:
    """Key of what is asked of a clip: everything that the result depends on.

    Parameters
    ----------
    kind : str
        "compare", "sweep", "patching".
    settings : AnalysisSettings
        Its prompt and decoding settings. An edit always has answers, all layers and the final norm,
        whatever these say for an analysis.
    wanted : JSON value
        The stack of interventions, or the options.
    """
    dtype = str(model.dtype).removeprefix("torch.")
    # Without answers, `analysis_key` leaves out the decoding settings, by which edits are answered.
    asked = replace(settings, answers=True, layers=None, final_norm=True)
    clip_key = analysis_key(
        model.identity, dtype, clip.sha256, transcript, asked, device=model.device.type
    )
    return digest("edit", VERSION, kind, clip_key, wanted)


def to_record(result: Comparison | Sweep | Patching) -> Record:
    """The record that `from_record` turns back into an equal result."""
    numbers = {n: np.float64(getattr(result, n)) for n in _NUMBERS[type(result)]}
    arrays: dict[str, Any] = {n: np.array([v]) for n, v in numbers.items()}
    kind = type(result).__name__
    if isinstance(result, Comparison):
        answers = {}
        for name in _ANSWERS:
            values = dataclasses.asdict(getattr(result, name))
            arrays[f"logprobs_{name}"] = np.array(values.pop("logprobs"), dtype=np.float64)
            answers[name] = values
        meta: dict[str, Any] = {
            "interventions": [it.to_dict() for it in result.interventions],
            "transcript": result.transcript,
            "answers": answers,
        }
        tables = {"pairs": result.pairs, "layers": result.layers}
    elif isinstance(result, Sweep):
        meta, tables = {"target": result.target}, {"table": result.table}
    else:
        meta = {
            "target": result.target,
            "layers": list(result.layers),
            "pieces": list(result.pieces),
        }
        tables = {}
        arrays |= {"spans": result.spans, "change": result.change}
    return Record(arrays, tables, {"kind": kind, **meta})


def from_record(record: Record) -> Any:
    """The result that a record was made of.

    Raises
    ------
    StoreError
        The record is of something else.
    """
    try:
        return _MAKERS[record.meta["kind"]](record)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise StoreError(f"This record is no result of an intervention ({problem}).") from problem


def _comparison(record: Record) -> Comparison:
    arrays, meta = record.arrays, record.meta
    parts: dict[str, Any] = {
        name: Answer.from_values(meta["answers"][name], arrays[f"logprobs_{name}"])
        for name in _ANSWERS
    }
    return Comparison(
        interventions=tuple(map(Intervention.from_dict, meta["interventions"])),
        transcript=meta["transcript"],
        pairs=record.tables["pairs"],
        layers=record.tables["layers"],
        **parts,
        **_scalars(record, Comparison),
    )


def _sweep(record: Record) -> Sweep:
    return Sweep(record.meta["target"], table=record.tables["table"], **_scalars(record, Sweep))


def _patching(record: Record) -> Patching:
    arrays, meta = record.arrays, record.meta
    return Patching(
        meta["target"],
        layers=tuple(meta["layers"]),
        pieces=tuple(meta["pieces"]),
        spans=arrays["spans"],
        change=arrays["change"],
        **_scalars(record, Patching),
    )


def _scalars(record: Record, of: type) -> dict[str, Any]:
    return {name: float(record.arrays[name][0]) for name in _NUMBERS[of]}


_MAKERS: dict[str, Callable[[Record], Any]] = {
    "Comparison": _comparison,
    "Sweep": _sweep,
    "Patching": _patching,
}

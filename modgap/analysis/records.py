"""Comparisons, sweeps, patchings, lenses and mismatched pairs as records of the cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from modgap.analysis.answer_lens import AnswerLens
from modgap.analysis.comparison import Comparison
from modgap.analysis.lens import Lens, Reading
from modgap.analysis.mismatched import SCORES, Mismatched
from modgap.analysis.patching import Patching
from modgap.analysis.sweeps import Sweep
from modgap.core.errors import StoreError
from modgap.interventions.intervention import Intervention
from modgap.scoring.answers import Answer
from modgap.store.record import Record

__all__ = ["VERSION", "from_record", "to_record"]

#: Goes up when the same request may give other numbers than before.
VERSION = 3
_ANSWERS = ("before", "after", "text")
_READINGS = ("speech", "text")
_OF_CELLS = ("times", "change", "control")  # of a patching
_OF_LAYERS = ("probability", "rank", "logprob")  # of an answer's lens
_NUMBERS = {Comparison: ("kl_before", "kl_after"), Sweep: ("plain", "text"),
            Patching: ("plain", "text")}  # fmt: skip


def to_record(result: Comparison | Sweep | Patching | Lens | AnswerLens | Mismatched) -> Record:
    """The record that `from_record` turns back into an equal result."""
    if isinstance(result, Lens):
        return _lens_record(result)
    if isinstance(result, AnswerLens):
        read = {name: getattr(result, name) for name in _OF_LAYERS}
        about = {"kind": "AnswerLens", "target": result.target, "token": result.token}
        return Record(read, {}, about)
    if isinstance(result, Mismatched):
        scores = {"layer_ids": result.layer_ids, **result.scores}
        return Record(scores, {}, {"kind": "Mismatched", "texts": list(result.texts)})
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
            "where": result.where,
            "source": result.source,
            "positions": [[list(rows) for rows in line] for line in result.positions],
        }
        tables = {}
        arrays |= {name: getattr(result, name) for name in _OF_CELLS}
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
    cells: dict[str, Any] = {name: arrays[name] for name in _OF_CELLS}
    return Patching(
        meta["target"],
        layers=tuple(meta["layers"]),
        pieces=tuple(meta["pieces"]),
        where=meta["where"],
        source=meta["source"],
        positions=tuple(tuple(tuple(rows) for rows in line) for line in meta["positions"]),
        **cells,
        **_scalars(record, Patching),
    )


def _answer_lens(record: Record) -> AnswerLens:
    arrays, meta = record.arrays, record.meta
    return AnswerLens(meta["target"], meta["token"], *(arrays[name] for name in _OF_LAYERS))


def _mismatched(record: Record) -> Mismatched:
    scores = {name: record.arrays[name] for name in SCORES}
    return Mismatched(tuple(record.meta["texts"]), record.arrays["layer_ids"], scores)


def _lens_record(lens: Lens) -> Record:
    arrays = {"times": lens.times, "first": lens.first_layer, "first_text": lens.first_layer_text}
    names: dict[int, str] = {}
    for kind in _READINGS:
        reading: Reading = getattr(lens, kind)
        arrays |= {f"ids_{kind}": reading.ids, f"probabilities_{kind}": reading.probabilities}
        names |= dict(zip(reading.ids.ravel().tolist(), reading.tokens.ravel(), strict=True))
    meta = {
        "pieces": list(lens.pieces),
        "segments": [list(rows) for rows in lens.segments],
        "path_layer": lens.path_layer,
        "tokens": [[id, name] for id, name in sorted(names.items())],  # each said once
    }
    return Record(arrays, {}, {"kind": "Lens", **meta})


def _lens(record: Record) -> Lens:
    arrays, meta = record.arrays, record.meta
    names = dict(map(tuple, meta["tokens"]))
    read = np.vectorize(names.__getitem__, otypes=[object])
    speech, text = (
        Reading(read(arrays[f"ids_{k}"]), arrays[f"ids_{k}"], arrays[f"probabilities_{k}"])
        for k in _READINGS
    )
    return Lens(
        speech=speech,
        text=text,
        pieces=tuple(meta["pieces"]),
        times=arrays["times"],
        segments=tuple(map(tuple, meta["segments"])),
        first_layer=arrays["first"],
        first_layer_text=arrays["first_text"],
        path_layer=meta["path_layer"],
    )


def _scalars(record: Record, of: type) -> dict[str, Any]:
    return {name: float(record.arrays[name][0]) for name in _NUMBERS[of]}


_MAKERS: dict[str, Callable[[Record], Any]] = {
    "Comparison": _comparison,
    "Sweep": _sweep,
    "Patching": _patching,
    "Lens": _lens,
    "AnswerLens": _answer_lens,
    "Mismatched": _mismatched,
}

"""A map's card, read for those who show it: what is not there, or is no such thing, is None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modgap.interventions.maps.affine import FittedMap

__all__ = ["Card", "Held", "card_of", "read_card"]


@dataclass(frozen=True)
class Held:
    """How a map does on pairs that it was not fitted on.

    Attributes
    ----------
    pairs : int or None
    explained, explained_plain : float or None
        Explained variance of the text states by the mapped states, and by the states as they are.
    cosine, cosine_plain : float or None
        Mean cosine similarity to the text state.
    opened : float or None
        Share of the states that a gate lets change.
    """

    pairs: int | None = None
    explained: float | None = None
    explained_plain: float | None = None
    cosine: float | None = None
    cosine_plain: float | None = None
    opened: float | None = None


@dataclass(frozen=True)
class Card:
    """What a map was fitted on: names of model and data, numbers of clips and pairs, and so on."""

    model: str
    data: str
    split: str
    clips: int | None
    pairs: int | None
    rank: int | None
    penalty: float | None
    held: Held
    without_gate: Held | None


def read_card(fitted: FittedMap) -> Card:
    """The card of a map, which may come from anyone."""
    card = fitted.card
    model, data, clips = (_part(card, name) for name in ("model", "data", "clips"))
    return Card(
        model=_text(model, "name"),
        data=_text(data, "name"),
        split=_text(data, "split"),
        clips=_whole(clips, "fit"),
        pairs=_whole(card, "pairs"),
        rank=_whole(card, "rank"),
        penalty=_number(card, "penalty"),
        held=_held(_part(card, "held_out")),
        without_gate=_held(_part(card, "without_gate")) if "without_gate" in card else None,
    )


def card_of(fitted: FittedMap) -> dict[str, Any]:
    """All that a map says of itself, in JSON's terms."""
    return {
        "kind": fitted.kind, "layer": fitted.layer, "width": fitted.width,
        "identity": fitted.identity, "gate": fitted.gate is not None, **fitted.card,
    }  # fmt: skip


def _held(values: Mapping[str, Any]) -> Held:
    names = ("explained", "explained_plain", "cosine", "cosine_plain", "opened")
    return Held(_whole(values, "pairs"), **{name: _number(values, name) for name in names})


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _text(values: Mapping[str, Any], name: str) -> str:
    found = values.get(name)
    return found if isinstance(found, str) else "?"


def _number(values: Mapping[str, Any], name: str) -> float | None:
    found = values.get(name)
    usable = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if usable else None  # type: ignore[arg-type]


def _whole(values: Mapping[str, Any], name: str) -> int | None:
    found = _number(values, name)
    return None if found is None else int(found)

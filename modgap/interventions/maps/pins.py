"""Interventions said together with the identity of their maps: a name may come to mean another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modgap.interventions.maps.names import PINNED, parted

if TYPE_CHECKING:
    from modgap.interventions.intervention import Intervention, Stack

__all__ = ["identity_of", "keyed", "pin", "pinned"]


def pin(name: str) -> str:
    """The name with the identity of the map behind it, as in ``ridge@0123456789abcdef``.

    Raises
    ------
    SettingsError
        It has none yet, and there is no such map.
    """
    return name if parted(name)[1] else f"{name}@{_read_identity(name)}"


def pinned(stack: Iterable[Intervention]) -> Stack:
    """The interventions with every map said together with its identity.

    Raises
    ------
    SettingsError
        There is no such map.
    """
    return tuple(replace(it, map=pin(it.map)) if it.rule == "map" else it for it in stack)


def keyed(it: Intervention) -> dict[str, Any]:
    """What an intervention's numbers depend on, in JSON's terms: of a map not its name.

    Raises
    ------
    SettingsError
        Its map is not pinned, and not there.
    """
    values = it.to_dict()
    return values | {"map": identity_of(it.map)} if it.rule == "map" else values


def identity_of(name: str) -> str:
    """What a pinned name is pinned to; the map itself need not be there any more.

    Raises
    ------
    SettingsError
        The name is not pinned, and there is no such map.
    """
    _, wanted = parted(name)
    return wanted or _read_identity(name)


def _read_identity(name: str) -> str:
    from modgap.interventions.maps.files import load_map  # which needs torch

    return load_map(name).identity[:PINNED]

"""Which text model stands beside which model of a run, and whether it can be its base.

``run.json`` names one for all (``base``), or one for single models (``bases``), or both; older runs
know only the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["base_of", "foreign_bases", "with_bases"]


def base_of(run: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What run.json says of the base of a model; empty without one."""
    bases = run.get("bases")
    own = bases.get(model) if isinstance(bases, dict) else None
    found = own or run.get("base")
    return found if isinstance(found, dict) else {}


def with_bases(run: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The keys ``base`` and ``bases`` of a run.json, with what another says beside it."""
    found = {
        "base": more.get("base") or run.get("base"),
        "bases": {**run.get("bases", {}), **more.get("bases", {})},
    }
    return {name: value for name, value in found.items() if value}


def foreign_bases(run: Mapping[str, Any]) -> list[str]:
    """A warning for each model of a run whose base is not what it can have been tuned from.

    Width and depth of both are in run.json once they were loaded; a model and its base have the
    same. A relative gap over another family's base says nothing of the model.
    """
    found = []
    models = run.get("models")
    for name, about in models.items() if isinstance(models, dict) else ():
        base = base_of(run, name)
        for key, what in (("hidden_size", "hidden size"), ("n_layers", "number of layers")):
            one = about.get(key) if isinstance(about, dict) else None
            other = base.get(key)
            if one and other and one != other:
                found.append(
                    f"{name} was not tuned from {base.get('name')}: its {what} is {one}, that of "
                    f"this base {other}. Its relative gap is over another family's accuracy; name "
                    f"its own base in a new run: --base {name}=TEXT_MODEL."
                )
                break
    return found

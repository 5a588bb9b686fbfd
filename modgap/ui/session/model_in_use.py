"""The model that the sidebar selects, and how it is held."""

from __future__ import annotations

import math

from modgap.ui.server.models import ModelChoice
from modgap.ui.server.operator_models import ModelOption, model_options
from modgap.ui.server.service import service
from modgap.ui.session import inputs


def option() -> ModelOption | None:
    """The model that the sidebar selects; None when there is none at all."""
    options = model_options()
    return options.get(inputs.MODEL.get("")) or next(iter(options.values()), None)


def choice(chosen: ModelOption | None = None) -> ModelChoice | None:
    """A model, else the sidebar's, held as the sidebar says."""
    chosen = chosen or option()
    if chosen is None:
        return None
    held = {name: widget.get("") for name, widget in inputs.HELD.items()}
    return ModelChoice(chosen.name, **{name: value for name, value in held.items() if value})


def longest_clip() -> float:
    """Seconds that the model takes at most, infinite while that is not known."""
    chosen = choice()
    info = service().pool.info(chosen) if chosen else None
    return float((info or {}).get("max_seconds") or math.inf)

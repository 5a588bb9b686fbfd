"""The models that the sidebar offers; a browser chooses from these and can name no other."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from modgap.core.names import named_in, short_name, unused_name
from modgap.speech.base import EMBEDDED

log = logging.getLogger("modgap.ui")

VARIABLE = "MODGAP_MODELS"
RECOGNIZERS_VARIABLE = "MODGAP_RECOGNIZERS"
FAMILIES_VARIABLE = "MODGAP_FAMILIES"


@dataclass(frozen=True)
class ModelOption:
    """A model to choose: `id` is what pages and addresses say, `name` what `load_model` takes.

    A folder's id is its last part: where it lies on the server is no visitor's business.
    """

    id: str
    name: str
    description: str


def recognizer_options() -> dict[str, ModelOption]:
    """The embedded recogniser, then what the operator named in ``MODGAP_RECOGNIZERS``."""
    options = {EMBEDDED: ModelOption(EMBEDDED, EMBEDDED, "embedded, English")}
    _add_named(options, RECOGNIZERS_VARIABLE)
    return options


def families() -> tuple[str, ...]:
    """The families of the operator's own (``MODGAP_FAMILIES``, a JSON list), for `load_model`."""
    return named_in(FAMILIES_VARIABLE, '["my_model.py"]')


def model_options() -> dict[str, ModelOption]:
    """The embedded family, then what the operator named in ``MODGAP_MODELS`` (a JSON list)."""
    options = {option.id: option for option in _embedded()}
    _add_named(options, VARIABLE)
    return options


def _add_named(options: dict[str, ModelOption], variable: str) -> None:
    for name in named_in(variable, '["org/model"]'):
        id = unused_name(short_name(name), options)
        options[id] = ModelOption(id, name, "named by the operator")


@lru_cache(maxsize=1)
def _embedded() -> tuple[ModelOption, ...]:
    if importlib.util.find_spec("modgap.demo.family") is None:
        return ()
    family = importlib.import_module("modgap.demo.family")
    try:
        return tuple(ModelOption(n, n, _description(family.describe(n))) for n in family.names())
    except (OSError, ValueError, KeyError) as problem:
        log.warning("The embedded models cannot be listed: %s", problem)
        return ()


def _description(about: Mapping[str, Any]) -> str:
    """One line about a member of the family: how it was tuned, how far, how well it does."""
    trained = {"adapter": "Speech adapter, text model frozen", "lora": "Speech adapter and LoRA"}
    how = trained.get(about["strategy"], about["strategy"])
    text = f"{how}, step {about['step']:,} of {about['steps']:,}."
    typed, spoken = (_share(about["accuracies"], way) for way in ("typed", "spoken"))
    if typed is None or spoken is None:
        return text
    return f"{text} Right answers: {typed:.0%} typed, {spoken:.0%} spoken."


def _share(accuracies: Mapping[str, Any], way: str) -> float | None:
    """The accuracy on questions that were asked in one way, in [0, 1]."""
    found = accuracies.get(way)
    return float(found["accuracy"]) if found else None

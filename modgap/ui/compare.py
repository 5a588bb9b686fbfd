"""Several models on the clip in use and on the examples: what is asked for, and what is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from modgap.analysis.examples import Example, examples
from modgap.core.errors import ModgapError
from modgap.ui.server.operator_models import model_options
from modgap.ui.server.requests import AnalysisRequest, ExamplesRequest
from modgap.ui.server.service import service
from modgap.ui.server.shared_cache import SharedCache
from modgap.ui.session import asking, model_in_use, result_shown
from modgap.ui.session.state import visit

if TYPE_CHECKING:
    import pandas as pd

    from modgap.analysis.consistency import Consistency
    from modgap.analysis.model_comparison import ModelComparison

MOST = 4  # models beside each other
#: What the curves show for each measure of likeness.
CURVES = {
    "cosine": ("cosine", "aps_cos", "monotonicity"),
    "euclidean": ("euclidean", "aps_euc", "monotonicity_euc"),
}


@dataclass(frozen=True)
class Found:
    """The models of a comparison: those with a result, and why the others have none (yet)."""

    comparison: ModelComparison | None
    waiting: tuple[str, ...]
    failed: dict[str, str]


@dataclass(frozen=True)
class Patterns:
    """What the examples give: their curves, the statistics per measure, and what was left out."""

    curves: pd.DataFrame
    consistency: dict[str, tuple[Consistency, ...]]
    table: pd.DataFrame
    refused: tuple[str, ...]


def default_models() -> list[str]:
    """The sidebar's model, and the first other one that is not the same by another name."""
    options, chosen = model_options(), model_in_use.option()
    if chosen is None:
        return []
    embedded = chosen.name.startswith("demo")
    others = [
        o.id
        for o in options.values()
        if o.id != chosen.id and not (embedded and o.description == chosen.description)
    ]
    return [chosen.id, *others[:1]]


def find(models: Sequence[str]) -> Found:
    """What is here of the clip in use; what is missing is begun.

    Raises
    ------
    ModgapError
        When the clip cannot be used, or the queue is full.
    """
    here, waiting = {}, []
    failed: dict[str, str] = {}
    for model in models:
        wanted = result_shown.current_request(model)
        if wanted is None:
            continue
        analysis, reason = result_shown.at_hand(wanted), asking.failure(wanted)
        if analysis is not None:
            here[model] = analysis
        elif reason is not None:
            failed[model] = reason
        else:
            asking.ask(wanted)
            waiting.append(model)
    if not here:
        return Found(None, tuple(waiting), failed)
    from modgap.analysis.model_comparison import ModelComparison

    return Found(ModelComparison(tuple(here), tuple(here.values())), tuple(waiting), failed)


def try_again(models: Sequence[str]) -> None:
    """Forget why these models have no result."""
    wanted = [result_shown.current_request(model) for model in models]
    asking.forget_failure(*(request for request in wanted if request is not None))


# ---- the examples --------------------------------------------------------------------------------


def asked(models: Sequence[str]) -> list[tuple[str, Example, AnalysisRequest]]:
    """Every example in every model."""
    return [
        (model, example, result_shown.example_request(example, model))
        for example in examples()
        for model in models
    ]


def measure_examples(models: Sequence[str]) -> None:
    """Begin the analyses that the consistency over examples needs, as one job."""
    here = visit()
    try:
        wanted = ExamplesRequest(tuple(request for _, _, request in asked(models)))
        asking.forget_failure(wanted)
        asking.ask(wanted)
    except (ModgapError, OSError) as problem:
        here.notice = str(problem)
        return
    here.compare.examples = wanted.signature


def running() -> bool:
    """Whether the examples are being measured."""
    begun = visit().compare.examples
    return begun is not None and service().jobs.find(begun) is not None


def problem() -> str | None:
    """Why the examples could not be measured, if it was tried."""
    return asking.failed(visit().compare.examples or "")


def patterns(models: Sequence[str], measure: str) -> Patterns | None:
    """The consistency over the examples, once all of them are here; None before."""
    runs, refused = [], []
    for model, example, wanted in asked(models):
        key, reason = service().known(wanted), service().refused(wanted)
        if key is not None:
            runs.append((model, example.id, key))
        elif reason is not None:
            refused.append(f"{example.title}, {model}: {reason}")
        else:
            return None
    named = "|".join([measure, *(f"{m}/{e}/{k}" for m, e, k in runs)])
    return _patterns_made().once(named, lambda: _patterns(runs, measure, tuple(refused)))


def _patterns(
    runs: Sequence[tuple[str, str, str]], measure: str, refused: tuple[str, ...]
) -> Patterns | None:
    from modgap.analysis.consistency import consistency, consistency_table
    from modgap.analysis.model_comparison import curve_table

    results = [(m, e, service().result(key)) for m, e, key in runs]
    whole = [(m, e, a) for m, e, a in results if a is not None]
    if not whole or len(whole) < len(results):
        return None
    curves = curve_table(
        [a for _, _, a in whole], models=[m for m, _, _ in whole], clips=[e for _, e, _ in whole]
    )
    found = {key: consistency(curves, key) for key in CURVES[measure]}
    table = consistency_table([one for ones in found.values() for one in ones])
    return Patterns(curves, found, table, refused)


@st.cache_resource(show_spinner=False)
def _patterns_made() -> SharedCache[str, Patterns | None]:
    return SharedCache(32)

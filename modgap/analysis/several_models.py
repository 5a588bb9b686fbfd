"""Clips through one model after the other, each gone from memory before the next is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from modgap.analysis.functions import analyze
from modgap.analysis.model_comparison import ModelComparison, apart, check_different, curve_table
from modgap.core.errors import ModgapError, SettingsError
from modgap.core.memory import free_memory
from modgap.core.names import short_name
from modgap.core.progress import Steps
from modgap.core.settings import AnalysisSettings

if TYPE_CHECKING:
    from modgap.audio.clip import Clip
    from modgap.core.progress import Progress
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question
    from modgap.store.cache import Store

__all__ = ["clip_curves", "compare_models", "use_model"]

log = logging.getLogger(__name__)

HELD_BYTES = 256 << 20  # of decoded clips that stay in memory from one model to the next

Named = str | Path
Loader = Callable[[Any], "SpeechLM"]
T = TypeVar("T")


def compare_models(
    models: Sequence[Named | SpeechLM],
    clip: Clip,
    transcript: str,
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    load: Loader | None = None,
    progress: Progress | None = None,
) -> ModelComparison:
    """Analyse a clip in several models, one of them in memory at a time.

    Parameters
    ----------
    models : sequence of str, Path or SpeechLM
        What `load_model` takes, or models that are loaded already.
    clip : Clip
    transcript : str
    settings : AnalysisSettings, optional
        The same for all models.
    store : Store, optional
        The cache; see `analyze`.
    load : callable (name) -> SpeechLM, optional
        `load_model` by default.
    progress : callable (fraction, note), optional

    Raises
    ------
    SettingsError
        No model is named, or one is named twice; or settings do not fit a model.
    ModgapError
        A model cannot be loaded, or the clip not analysed in it.
    """
    steps, found = Steps(progress), []
    names = _checked(models)
    for n, model in enumerate(models):
        part = steps.part(n / len(models), (n + 1) / len(models), names[n])
        part(0.0, "loading")
        found.append(
            use_model(
                model,
                load,
                lambda lm, part=part: analyze(  # type: ignore[misc]
                    lm, clip, transcript, settings, store=store, progress=part
                ),
            )
        )
    return ModelComparison(apart([a.model["name"] for a in found]), tuple(found))


def clip_curves(
    models: Sequence[Named | SpeechLM],
    items: Sequence[Question],
    settings: AnalysisSettings | None = None,
    *,
    store: Store | None = None,
    load: Loader | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Curves of many clips in several models, one model in memory at a time.

    Parameters
    ----------
    models, store, load, progress
        As of `compare_models`.
    items : sequence of Question
        From `modgap.evaluation.data.datasets.read_questions`; an item's own instruction counts.
    settings : AnalysisSettings, optional
        Without answers by default.

    Returns
    -------
    DataFrame
        As of `curve_table`; ``clip`` is the question's id. A clip that cannot be analysed in a
        model is left out there, with a warning.

    Raises
    ------
    SettingsError
        No model or no item is named, one is named twice, or no clip could be analysed in a model.
    ModelError
        A model cannot be loaded.
    """
    chosen = settings or AnalysisSettings(answers=False)
    if not items:
        raise SettingsError("There are no clips to compare the models on.")
    held, steps, names, found = _Held(items), Steps(progress), _checked(models), []

    def curves(lm: SpeechLM, part: Progress) -> list[pd.DataFrame]:
        made = []
        for n, item in enumerate(items):
            part(n / len(items), f"clip {n + 1} of {len(items)}")
            own = replace(chosen, instruction=item.instruction or chosen.instruction)
            try:
                analysis = analyze(lm, held.clip(n), item.transcript, own, store=store)
            except ModgapError as problem:
                log.warning("%s is left out: %s", item.id, problem)
                continue
            made.append(curve_table([analysis], clips=[item.id]))
        if not made:
            raise SettingsError(
                f"No clip could be analysed in {lm.info()['name']}; the warnings above say why."
            )
        return made

    for n, model in enumerate(models):
        part = steps.part(n / len(models), (n + 1) / len(models), names[n])
        part(0.0, "loading")
        found.append(use_model(model, load, lambda lm, part=part: curves(lm, part)))  # type: ignore[misc]
    steps(1.0, "done")
    labels = apart([parts[0]["model"].iloc[0] for parts in found])
    tables = [pd.concat(parts).assign(model=n) for n, parts in zip(labels, found, strict=True)]
    return pd.concat(tables, ignore_index=True)


def use_model(model: Named | SpeechLM, load: Loader | None, use: Callable[[Any], T]) -> T:
    """What `use` makes of a model, which is gone from memory afterwards if it was loaded here."""
    if not isinstance(model, str | Path):
        return use(model)
    from modgap.models.loading.load import load_model

    try:
        return use((load or load_model)(model))
    finally:
        free_memory()


class _Held:
    """Clips of items, decoded once for all models as far as memory allows."""

    def __init__(self, items: Sequence[Question]) -> None:
        self._items, self._clips, self._bytes = items, dict[int, "Clip"](), 0

    def clip(self, n: int) -> Clip:
        if n in self._clips:
            return self._clips[n]
        clip = self._items[n].load()
        if self._bytes + clip.samples.nbytes <= HELD_BYTES:
            self._clips[n] = clip
            self._bytes += clip.samples.nbytes
        return clip


def _checked(models: Sequence[Named | SpeechLM]) -> list[str]:
    """Names for notes, or SettingsError."""
    names = [str(m) if isinstance(m, str | Path) else str(m.info()["name"]) for m in models]
    if not names:
        raise SettingsError("Name the models to compare.")
    check_different(names)
    return [short_name(name) for name in names]

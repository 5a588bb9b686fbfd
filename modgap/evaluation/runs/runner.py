"""`evaluate`: whole data sets through one or many models, into a run's folder.

The questions are streamed once a model; only the clips of the unit at work are in memory, and the
ids of what is done. Rows go to disk every few seconds (`shards`), so a run that ends in any way
goes on from there with the same call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import ModelError, StoreError
from modgap.evaluation.runs.plan import Loader, Plan, Summary, records_of
from modgap.evaluation.runs.record import locked, read_run
from modgap.evaluation.runs.run_settings import RunSettings

if TYPE_CHECKING:
    from modgap.core.progress import Progress

__all__ = ["evaluate", "in_process"]

log = logging.getLogger(__name__)


def evaluate(
    out: str | Path,
    data: str,
    models: Sequence[str],
    settings: RunSettings | None = None,
    *,
    limit: int | None = None,
    loader: Loader | None = None,
    retry: bool = False,
    engine: Callable[[Plan], None] | None = None,
    part_seconds: float = 20.0,
    progress: Progress | None = None,
) -> Summary:
    """Ask models all questions of a data set, or go on with that.

    Parameters
    ----------
    out : path
        Folder of the run (`tables`). If it holds the same run, what is missing is done.
    data : str
        For `datasets.iter_questions`.
    models : sequence of str
        For `load_model`. To a run that is there, more can be added.
    settings : RunSettings, optional
    limit : int, optional
        Only so many questions.
    loader : Loader, optional
    retry : bool
        Try again what failed before.
    engine : callable (Plan) -> None, optional
        What does the units; by default this process, one model after the other.
        `ray_engine.RayEngine` spreads them.
    part_seconds : float
        Rows are written that often; a kill costs no more than what came since.
    progress : callable (fraction, note), optional
        May raise `Cancelled`: what was done so far is written first.

    Returns
    -------
    Summary

    Raises
    ------
    SettingsError
        The folder holds a run made otherwise, or the data set cannot be used.
    StoreError
        Another process writes there, or a part is damaged.
    ModelError
        No model could be loaded.
    DeviceLost
        The device is gone; what was done is written.
    OSError
        The disk is full; what was written before stays.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    if read_run(folder) is None and _foreign(folder):
        raise StoreError(f"The folder {folder} holds something that is not a run: name another.")
    # Under the lock from the first look at what is done: else two calls would do the same units.
    with locked(folder):
        plan = Plan(
            folder, data, limit, models, settings or RunSettings(), loader or Loader(),
            retry=retry, part_seconds=part_seconds, progress=progress,
        )  # fmt: skip
        plan.begin()
        try:
            (engine or in_process)(plan)
        except BaseException as problem:
            # Whatever ends the run, what is done is kept, unless keeping it is what failed.
            if not isinstance(problem, OSError):
                plan.flush()
            raise
        plan.finish()
        if len(plan.summary.unloadable) == len(plan.models):
            raise ModelError(next(iter(plan.summary.unloadable.values())))
        return plan.summary


def in_process(plan: Plan) -> None:
    """One model after the other, here."""
    beside: dict[str, Any] = {}
    for name in plan.models:
        units = plan.units(name)
        first = next(units, None)
        if first is None:  # asked before the model is loaded: what is whole costs nothing
            plan.report(name)
            continue
        plan.report(f"loading {name}")
        try:
            worker = plan.loader.worker(name, plan.settings, beside)
        except ModelError as problem:
            plan.summary.unloadable[name] = str(problem)
            log.warning("%s is left out: %s", name, problem)
            continue
        plan.note(records_of(worker))
        plan.add(first, worker.run(first.asked))
        for unit in units:
            plan.add(unit, worker.run(unit.asked))
        del worker


def _foreign(folder: Path) -> bool:
    """Whether a folder without a run.json holds more than a run that was killed at once leaves."""
    return any(
        not p.name.startswith(".") and p.name != "questions.parquet" for p in folder.iterdir()
    )

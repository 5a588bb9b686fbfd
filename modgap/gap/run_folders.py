"""Where runs are found: shipped, in the cache folder, named by the operator, or by their path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from modgap.core.errors import StoreError
from modgap.core.folders import cache_folder, checkout, shipped_runs_folder
from modgap.core.names import named_in, unused_name
from modgap.gap.run_database import is_run

if TYPE_CHECKING:
    from modgap.gap.run_data import Run
    from modgap.scoring.question import Question

__all__ = [
    "VARIABLE",
    "find_question",
    "find_run",
    "is_only_read",
    "known_runs",
    "prompt_of",
    "shipped_runs",
    "source_of",
]

VARIABLE = "MODGAP_RUNS"  # a JSON list of the folders that the operator adds
SHIPPED = shipped_runs_folder()


def shipped_runs() -> list[Path]:
    """The runs that came with modgap, by name."""
    return list(_runs_in(SHIPPED))


def is_only_read(folder: Path) -> bool:
    """Whether a run is one of those that came with an installed modgap: nothing is added to it."""
    return checkout() is None and folder.resolve().is_relative_to(SHIPPED.resolve())


def known_runs() -> dict[str, Path]:
    """All runs that are offered: those shipped, in ``runs`` of the cache folder, and in `VARIABLE`.

    Returns
    -------
    dict of str to Path
        Names are those of the folders, numbered where two bear the same.
    """
    folders = shipped_runs()
    folders += _runs_in(cache_folder() / "runs")
    named = named_in(VARIABLE, '["runs/mine"]')
    folders += [p for p in (Path(n).expanduser() for n in named) if is_run(p)]
    found: dict[str, Path] = {}
    for folder in dict.fromkeys(p.resolve() for p in folders):
        found[unused_name(folder.name, found)] = folder
    return found


def find_run(folder: str | Path) -> Run:
    """A run by its path, else by the name under which it is offered.

    Raises
    ------
    StoreError
        There is none, or it cannot be read.
    """
    from modgap.gap.run_data import open_run

    known, folder = known_runs(), Path(folder)
    if not is_run(folder) and str(folder) in known:
        return open_run(known[str(folder)])
    return open_run(folder)


def find_question(run: Run, name: str) -> Question:
    """A question of a run, ready to be heard: synthesized again, or read where its file still is.

    Raises
    ------
    StoreError
        The run does not say where its questions came from, or they are not there any more.
    ModgapError
        The data set cannot be read.
    """
    from modgap.evaluation.data.datasets import iter_questions

    source, limit = source_of(run)
    for question in iter_questions(source, limit):
        if question.id == name:
            return question
    raise StoreError(
        f"The question is not in the data set {Path(source).name} (any more): open its clip on the "
        "Clip page."
    )


def source_of(run: Run) -> tuple[str, int | None]:
    """The data set of a run, as `modgap eval` was told it, and how many of its questions.

    Raises
    ------
    StoreError
        The run does not say.
    """
    data = run.protocol.get("data")
    source = data.get("name") if isinstance(data, dict) else data
    if not isinstance(source, str) or not source:
        raise StoreError(f"The run {run.name} does not say where its questions came from.")
    return source, data.get("limit") if isinstance(data, dict) else None


def prompt_of(run: Run) -> tuple[str, str | None]:
    """The `markers` and the `system` with which a run's clips were prompted.

    A run that says neither was prompted with the defaults.

    Raises
    ------
    StoreError
        What it says is no prompt.
    """
    said = run.protocol.get("settings", run.protocol.get("protocol", {}))
    markers = said.get("markers", "keep") if isinstance(said, dict) else None
    system = said.get("system") if isinstance(said, dict) else None
    if markers not in ("keep", "drop") or not isinstance(system, str | None):
        raise StoreError(f"The run {run.name} does not say how its clips were prompted.")
    return markers, system


def _runs_in(folder: Path) -> Iterator[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return
    yield from (p for p in paths if is_run(p))

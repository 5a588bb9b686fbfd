"""What there is to do in a run: units of questions, streamed; and where their rows go."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import SettingsError, StoreError
from modgap.evaluation.data.datasets import iter_questions
from modgap.evaluation.runs.asking import asking_of
from modgap.evaluation.runs.base_models import foreign_bases, with_bases
from modgap.evaluation.runs.questions_table import describe, fill_clips, write_questions
from modgap.evaluation.runs.record import (
    differences,
    model_record,
    read_run,
    started,
    write_run,
)
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.shards import PartWriter, Rows, batches, done, sweep

if TYPE_CHECKING:
    from modgap.core.progress import Progress
    from modgap.evaluation.runs.pipeline_and_base import Base, Ears
    from modgap.evaluation.runs.worker import Asked, Worker
    from modgap.models.base import SpeechLM
    from modgap.speech.recognizers import Recognizer
    from modgap.store.cache import Store

__all__ = ["Loader", "Plan", "Summary", "Unit", "records_of"]

log = logging.getLogger(__name__)

#: So many units are looked at together, so that each can hold questions of like length.
WINDOW = 8


@dataclass(frozen=True, kw_only=True)
class Loader:
    """How models are loaded, wherever that happens.

    Attributes
    ----------
    options : mapping
        For `load_model`: dtype, device, quantize, ...; ``adapter`` and ``revision`` are of the
        models alone, the rest is of the base, too.
    batch : int
        Prompts that are answered together.
    unit : int
        Questions that are done, and written, together.
    store : bool
        Whether the cache remembers what the recogniser and the base said.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 16
    unit: int = 32
    store: bool = True

    def worker(
        self, name: str, settings: RunSettings, beside: dict[str, Any], where: str | None = None
    ) -> Worker:
        """A loaded model with what it needs beside it.

        Parameters
        ----------
        name : str
            In the tables.
        settings : RunSettings
        beside : dict
            Keeps the recogniser and the base for the next model.
        where : str, optional
            For `load_model`, if that is not the name.

        Raises
        ------
        ModelError
            The model, the recogniser or the base cannot be loaded.
        """
        from modgap.evaluation.runs.worker import Worker

        if "ears" not in beside:
            beside["ears"] = self._ears(settings) if settings.needs_recognizer else None
        text = settings.base_of(name) if settings.needs_base else ""
        if beside.get("base of") != text:  # models of one family lie together: one is kept
            beside.pop("base", None)
            beside["base"], beside["base of"] = self._base(text) if text else None, text
        return Worker(
            self.model(where or name),
            settings,
            name=name,
            batch=self.batch,
            ears=beside["ears"],
            base=beside.get("base"),
        )

    @property
    def device(self) -> str:
        """The device that was asked for."""
        return str(self.options.get("device", "auto"))

    def model(self, where: str) -> SpeechLM:
        """One of the models of a run, loaded; who has them already gives them here."""
        from modgap.models.loading.load import load_quietly

        return load_quietly(where, **self.options)

    def _base(self, where: str) -> Base:
        from modgap.evaluation.runs.pipeline_and_base import Base
        from modgap.models.loading.load import ONE_MODELS, load_quietly

        shared = {k: v for k, v in self.options.items() if k not in ONE_MODELS}
        return Base(load_quietly(where, **shared), self._store())

    def recognizer(self, name: str) -> Recognizer:
        """The recogniser of a run, loaded; likewise."""
        from modgap.speech.recognizers import load_recognizer

        return load_recognizer(name, device=self.device)

    def _ears(self, settings: RunSettings) -> Ears:
        from modgap.evaluation.runs.pipeline_and_base import Ears

        return Ears(self.recognizer(settings.recognizer), self._store())

    def _store(self) -> Store | None:
        from modgap.store.cache import default_store

        return default_store() if self.store else None


def records_of(worker: Worker) -> dict[str, Any]:
    """What run.json says of a loaded model and of what stands beside it."""
    about = {**model_record(worker.model), **worker.asking.said()}
    records: dict[str, Any] = {"models": {worker.name: about}}
    p = worker.settings
    if worker.ears is not None:
        records["recognizer"] = {"name": p.recognizer, "identity": worker.ears.recognizer.identity}
    if worker.base is not None:
        base = {"name": p.base_of(worker.name), **model_record(worker.base.model)}
        base |= asking_of(worker.base.model, p).said()
        if worker.name in dict(p.bases):
            records["bases"] = {worker.name: base}
        else:
            records["base"] = base
    return records


@dataclass(frozen=True)
class Unit:
    """Some questions of one model, done together and written together.

    Attributes
    ----------
    model : str
    asked : tuple of (Question, inputs)
    deaths : int
        Workers that it has cost.
    """

    model: str
    asked: tuple[Asked, ...]
    deaths: int = 0


@dataclass
class Summary:
    """What a call of `evaluate` did.

    Attributes
    ----------
    questions : int
        In the data set.
    before, now : int
        Questions, counted once a model, that were done before, and in this call.
    failures : int
        Rows that this call wrote to ``failures``.
    unloadable : dict of str to str
        Models that could not be loaded, and why; the others were run.
    seconds : float
    """

    questions: int = 0
    before: int = 0
    now: int = 0
    failures: int = 0
    unloadable: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Plan:
    """What there is to do in a run, and the notes that its end needs.

    Parameters
    ----------
    folder : Path
    data : str
    limit : int or None
    models : sequence of str
    settings : RunSettings
    loader : Loader
    retry : bool
        Whether what failed before is tried again.
    """

    def __init__(
        self,
        folder: Path,
        data: str,
        limit: int | None,
        models: Sequence[str],
        settings: RunSettings,
        loader: Loader,
        *,
        retry: bool = False,
        part_seconds: float = 20.0,
        progress: Progress | None = None,
    ) -> None:
        self.folder = folder
        self.data = data
        self.limit = limit
        self.models = list(dict.fromkeys(models))
        self.settings = settings.for_data(data)
        self.loader = loader
        self.retry = retry
        self.summary = Summary()
        self._writer = PartWriter(folder, part_seconds)
        self._progress = progress
        self._began = time.monotonic()
        self._clips: set[str] = set()
        for name in self.models:
            # Before anything is written: each has one, where one is needed.
            self.settings.base_of(name)

    # ---- before ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Write or compare run.json, and remove what a killed writer left.

        Raises
        ------
        SettingsError
            The folder holds a run of another protocol; the message says what differs.
        """
        before = read_run(self.folder)
        if before is None and any(self.folder.glob("answers/part-*")):
            raise StoreError(f"{self.folder} holds parts of a run without its run.json.")
        digest, index, scorers = describe(iter_questions(self.data, self.limit))
        count = len(index)
        about = {"name": self.data, "limit": self.limit, "questions": count, "sha256": digest}
        self.run = started(self.settings, about, self.models, scorers)
        self.summary.questions = count
        if before is not None:
            found = differences(before, self.run)
            if found:
                raise SettingsError(
                    f"The run in {self.folder} was made otherwise: {'; '.join(found)}. Name "
                    "another folder, or give the same options."
                )
            if before["versions"] != self.run["versions"]:
                log.warning("The run was begun with other versions: %s", before["versions"])
            bases = with_bases(self.run, before)
            self.run = {**before, "models": {**self.run["models"], **before["models"]}, **bases}
        for batch in batches(self.folder, "clips", ("question",)):
            self._clips.update(batch["question"].to_pylist())
        swept = sweep(self.folder)
        if swept:
            log.warning("Removed %d unfinished files that an ended run had left.", swept)
        self._done = done(self.folder, index, failures=not self.retry)
        self.run["finished"] = None
        write_run(self.folder, self.run)
        table = self.folder / "questions.parquet"
        if not table.exists():
            asked = map(self.settings.asked, iter_questions(self.data, self.limit))
            write_questions(table, asked)

    def note(self, records: dict[str, Any]) -> None:
        """Note what a loaded model is (`records_of`), or refuse it if it is not what it was."""
        found = differences(self.run, {**self.run, **records})
        if found:
            raise SettingsError(
                f"The run in {self.folder} was made with something else: {'; '.join(found)}. Name "
                "another folder."
            )
        known = {**self.run["models"], **records["models"]}
        run = {**self.run, **records, "models": known, **with_bases(self.run, records)}
        if run != self.run:
            for warning in foreign_bases(run):
                if warning not in foreign_bases(self.run):
                    log.warning("%s", warning)
            self.run = run
            write_run(self.folder, run)

    # ---- units ----------------------------------------------------------------------------------

    def units(self, model: str) -> Iterator[Unit]:
        """What of a model is not done yet, streamed; questions of like length lie together."""
        unit = self.loader.unit
        inputs = self.settings.all_inputs
        finished = {k: self._done[model, k] for k in inputs if (model, k) in self._done}
        window: list[Asked] = []

        def cut() -> Iterator[Unit]:
            window.sort(key=lambda asked: len(asked[0].transcript))
            for start in range(0, len(window), unit):
                yield Unit(model, tuple(window[start : start + unit]))
            window.clear()

        asked = map(self.settings.asked, iter_questions(self.data, self.limit))
        for number, question in enumerate(asked):
            if number and number % (unit * WINDOW) == 0:
                yield from cut()
            wanted = tuple(k for k in inputs if k not in finished or not finished[k][number])
            if wanted:
                window.append((question, wanted))
            else:
                self.summary.before += 1
        yield from cut()

    def add(self, unit: Unit, rows: Rows) -> None:
        """Take a unit's rows."""
        fresh = [r for r in rows.get("clips", ()) if r["question"] not in self._clips]
        self._clips.update(r["question"] for r in fresh)
        self._writer.add({**rows, "clips": fresh})
        self.summary.now += len(unit.asked)
        self.summary.failures += len(rows.get("failures", ()))
        self.report(unit.model)

    def report(self, note: str) -> None:
        """Say how far it is: clips per second, and the time that is left at this rate."""
        if self._progress is None:
            return
        s = self.summary
        total = max(1, s.questions * len(self.models))
        count = s.before + s.now
        rate = s.now / max(1e-9, time.monotonic() - self._began)
        left = f", {_clock((total - count) / rate)} left" if s.now and count < total else ""
        failed = f", {s.failures} failed" if s.failures else ""
        self._progress(
            min(1.0, count / total),
            f"{note}: {count} of {total} clips, {rate:.2f} clips/s{left}{failed}",
        )

    # ---- after ----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what is held."""
        self._writer.flush()

    def finish(self) -> None:
        """Fill in what is known of the clips, and say in run.json when the run was whole."""
        self.flush()
        fill_clips(self.folder)
        if not self.summary.unloadable:
            self.run["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
            write_run(self.folder, self.run)
        self.summary.seconds = time.monotonic() - self._began


def _clock(seconds: float) -> str:
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}"

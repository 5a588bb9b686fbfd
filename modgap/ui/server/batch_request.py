"""A data set that a visitor has uploaded, run as `modgap eval` runs one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from modgap.core.progress import Progress
from modgap.core.settings import digest
from modgap.evaluation.runs.plan import Loader, Summary
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.ui.server.jobs import MakeWay
from modgap.ui.server.models import ModelChoice

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM
    from modgap.speech.recognizers import Recognizer
    from modgap.ui.server.service import Service

#: Questions that are done and written together: so often a run can be stopped, or make way.
UNIT = 4
#: Seconds that a run has the worker for itself while others wait.
TURN = 10.0


@dataclass(frozen=True, kw_only=True)
class PoolLoader(Loader):
    """Loads from what the server keeps, and counts with it.

    Attributes
    ----------
    service : Service
    choices : mapping of str to ModelChoice
        By the names of the run.
    """

    service: Service
    choices: Mapping[str, ModelChoice] = field(default_factory=dict)

    def model(self, where: str) -> SpeechLM:
        return self.service.pool.get(self.choices[where])

    def recognizer(self, name: str) -> Recognizer:
        return self.service.recognizers.get(name, self.device)


@dataclass(frozen=True)
class BatchRequest:
    """A run over a data set, or what is missing of it.

    Attributes
    ----------
    name : str
        Of the run.
    folder : Path
        Where it is written.
    data : Path
        The manifest.
    models : tuple of (str, ModelChoice)
        By the names that pages know them by.
    settings : RunSettings
    """

    name: str
    folder: Path
    data: Path
    models: tuple[tuple[str, ModelChoice], ...]
    settings: RunSettings
    kind: ClassVar[str] = "batch"
    live: ClassVar[bool] = False

    @property
    def signature(self) -> str:
        models = [(name, choice.options) for name, choice in self.models]
        settings = self.settings.to_dict()
        return digest(self.kind, str(self.folder), str(self.data), models, settings)

    @property
    def title(self) -> str:
        return f"Run {self.name}"

    @property
    def label(self) -> str:
        return ", ".join(name for name, _ in self.models)

    @property
    def hidden(self) -> dict[str, str]:
        paths = {str(self.folder): self.name, str(self.data): self.name}
        return paths | {choice.name: name for name, choice in self.models}

    def make(self, service: Service, progress: Progress) -> Summary:
        """See `modgap.evaluation.runs.runner.evaluate`.

        Raises
        ------
        MakeWay
            Others wait, and this run has had its turn.
        """
        from modgap.evaluation.runs.runner import evaluate

        began = time.monotonic()

        def report(fraction: float, note: str) -> Any:
            progress(fraction, note)
            if time.monotonic() - began > TURN and service.jobs.crowded():
                raise MakeWay

        _, first = self.models[0]
        loader = PoolLoader(
            service=service, choices=dict(self.models), options=first.options, unit=UNIT
        )
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        return evaluate(
            self.folder, str(self.data), [name for name, _ in self.models],
            self.settings, loader=loader, part_seconds=TURN, progress=report,
        )  # fmt: skip

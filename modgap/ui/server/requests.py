"""What a page can ask for: equal requests have equal signatures, and each makes its own result."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from modgap.audio.clip import Clip
from modgap.core.errors import ModelError, ModgapError
from modgap.core.progress import Progress, Steps
from modgap.core.settings import AnalysisSettings, digest
from modgap.interventions.intervention import Stack
from modgap.models.loading.embedded import text_base
from modgap.ui.server.clip_requests import WordsRequest
from modgap.ui.server.models import ModelChoice
from modgap.ui.server.operator_models import recognizer_options

if TYPE_CHECKING:
    from modgap.analysis.estimate import Estimate
    from modgap.analysis.pipeline import Cascade
    from modgap.analysis.result import Analysis
    from modgap.ui.server.service import Service


class Request(Protocol):
    """Something that the worker makes.

    Attributes
    ----------
    live : bool
        The answer to a control that is being moved: a session wants one of its `kind` at a time,
        and a script run waits a moment for it.
    signature : str
        Equal for equal requests; known before a model is loaded, unlike a result's key.
    title, label : str
        For those who ask; what it works with, for everyone who waits behind it.
    hidden : dict
        Names that may be folders of the server, and what a visitor knows each by.
    """

    live: ClassVar[bool]

    @property
    def kind(self) -> str: ...
    @property
    def signature(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def hidden(self) -> dict[str, str]: ...
    def make(self, service: Service, progress: Progress) -> Any:
        """The result; called in the worker."""
        ...


@dataclass(frozen=True)
class AnalysisRequest:
    """The analysis of a clip; `label` is the model's, the rest decides the numbers."""

    choice: ModelChoice
    label: str
    clip: Clip
    transcript: str
    instruction: str = ""
    markers: str = "keep"
    too_long: str = "fail"
    kind: ClassVar[str] = "analysis"
    live: ClassVar[bool] = False

    @property
    def signature(self) -> str:
        return digest(
            asdict(self.choice), self.clip.sha256, self.transcript, self.instruction, self.markers,
            self.too_long,
        )  # fmt: skip

    @property
    def title(self) -> str:
        return f"{self.clip.name}, {self.label}"

    @property
    def hidden(self) -> dict[str, str]:
        return {self.choice.name: self.label}

    @property
    def settings(self) -> AnalysisSettings:
        """How prompts are made and answered here."""
        return AnalysisSettings(
            instruction=self.instruction,
            markers=self.markers,  # type: ignore[arg-type]  # checked by the settings
            too_long=self.too_long,  # type: ignore[arg-type]
        )

    def make(self, service: Service, progress: Progress) -> Analysis:
        with service.session(self, progress) as session:
            return session.analyze(progress=_from(0.1, progress))


class _OfClip:
    """What is made of the model and the clip of an analysis."""

    of: AnalysisRequest

    @property
    def label(self) -> str:
        return self.of.label

    @property
    def hidden(self) -> dict[str, str]:
        return self.of.hidden


#: What is asked of a kept session beside the analysis, and what a job of it is called.
EDITS = {
    "compare": "intervention",
    "beside": "intervention that is told the words",
    "patching": "patching: layer × word",
    "sweep": "sweep: layer × intervention",
    "lens": "logit lens",
    "answer_lens": "logit lens of the answer",
    "mismatched": "mismatched pairs",
    "prompts": "prompts, token by token",
}


@dataclass(frozen=True)
class EditRequest(_OfClip):
    """Something that is asked of the plain runs of a clip.

    Attributes
    ----------
    of : AnalysisRequest
        Model, clip, words.
    kind : str
        One of `EDITS`; "beside" is a second "compare" that a page has at the same time.
    stack : tuple of Intervention
        For "compare" and "beside".
    options : str
        JSON of further settings.
    """

    of: AnalysisRequest
    kind: str
    stack: Stack = ()
    options: str = "{}"
    live: ClassVar[bool] = True

    @property
    def signature(self) -> str:
        stack = [it.to_dict() for it in self.stack]
        return digest(self.kind, self.of.signature, stack, self.options)

    @property
    def title(self) -> str:
        return f"{self.of.title}: {EDITS[self.kind]}"

    def make(self, service: Service, progress: Progress) -> Any:
        options = self.given(service, progress)
        asked = "compare" if self.kind == "beside" else self.kind
        with service.session(self.of, progress) as session:
            part = Steps(progress).part(0.05, 1.0, self.label)
            return getattr(session, asked)(progress=part, **options)

    @property
    def needs_words(self) -> bool:
        """Whether the times of the words are needed, which a recogniser finds."""
        return self.kind == "patching" and json.loads(self.options).get("where", "word") == "word"

    def given(self, service: Service, progress: Progress) -> dict[str, Any]:
        """What the session is asked with; called in the worker."""
        options: dict[str, Any] = json.loads(self.options)
        if self.kind in ("compare", "beside"):
            options["interventions"] = self.stack
        if self.needs_words:
            # By the server's own aligner, which is loaded once.
            wanted = WordsRequest(self.of.clip, self.of.transcript)
            part = Steps(progress).part(0.0, 0.05, "word times")
            options["words"] = wanted.make(service, part)
        return options


@dataclass(frozen=True)
class EstimateRequest(_OfClip):
    """What a map would cost."""

    edit: EditRequest
    kind: ClassVar[str] = "estimate"
    live: ClassVar[bool] = True

    @property
    def of(self) -> AnalysisRequest:  # type: ignore[override]
        return self.edit.of

    @property
    def signature(self) -> str:
        return digest(self.kind, self.edit.signature)

    @property
    def title(self) -> str:
        return f"{self.edit.title}: estimate"

    def make(self, service: Service, progress: Progress) -> Estimate:
        options = self.edit.given(service, progress)
        with service.session(self.of, progress) as session:
            part = Steps(progress).part(0.05, 1.0, self.label)
            return session.estimate(self.edit.kind, progress=part, **options)


@dataclass(frozen=True)
class PipelineRequest(_OfClip):
    """The answer of a recogniser (its id) and a text model to the clip in use.

    The text model is the one that the chosen model was tuned from, where that is known, else the
    chosen model's own text side.
    """

    of: AnalysisRequest
    recognizer: str
    kind: ClassVar[str] = "pipeline"
    live: ClassVar[bool] = True

    @property
    def signature(self) -> str:
        return digest(self.kind, self.recognizer, self.of.signature)

    @property
    def title(self) -> str:
        return f"Pipeline, {self.of.clip.name}"

    @property
    def hidden(self) -> dict[str, str]:
        option = recognizer_options()[self.recognizer]
        return {**self.of.hidden, option.name: option.id}

    def make(self, service: Service, progress: Progress) -> Cascade:
        from modgap.analysis.pipeline import pipeline

        of, option = self.of, recognizer_options()[self.recognizer]
        progress(0.01, f"Loading the model {of.label}")
        # The model first: for its room a recogniser would go that is about to be used.
        name = text_base(of.choice.name) or of.choice.name
        model = service.pool.get(replace(of.choice, name=name))
        progress(0.05, f"Loading {option.id}")
        ears = service.recognizers.get(option.name, of.choice.options["device"])
        return pipeline(
            ears, model, of.clip, of.transcript, of.settings,
            store=service.store, progress=_from(0.1, progress),
        )  # fmt: skip


@dataclass(frozen=True)
class ExamplesRequest:
    """Analyses of several models as one job; each is found by itself afterwards.

    A clip that cannot be analysed does not stop it: `Service.refused` says why. What was done
    before the job was cancelled stays done.
    """

    analyses: tuple[AnalysisRequest, ...]
    kind: ClassVar[str] = "examples"
    live: ClassVar[bool] = False
    title: ClassVar[str] = "Examples"
    label: ClassVar[str] = ""
    hidden: ClassVar[dict[str, str]] = {}

    @property
    def ordered(self) -> list[AnalysisRequest]:
        """Model by model, so that each is loaded once."""
        return sorted(self.analyses, key=lambda request: (request.label, request.signature))

    @property
    def signature(self) -> str:
        return digest(self.kind, [request.signature for request in self.ordered])

    def make(self, service: Service, progress: Progress) -> None:
        for n, request in enumerate(self.ordered):
            if service.known(request) is not None:
                continue

            def part(fraction: float, note: str, n: int = n) -> None:
                count = len(self.analyses)
                progress((n + fraction) / count, f"{n + 1} of {count}: {note}")

            try:
                service.make(request, part)
            except ModelError:  # no other clip would do better
                raise
            except ModgapError as problem:
                service.refuse(request, str(problem))


def _from(start: float, progress: Progress) -> Progress:
    """What comes after the first `start` of a job."""
    return lambda fraction, note: progress(start + (1 - start) * fraction, note)

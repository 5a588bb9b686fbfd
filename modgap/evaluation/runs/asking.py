"""How a run asks one of its models: what stands around the words, and how answers are decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modgap.analysis.pipeline import heard_prompt
from modgap.core.settings import digest
from modgap.evaluation.data.voicebench_prompts import WRAPPERS

if TYPE_CHECKING:
    from modgap.evaluation.runs.run_settings import RunSettings
    from modgap.models.base import SpeechLM
    from modgap.models.prompt import Markers, Prompt
    from modgap.models.sampling import Sampling
    from modgap.models.vendor import Style
    from modgap.scoring.question import Question

__all__ = ["Asking", "asking_of"]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What is the same for all questions to a model.

    Attributes
    ----------
    model : SpeechLM
    settings : RunSettings
    style : "plain" or "vendor"
    system : str or None
        System text of the pair and of typed questions; None leaves it to style and template.
    sampling : Sampling or None
        None is greedy, without penalties.
    source : str
        Who asks so: plain, vendor, or VoiceBench's file.
    """

    model: SpeechLM
    settings: RunSettings
    style: Style
    system: str | None
    sampling: Sampling | None
    source: str

    @property
    def text_adapter(self) -> bool:
        """Whether the checkpoint's own adapter acts on typed questions, too."""
        own = self.style == "plain" or self.model.vendor.text_adapter
        return own or self.model.lora != "on"

    @cached_property
    def text_markers(self) -> Markers:
        """Of typed questions; kept where the template has no place for words without them."""
        dropped = self.settings.text_markers == "drop"
        return "drop" if dropped and not self.model.support().get("markers_drop") else "keep"

    def typed(self, question: Question, heard: str | None = None) -> Prompt:
        """The question as a user would type it, or what a recogniser `heard` of it."""
        told = heard is not None and bool(self.settings.transcribed)
        return heard_prompt(
            self.model,
            question.transcript if heard is None else heard,
            transcribed=told,
            instruction=question.instruction,
            # What tells of transcribed speech takes the place of a wrapper's text.
            system=self.settings.system if told else self.system,
            markers=self.text_markers,
            style=self.style,
        )

    def seed(self, question: Question) -> int:
        """The question's own, the same for all models and inputs."""
        return int(digest("run seed", self.settings.seed, question.id)[:15], 16)

    def said(self) -> dict[str, Any]:
        """What run.json says of it beside the model; nothing where all is plain."""
        if self.style == "plain" and self.sampling is None:
            return {}
        found: dict[str, Any] = {"from": self.source}
        if self.style == "vendor":
            found |= self.model.vendor.record()
        if self.system is not None:
            found["system"] = self.system
        found["decoding"] = "greedy" if self.sampling is None else self.sampling.to_dict()
        return {"prompt": found}


def asking_of(model: SpeechLM, settings: RunSettings) -> Asking:
    """How a run asks a model.

    Parameters
    ----------
    model : SpeechLM
    settings : RunSettings
        After `RunSettings.for_data`.
    """
    wrapper = WRAPPERS.get(model.published_as) if settings.prompt == "voicebench" else None
    unknown = settings.prompt == "voicebench" and wrapper is None  # asked plainly, greedily
    plain = unknown or settings.prompt not in ("vendor", "voicebench")
    system = wrapper.system if wrapper is not None and settings.system is None else settings.system
    return Asking(
        model=model,
        settings=settings,
        style="plain" if plain else "vendor",
        system=system,
        sampling=model.vendor_sampling if settings.decoding == "vendor" and not unknown else None,
        source=f"VoiceBench, {wrapper.file}" if wrapper else "plain" if plain else "vendor",
    )

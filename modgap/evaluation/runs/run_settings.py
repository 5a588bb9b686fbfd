"""What a run does to every question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from modgap.core.errors import SettingsError
from modgap.core.settings import MAX_NEW_TOKENS, check_too_long, integer
from modgap.evaluation.data.asked_as import asked_as
from modgap.evaluation.runs.protocol import Protocol
from modgap.evaluation.runs.tables import INPUTS
from modgap.interventions.intervention import Intervention, Stack
from modgap.interventions.maps.pins import pinned
from modgap.scoring.scorers import VERSIONS
from modgap.speech.base import EMBEDDED

if TYPE_CHECKING:
    from modgap.scoring.question import Question

__all__ = ["PROMPTS", "RunSettings", "pipeline_llm", "stated"]

#: Who says what stands around the words of a question, and how answers are decoded.
PROMPTS = ("plain", "vendor", "voicebench")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How each question is asked; the same for all models, and for text and speech.

    Attributes
    ----------
    inputs : tuple of str
        Which of `tables.INPUTS`.
    interventions : tuple of (str, Stack)
        Their names and what they do; each is one more input, ``speech+NAME``.
    max_new_tokens : int, optional
        Longest answer, to whatever input. By default the data set's own budget (`asked_as`).
    prompt : "plain", "vendor" or "voicebench"
        Separator, order, system text: modgap's, the same for all families; those of each model's
        publisher; or what VoiceBench's code does for each model that it has a wrapper for, the
        others being asked plainly. By default the data set's own (`asked_as`).
    decoding : "greedy" or "vendor"
        Greedy without penalties, or as each checkpoint's generation_config says. By default greedy
        for the plain prompt, else the vendor's.
    seed : int
        Of sampled answers; a question has one of its own, the same for all inputs.
    transcribed : bool, optional
        Whether the pipeline's text model is told that the words are transcribed speech. By default
        the data set's own (`asked_as`).
    instruction : str
        Typed beside clip and transcript, unless a question has its own.
    system : str or None
    markers : "keep" or "drop"
        As in `SpeechLM.prepare`, of the pair: similarity, KL and interventions are of it.
    text_markers : "keep" or "drop"
        The same of the prompts that are answered as text (``text``, ``base``, ``pipeline``):
        accuracy on text is what the model makes of a typed message.
    too_long : "fail" or "cut"
        A clip longer than a model takes is a failure, or heard up to that model's limit.
    heard : str
        The instruction by which a model is asked to write down what it hears; empty: it is not.
    heard_tokens : int
        Longest such transcript.
    heard_by : str
        Whose words interventions pair the speech with: "" those of the data set, "own" what the
        model writes down, "recognizer" what `recognizer` does. Where nothing is heard, nothing is
        changed.
    recognizer : str
        Of the pipeline.
    base : str
        The text model of the input ``base``, for the models that `bases` does not name.
    bases : tuple of (str, str)
        Models, and the text model of each of them: a relative gap is over the base that a model
        was tuned from.
    pipeline_llm : "base" or "own"
        Which text model answers what the recogniser wrote: the base (A_p of the method), or the
        speech model's own text side. Empty, as by default: the base, where one is named.

    Raises
    ------
    SettingsError
        A value is out of range or does not fit another.
    """

    inputs: tuple[str, ...] = ("text", "speech")
    interventions: tuple[tuple[str, Stack], ...] = ()
    max_new_tokens: int | None = None
    prompt: str = ""
    decoding: str = ""
    seed: int = 0
    transcribed: bool | None = None
    instruction: str = ""
    system: str | None = None
    markers: str = "keep"
    text_markers: str = "drop"
    too_long: str = "fail"
    heard: str = ""
    heard_tokens: int = 128
    heard_by: str = ""
    recognizer: str = EMBEDDED
    base: str = ""
    bases: tuple[tuple[str, str], ...] = ()
    pipeline_llm: str = ""

    def __post_init__(self) -> None:
        unknown = [name for name in self.inputs if name not in INPUTS]
        if unknown or not self.inputs:
            said = repr(unknown[0]) if unknown else "nothing"
            raise SettingsError(f"Inputs are {', '.join(INPUTS)}, not {said}.")
        object.__setattr__(self, "inputs", tuple(k for k in INPUTS if k in self.inputs))
        if self.max_new_tokens is not None:
            integer("max_new_tokens", self.max_new_tokens, 1, MAX_NEW_TOKENS)
        integer("heard_tokens", self.heard_tokens, 1, MAX_NEW_TOKENS)
        integer("seed", self.seed, 0, 2**31 - 1)
        if self.prompt not in ("", *PROMPTS):
            raise SettingsError(f"The prompt is one of {', '.join(PROMPTS)}, not {self.prompt!r}.")
        if self.decoding not in ("", "greedy", "vendor"):
            raise SettingsError(f"The decoding is greedy or vendor, not {self.decoding!r}.")
        for name in ("markers", "text_markers"):
            if getattr(self, name) not in ("keep", "drop"):
                raise SettingsError(f'{name} is "keep" or "drop", not {getattr(self, name)!r}.')
        check_too_long(self.too_long)
        if "speech" not in self.inputs and (self.interventions or self.heard):
            what = "Interventions change" if self.interventions else "--heard is about"
            raise SettingsError(f"{what} the speech: have speech among the inputs.")
        if self.heard_by not in ("", "own", "recognizer"):
            raise SettingsError(f"heard_by is own or recognizer, not {self.heard_by!r}.")
        # A run that is gone on with has to have the maps that it began with.
        stacks = tuple((name, pinned(stack)) for name, stack in self.interventions)
        object.__setattr__(self, "interventions", stacks)
        names = [name for name, _ in self.interventions]
        if len(set(names)) < len(names) or not all(names):
            raise SettingsError("Every intervention needs a name of its own.")
        named = bool(self.base or self.bases)
        if "base" in self.inputs and not named:
            raise SettingsError("The input base needs a text model: name it with --base.")
        llm = self.pipeline_llm or ("base" if named else "own")
        if llm not in ("base", "own"):
            raise SettingsError(f"The pipeline's text model is base or own, not {llm!r}.")
        if "pipeline" in self.inputs and llm == "base" and not named:
            raise SettingsError("The pipeline's text model is the base: name it with --base.")
        object.__setattr__(self, "pipeline_llm", llm)

    def for_data(self, data: str) -> RunSettings:
        """With what was left open decided as the data set wants it; what is said stays."""
        own = asked_as(data)
        prompt = self.prompt or own.prompt
        return replace(
            self,
            max_new_tokens=self.max_new_tokens or own.max_new_tokens,
            prompt=prompt,
            decoding=self.decoding or ("greedy" if prompt == "plain" else "vendor"),
            transcribed=own.transcribed if self.transcribed is None else self.transcribed,
        )

    @property
    def budget(self) -> int:
        """New tokens of an answer."""
        return self.max_new_tokens or asked_as("").max_new_tokens

    @property
    def needs_recognizer(self) -> bool:
        """Whether a recogniser is asked anything."""
        return "pipeline" in self.inputs or self.heard_by == "recognizer"

    @property
    def needs_base(self) -> bool:
        """Whether the base is asked anything."""
        piped = "pipeline" in self.inputs and self.pipeline_llm == "base"
        return "base" in self.inputs or piped

    def base_of(self, model: str) -> str:
        """The text model that stands beside a model.

        Raises
        ------
        SettingsError
            One is needed, and none is named for this model.
        """
        found = dict(self.bases).get(model, self.base)
        if not found and self.needs_base:
            raise SettingsError(
                f"A base is needed for {model}, too: --base {model}=TEXT_MODEL, "
                "or --base TEXT_MODEL for all that have none of their own."
            )
        return found

    @property
    def all_inputs(self) -> tuple[str, ...]:
        """Everything that a model answers, the interventions included."""
        return (*self.inputs, *(f"speech+{name}" for name, _ in self.interventions))

    def asked(self, question: Question) -> Question:
        """The question as it is put: with the instruction, where it brings none."""
        if question.instruction or not self.instruction:
            return question
        return replace(question, instruction=self.instruction)

    def protocol(self, scorers: Sequence[str]) -> Protocol:
        """What a result must say to be compared with one made elsewhere."""
        return Protocol(
            instruction=self.instruction,
            system=self.system,
            markers=self.markers,
            text_markers=self.text_markers,
            max_new_tokens=self.budget,
            prompt=self.prompt or "plain",
            decoding=self.decoding or "greedy",
            seed=self.seed,
            scorers={name: VERSIONS.get(name, 0) for name in sorted(scorers)},
        )

    def to_dict(self) -> dict[str, Any]:
        """In JSON's terms, after `for_data`; what no input uses is left out."""
        found: dict[str, Any] = {
            "inputs": list(self.inputs),
            "interventions": {n: [it.to_dict() for it in stack] for n, stack in self.interventions},
            "settings": {
                "max_new_tokens": self.budget,
                "prompt": self.prompt or "plain",
                "system": self.system,
                "markers": self.markers,
                "text_markers": self.text_markers,
                "decoding": self.decoding or "greedy",
            },
        }
        if self.decoding == "vendor":
            found["settings"]["seed"] = self.seed
        if self.instruction:
            found["settings"]["instruction"] = self.instruction
        if self.too_long != "fail":
            found["settings"]["too_long"] = self.too_long
        if self.heard:
            found["settings"] |= {"heard": self.heard, "heard_tokens": self.heard_tokens}
        if self.heard_by:
            found["settings"] |= {"heard_by": self.heard_by}
        if self.needs_recognizer:
            found["recognizer"] = {"name": self.recognizer}
        if "pipeline" in self.inputs:
            found["pipeline_llm"] = self.pipeline_llm
            found["settings"]["transcribed"] = bool(self.transcribed)
        if self.needs_base:
            if self.base:
                found["base"] = {"name": self.base}
            if self.bases:
                found["bases"] = {model: {"name": text} for model, text in self.bases}
        return found

    @classmethod
    def from_dict(cls, run: Mapping[str, Any]) -> RunSettings:
        """The protocol that a run.json states."""
        s = stated(run["settings"])
        return cls(
            inputs=tuple(run["inputs"]),
            interventions=tuple(
                (name, tuple(Intervention.from_dict(it) for it in stack))
                for name, stack in run["interventions"].items()
            ),
            max_new_tokens=s["max_new_tokens"],
            instruction=s.get("instruction", ""),
            system=s["system"],
            markers=s["markers"],
            text_markers=s["text_markers"],
            prompt=s["prompt"],
            decoding=s["decoding"],
            seed=s.get("seed", 0),
            transcribed=s.get("transcribed", False if "pipeline" in run["inputs"] else None),
            too_long=s.get("too_long", "fail"),
            heard=s.get("heard", ""),
            heard_tokens=s.get("heard_tokens", 128),
            heard_by=s.get("heard_by", ""),
            recognizer=run.get("recognizer", {}).get("name", EMBEDDED),
            base=run.get("base", {}).get("name", ""),
            bases=tuple((m, about["name"]) for m, about in run.get("bases", {}).items()),
            pipeline_llm=pipeline_llm(run),
        )


def pipeline_llm(run: Mapping[str, Any]) -> str:
    """Which text model a run's pipeline has: "base" or "own"; "" without a pipeline.

    Runs of before this was said had each model's own.
    """
    return str(run.get("pipeline_llm", "own")) if "pipeline" in run["inputs"] else ""


def stated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The ``settings`` of a run.json, with what an older one meant without saying it.

    Runs of before `text_markers` answered the text of the pair itself, with the plain prompt.
    """
    meant = {"text_markers": settings.get("markers", "keep"), "prompt": "plain", **settings}
    return {"decoding": "greedy", **meant}

"""What a run does to every question, and the `run.json` that says so."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.core.errors import SettingsError, StoreError
from modgap.core.files import write_atomic
from modgap.core.locks import hold
from modgap.core.settings import MAX_NEW_TOKENS, METHOD_VERSION, integer
from modgap.evaluation.runs.base_models import base_of
from modgap.evaluation.runs.protocol import Protocol
from modgap.evaluation.runs.tables import INPUTS
from modgap.interventions.intervention import Intervention, Stack
from modgap.scoring.scorers import VERSIONS
from modgap.speech.base import EMBEDDED

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question

__all__ = ["RunSettings", "differences", "locked", "model_record", "pipeline_llm",
           "read_run", "started", "the_run", "write_run"]  # fmt: skip


FORMAT, VERSION = "modgap-run", 1
RUN, LOCK = "run.json", ".lock"


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How each question is asked; the same for all models, and for text and speech.

    Attributes
    ----------
    inputs : tuple of str
        Which of `tables.INPUTS`.
    interventions : tuple of (str, Stack)
        Their names and what they do; each is one more input, ``speech+NAME``.
    max_new_tokens : int
        Longest answer, to whatever input.
    instruction : str
        Typed beside clip and transcript, unless a question has its own.
    system : str or None
    markers : "keep" or "drop"
        As in `SpeechLM.prepare`.
    heard : str
        The instruction by which a model is asked to write down what it hears; empty: it is not.
    heard_tokens : int
        Longest such transcript.
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
    max_new_tokens: int = 48
    instruction: str = ""
    system: str | None = None
    markers: str = "keep"
    heard: str = ""
    heard_tokens: int = 128
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
        for name in ("max_new_tokens", "heard_tokens"):
            integer(name, getattr(self, name), 1, MAX_NEW_TOKENS)
        if self.markers not in ("keep", "drop"):
            raise SettingsError(f'markers is "keep" or "drop", not {self.markers!r}.')
        if "speech" not in self.inputs and (self.interventions or self.heard):
            what = "Interventions change" if self.interventions else "--heard is about"
            raise SettingsError(f"{what} the speech: have speech among the inputs.")
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
            max_new_tokens=self.max_new_tokens,
            scorers={name: VERSIONS.get(name, 0) for name in sorted(scorers)},
        )

    def to_dict(self) -> dict[str, Any]:
        """In JSON's terms; what no input uses is left out."""
        found: dict[str, Any] = {
            "inputs": list(self.inputs),
            "interventions": {n: [it.to_dict() for it in stack] for n, stack in self.interventions},
            "settings": {
                "max_new_tokens": self.max_new_tokens,
                "system": self.system,
                "markers": self.markers,
                "decoding": "greedy",
            },
        }
        if self.instruction:
            found["settings"]["instruction"] = self.instruction
        if self.heard:
            found["settings"] |= {"heard": self.heard, "heard_tokens": self.heard_tokens}
        if "pipeline" in self.inputs:
            found["recognizer"] = {"name": self.recognizer}
            found["pipeline_llm"] = self.pipeline_llm
        if self.needs_base:
            if self.base:
                found["base"] = {"name": self.base}
            if self.bases:
                found["bases"] = {model: {"name": text} for model, text in self.bases}
        return found

    @classmethod
    def from_dict(cls, run: Mapping[str, Any]) -> RunSettings:
        """The protocol that a run.json states."""
        s = run["settings"]
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
            heard=s.get("heard", ""),
            heard_tokens=s.get("heard_tokens", 128),
            recognizer=run.get("recognizer", {}).get("name", EMBEDDED),
            base=run.get("base", {}).get("name", ""),
            bases=tuple((m, about["name"]) for m, about in run.get("bases", {}).items()),
            pipeline_llm=pipeline_llm(run),
        )


def model_record(model: SpeechLM) -> dict[str, Any]:
    """What run.json says of a model: all that its numbers depend on."""
    info = model.info()
    names = ("identity", "revision", "model_type", "dtype", "n_layers", "hidden_size", "parameters")
    return {name: info[name] for name in names} | {"device": model.device.type}


def pipeline_llm(run: Mapping[str, Any]) -> str:
    """Which text model a run's pipeline has: "base" or "own"; "" without a pipeline.

    Runs of before this was said had each model's own.
    """
    return str(run.get("pipeline_llm", "own")) if "pipeline" in run["inputs"] else ""


def read_run(folder: Path) -> dict[str, Any] | None:
    """The run.json of a folder, or None if there is none.

    Raises
    ------
    StoreError
        It is damaged or of another kind.
    """
    try:
        found = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise StoreError(f"{folder / RUN} does not describe a run of modgap: name another folder.")
    if found.get("version") != VERSION:
        raise StoreError(
            f"The run in {folder} is of version {found.get('version')}, this modgap writes version "
            f"{VERSION}: name another folder."
        )
    return found


def the_run(folder: Path) -> dict[str, Any]:
    """As `read_run`, of a folder that has to hold a run.

    Raises
    ------
    StoreError
        There is none.
    """
    found = read_run(folder)
    if found is None:
        raise StoreError(f"There is no run in {folder}: it would hold a run.json.")
    return found


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Write run.json, by one rename."""
    body = {"format": FORMAT, "version": VERSION, **run}
    write_atomic(folder / RUN, json.dumps(body, indent=1, ensure_ascii=False).encode())


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What keeps a run from being gone on with, one short text each.

    Models, a recogniser or a base that only one of the two knows more of are no difference; neither
    is a model that is new, with a base of its own or not.
    """
    found = []
    for name in ("data", "inputs", "interventions", "settings", "scorers", "recognizer"):
        found += _differ(name, before.get(name), now.get(name))
    if before.get("base") and now.get("base"):
        found += _differ("base", before["base"], now["base"])
    found += _differ("the pipeline's text model", pipeline_llm(before), pipeline_llm(now))
    for name, record in now["models"].items():
        known = before["models"].get(name)
        if known and record:
            found += _differ(f"model {name}", known, record)
        if known is not None and any(name in run.get("bases", {}) for run in (before, now)):
            found += _differ(f"base of {name}", base_of(before, name), base_of(now, name))
    return found


def _differ(name: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        if name == "data":
            keys = dict.fromkeys(["sha256", "name", "limit", "questions"])
            if before.get("sha256") == now.get("sha256"):
                return []  # the same questions, whatever they are called
            if all(before.get(k) == now.get(k) for k in list(keys)[1:]):
                return ["the questions themselves (their texts or references were changed)"]
            keys.pop("sha256")
        elif name == "recognizer" or name.startswith("base"):
            keys = dict.fromkeys(k for k in keys if k in before and k in now)
        return [x for k in keys for x in _differ(f"{name} {k}", before.get(k), now.get(k))]
    if before == now:
        return []
    return [f"{name} ({_short(before)} before, {_short(now)} now)"]


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (
        text
        if len(text) <= 60
        else f"{text[:28]}...{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only writer of a run; the lock goes with the process, however it ends.

    Raises
    ------
    StoreError
        Another process of this machine, or of a file system that passes locks on, writes there.
    """

    def refuse() -> None:
        raise StoreError(
            f"Another process is writing the run in {folder}: wait for it, or name another folder."
        )

    with hold(folder / LOCK, refuse):
        yield


def started(
    settings: RunSettings, data: Mapping[str, Any], models: Sequence[str], scorers: Sequence[str]
) -> dict[str, Any]:
    """The run.json of a run that begins; `scorers` are those that its questions name."""
    from modgap.core.version import __version__

    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "finished": None,
        "versions": {"modgap": __version__, "method": str(METHOD_VERSION)}
        | {name: metadata.version(name) for name in ("torch", "transformers", "numpy")},
        "data": dict(data),
        "protocol": settings.protocol(scorers).record(),
        **settings.to_dict(),
        "scorers": {name: VERSIONS.get(name) for name in sorted(scorers)},
        "models": {name: {} for name in models},
    }

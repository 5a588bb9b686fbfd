"""What a page shows as three lines of Python, and as one command: both give the same numbers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modgap.audio.conditions import RATE
from modgap.core.settings import AnalysisSettings
from modgap.interventions.intervention import Intervention
from modgap.ui.server.models import SPREAD, ModelChoice
from modgap.ui.server.requests import AnalysisRequest
from modgap.ui.session import clip_in_use
from modgap.ui.session.state import visit

STORE = "store=modgap.default_store()"


@dataclass(frozen=True)
class Code:
    """`python` ends in a figure; `command` prints its numbers, empty where there is no command."""

    python: str
    command: str = ""


@dataclass(frozen=True)
class _Sound:
    """The clip in use, as both would read it."""

    python: str  # an expression
    needs: str  # its import
    command: tuple[str, ...]  # the argument, and the options of its part


def of_figure(request: AnalysisRequest, needs: str, figure: str, *command: str) -> Code:
    """The code of a figure of one clip in one model.

    Parameters
    ----------
    request : AnalysisRequest
        Of the clip in use.
    needs : str
        What is imported, such as ``"from modgap.figures import AlignmentMap"``.
    figure : str
        An expression that calls ``session``, a `modgap.Session`.
    command : str
        The command's name and further options; none where no command gives the numbers.
    """
    sound, settings = _sound(), _settings(request.settings)
    said = _arguments(settings)
    session = (
        f"session = modgap.Session({_model(request.choice, request.label)}, {sound.python}, "
        f"{request.transcript!r}{said}, {STORE})"
    )
    python = "\n".join((_imports(needs, sound.needs), session, f"figure = {figure}.figure()"))
    if not command:
        return Code(python)
    name, *more = command
    held = [*_held(request.choice), "--model", request.label]
    return Code(python, _shell(name, sound, request.transcript, [*held, *_flags(settings), *more]))


def of_curves(named: Sequence[tuple[str, AnalysisRequest, str]], key: str, band: bool) -> Code:
    """The code of the Layers page: `named` has the name, the request and the example's id of each
    curve; the id is empty for the clip in use."""
    runs, needs = [], {"from modgap.figures import LayerCurve, LayerCurves"}
    for name, request, example in named:
        sound = _of_example(example) if example else _sound()
        needs.add(sound.needs)
        said = _arguments(_settings(request.settings))
        runs.append(
            f"{name!r}: modgap.analyze({_model(request.choice, request.label)}, {sound.python}, "
            f"{request.transcript!r}{said}, {STORE})"
        )
    inside = ",\n    ".join(runs)
    drawn = f"LayerCurve.of(run, {key!r}, name, band={band}) for name, run in runs.items()"
    python = "\n".join(
        (
            _imports(*sorted(needs)),
            f"runs = {{\n    {inside},\n}}",
            f"figure = LayerCurves({key!r}, tuple({drawn})).figure()",
        )
    )
    if len(named) > 1:
        return Code(python)
    ((_, request, example),) = named
    sound = _of_example(example) if example else _sound()
    options = [*_held(request.choice), "--model", request.label]
    options += _flags(_settings(request.settings))
    return Code(python, _shell("analyze", sound, request.transcript, options))


def of_models(request: AnalysisRequest, models: Sequence[str], depth: float, measure: str) -> Code:
    """The code of the Compare page's maps."""
    sound, settings = _sound(), _settings(request.settings)
    said = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    python = "\n".join(
        (
            _imports("from modgap.figures import SideBySide", sound.needs),
            f"both = modgap.compare_models({list(models)!r}, {sound.python}, "
            f"{request.transcript!r}, modgap.AnalysisSettings({said}), {STORE})",
            f"figure = SideBySide.of(both.names, both.analyses, both.layers_at({depth!r}), "
            f"{measure!r}).figure()",
        )
    )
    options = [part for model in models for part in ("--model", model)]
    options += ["--measure", measure, *_flags(settings)]
    return Code(python, _shell("compare-models", sound, request.transcript, options))


def of_clips(
    request: AnalysisRequest, layer: int, measure: str, *, condition: str = "", file: str = ""
) -> Code:
    """The code of the maps of two clips: the one in use, and it under a condition, or a file."""
    sound, settings = _sound(), _settings(request.settings)
    said = _arguments(settings)
    second, more = f"modgap.load_clip({file!r})", ""
    if condition:
        second = (
            f"modgap.load_clip(perturb(first.resample({RATE}), "
            f"Perturbation.parse({condition!r})), rate={RATE})"
        )
        more = "from modgap.audio.perturbations import Perturbation, perturb"
    needs = _imports("from modgap.figures.relative_depth import SideBySide", sound.needs, more)
    found = (
        f"first = {sound.python}; found = modgap.compare_clips("
        f"{_model(request.choice, request.label)}, first, {second}, {request.transcript!r}{said}, "
        f"{STORE})"
    )
    figure = (
        f"figure = SideBySide.of(found.names, found.analyses, ({layer}, {layer}), {measure!r})"
        ".figure()"
    )
    python = "\n".join((needs, found, figure))
    whole = sound.command
    if condition or len(whole) > 1 or whole[0].startswith("example:"):
        return Code(python)  # the command takes two files as they are
    both = replace(sound, command=(*whole, _file(file)))
    options = [*_held(request.choice), "--model", request.label, *_flags(settings)]
    options += ["--measure", measure]
    return Code(python, _shell("compare-clips", both, request.transcript, options))


def of_run(
    name: str, needs: str, figure: str, *, models: Sequence[str] = (),
    where: Mapping[str, Sequence[str]] | None = None, by: str | None = None,
    tolerance: float | None = None,
) -> Code:  # fmt: skip
    """The code of a figure of a run; `figure` is an expression that calls ``run``."""
    python = "\n".join(
        (
            "from modgap.gap.run_folders import find_run; " + needs,
            f"run = find_run({name!r})",
            f"figure = {figure}.figure()",
        )
    )
    command = ["modgap", "gap", name]
    command += [part for model in models for part in ("--model", model)]
    command += ["--by", by] if by else []
    for facet, values in (where or {}).items():
        command += [part for value in values for part in ("--where", f"{facet}={value}")]
    command += [] if tolerance is None else ["--tolerance", f"{tolerance:g}"]
    return Code(python, shlex.join(command))


def stack_of(it: Intervention) -> str:
    """An intervention as Python says it."""
    return f"modgap.Intervention.from_text({it.to_text()!r})"


# ---- the parts ---------------------------------------------------------------------------------


def _imports(*needs: str) -> str:
    return "; ".join(dict.fromkeys(("import modgap", *(n for n in needs if n))))


def _sound() -> _Sound:
    ref = visit().clip
    assert ref is not None
    if ref.source == "question" and ref.run:
        python = f"find_question(find_run({ref.run!r}), {ref.id!r}).load()"
        needs = "from modgap.gap.run_folders import find_question, find_run"
        return _Sound(_cut(python), needs, (_file(ref.name), *_part()))
    if ref.source == "example":
        found = _of_example(ref.id)
        return _Sound(_cut(found.python), found.needs, (*found.command, *_part()))
    return _Sound(_cut(f"modgap.load_clip({ref.name!r})"), "", (_file(ref.name), *_part()))


def _of_example(id: str) -> _Sound:
    needs = "from modgap.analysis.examples import example"
    return _Sound(f"modgap.load_clip(example({id!r}).path)", needs, (f"example:{id}",))


def _file(name: str) -> str:
    return f"./{name}" if name.startswith(("-", "example:")) else name


def _cut(python: str) -> str:
    """The expression of the chosen part and channel."""
    used = clip_in_use.used()
    options = [f"{name}={used[name]!r}" for name in ("channel", "start", "end") if name in used]
    if not options:
        return python
    if python.startswith("modgap.load_clip("):
        return f"{python[:-1]}, {', '.join(options)})"
    return f"modgap.load_clip({python}, {', '.join(options)})"


def _part() -> tuple[str, ...]:
    """The same as options of a command."""
    return tuple(
        part
        for name, value in clip_in_use.used().items()
        for part in (f"--{name}", f"{value:g}" if name == "channel" else repr(value))
    )


def _model(choice: ModelChoice, label: str) -> str:
    plain = {"dtype": "auto", "device": "auto"}
    options = {n: v for n, v in choice.options.items() if n != "family" and plain.get(n) != v}
    return f"modgap.load_model({label!r}{_arguments(options)})"


def _held(choice: ModelChoice) -> list[str]:
    out = [] if choice.dtype == "auto" else ["--dtype", choice.dtype]
    if choice.device == SPREAD:
        out += ["--device-map", "auto"]
    elif choice.device != "auto":
        out += ["--device", choice.device]
    return out + ([] if choice.quantize == "none" else ["--quantize", choice.quantize])


def _settings(settings: AnalysisSettings) -> dict[str, Any]:
    """What is not the default."""
    plain = AnalysisSettings().to_dict()
    return {name: value for name, value in settings.to_dict().items() if value != plain[name]}


def _arguments(values: Mapping[str, Any]) -> str:
    """Further arguments of a call."""
    return "".join(f", {name}={value!r}" for name, value in values.items())


def _flags(settings: Mapping[str, Any]) -> list[str]:
    return [part for name, value in settings.items() for part in (f"--{name}", str(value))]


def _shell(command: str, sound: _Sound, transcript: str, options: Sequence[str]) -> str:
    words = f"@{transcript}" if transcript.startswith("@") else transcript
    parts = ["modgap", command, *sound.command, "--transcript", words, *options]
    if command == "analyze" and {"--start", "--end"} & set(sound.command):
        parts.append("--words-of-part")
    return shlex.join(parts)

"""`modgap eval`: whole data sets through models, and `modgap runs`: what came out."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, literal, say
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import Json, Models, PairMarkers, System, TextMarkers, TooLong
from modgap.cli.runs import RunFolder, export, judge
from modgap.core.errors import SettingsError
from modgap.speech.base import EMBEDDED

if TYPE_CHECKING:
    from modgap.core.progress import Progress
    from modgap.interventions.intervention import Stack

runs_app = typer.Typer(
    no_args_is_help=True, help="Look at runs of modgap eval, judge and export them."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        "eval",
        epilog="Example: modgap eval --data demo --model demo:lora@1 --model demo "
        "--inputs text,speech,pipeline --out runs/demo",
    )(evaluate)
    runs_app.command("info", epilog="Example: modgap runs info runs/demo")(info)
    runs_app.command("export", epilog="Example: modgap runs export runs/mine --out results")(export)
    runs_app.command(
        "judge",
        epilog="Example: modgap runs judge runs/mine --judge-url http://localhost:8000/v1 "
        "--judge-model NAME",
    )(judge)
    app.add_typer(runs_app, name="runs")


@with_model(named=False)
def evaluate(
    how: ModelOptions,
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on with it.")],
    data: Annotated[
        str,
        typer.Option(help="A manifest, or demo, demo:clean+noisy, ...: see the docs."),
    ] = "demo",
    model: Models = None,
    inputs: Annotated[
        str, typer.Option(help="Of text, speech, pipeline, base, with commas.")
    ] = "text,speech",
    intervention: Annotated[
        list[str] | None,
        typer.Option(help="As in a link, or NAME:: before it: 'all::angle,tokens=all'. Again."),
    ] = None,
    heard: Annotated[
        bool, typer.Option("--heard", help="Ask the model, too, to write down what it hears.")
    ] = False,
    heard_instruction: Annotated[
        str | None, typer.Option(help="By which it is asked; default: the embedded family's.")
    ] = None,
    heard_by: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="Whose words the interventions pair the speech with, in the place of the "
            "transcript: own (the model's), or recognizer (--recognizer).",
        ),
    ] = None,
    recognizer: Annotated[
        str,
        typer.Option(
            help="Of the pipeline, a Whisper: whisper-tiny.en, fetched on first use, a folder or a "
            "hub id."
        ),
    ] = EMBEDDED,
    base: Annotated[
        list[str] | None,
        typer.Option(
            help="Text model of the input base; demo:base is the embedded one. Or MODEL=TEXT_MODEL "
            "for one of the models. Can be given again."
        ),
    ] = None,
    pipeline_llm: Annotated[
        str,
        typer.Option(
            help="What answers in the pipeline: base, or own, each model's own text side. By "
            "default the base, where one is named."
        ),
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many questions.")] = None,
    instruction: Annotated[
        str, typer.Option(help="Typed beside each question that brings no instruction of its own.")
    ] = "",
    system: System = None,
    markers: PairMarkers = "keep",
    text_markers: TextMarkers = "drop",
    too_long: TooLong = "fail",
    prompt: Annotated[
        str,
        typer.Option(
            help="plain: the same for all families; vendor: separator, order, system text and "
            "decoding of each model's publisher; voicebench: as VoiceBench does, which is its own "
            "data's default. Else plain."
        ),
    ] = "",
    decoding: Annotated[
        str,
        typer.Option(
            help="greedy, or vendor: as each generation_config says. By default as the prompt is."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of sampled answers.")] = 0,
    transcribed: Annotated[
        bool | None,
        typer.Option(
            help="Whether the pipeline's text model is told that the words are transcribed "
            "speech. By default yes, but of demo."
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="Longest answer. By default the data set's own: VoiceBench 2048, demo 48, a "
            "manifest 256."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Prompts that are answered together.")] = 16,
    unit: Annotated[
        int, typer.Option(min=1, help="Questions that are done and written together.")
    ] = 32,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again what could not be run before.")
    ] = False,
    part_seconds: Annotated[
        float, typer.Option(min=0.0, help="Rows are written that often.")
    ] = 20.0,
    engine: Annotated[
        str, typer.Option(help="local, or ray: over GPUs and machines (pip install modgap[ray]).")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster, or auto; else one starts here.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ray's workers; by default one a GPU, or a CPU.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Ask models all questions of a data set, typed and spoken; killed, it goes on."""
    from modgap.evaluation.runs.run_settings import RunSettings

    models = model or ["demo"]
    how.check(models)
    if engine not in ("local", "ray"):
        raise SettingsError(f"The engine is local or ray, not {engine!r}.")
    if engine == "local" and (address is not None or workers is not None):
        raise SettingsError("--address and --workers go with --engine ray.")
    wanted = tuple(part.strip() for part in inputs.split(",") if part.strip())
    asked = ""
    if heard or heard_instruction is not None:
        from modgap.models.prompt import TRANSCRIBE

        asked = heard_instruction or TRANSCRIBE
    text, bases = _bases(base or [], models)
    settings = RunSettings(
        inputs=wanted,
        interventions=tuple(_named(text) for text in intervention or ()),
        max_new_tokens=max_new_tokens,
        prompt=prompt,
        decoding=decoding,
        seed=seed,
        transcribed=transcribed,
        instruction=instruction,
        system=system,
        markers=markers,
        too_long=too_long,
        text_markers=text_markers,
        heard=asked,
        heard_by=heard_by or "",
        recognizer=recognizer,
        base=text,
        bases=bases,
        pipeline_llm=pipeline_llm,
    )
    from modgap.cli.render import progress_bar
    from modgap.evaluation.runs.runner import Loader
    from modgap.evaluation.runs.runner import evaluate as run

    spread = None
    if engine == "ray":
        from modgap.evaluation.runs.ray_engine import RayEngine

        spread = RayEngine(address, workers)
    with progress_bar("reading the questions") as bar:
        summary = run(
            out, data, models, settings, limit=limit, retry=retry,
            loader=Loader(options=how.options, batch=batch, unit=unit),
            part_seconds=part_seconds, engine=spread, progress=bar or _lines(),
        )  # fmt: skip
    found = _print(out)
    rate = summary.now / max(1e-9, summary.seconds)
    print(
        literal(
            f"{summary.now} clips in {summary.seconds:.1f} s ({rate:.2f} a second), "
            f"{summary.before} were done before; the run is in {out}"
        )
    )
    if summary.unloadable:
        name, reason = next(iter(summary.unloadable.items()))
        raise SettingsError(
            f"{len(summary.unloadable)} of the models could not be loaded, {name} for this: "
            f"{reason}"
        )
    _judged_at_all(found)


def info(
    run: RunFolder,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say how a run was made, what of it is done, what failed, and the accuracies."""
    from modgap.gap.overview import overview

    if not as_json:
        _print(run)
        return
    sys.stdout.write(json.dumps(overview(run), indent=1, ensure_ascii=False) + "\n")


def _judged_at_all(found: dict[str, Any]) -> None:
    """A side of which nothing was judged has no accuracy, and with it there is no gap.

    Raises
    ------
    SettingsError
        There is one, other than by questions that wait for a judge.
    """
    waits = set(found["scorers"]) <= {"judge"}
    for row in found["table"]:
        if row["answers"] > row["not_judged"]:
            continue
        side = f"{row['model']}, {row['input']}"
        if row["answers"] and waits:
            say("warning: no answer is judged yet, they wait for a judge: modgap runs judge RUN")
            return
        why = "its references cannot be used" if row["answers"] else "all of them failed"
        raise SettingsError(
            f"No answer of {side} is judged: {why}, so there is no accuracy and no gap. "
            "`modgap runs info` shows the reasons; mend the data, and give --retry."
        )


def _print(folder: Path) -> dict[str, Any]:
    from modgap.cli.render import print_table
    from modgap.gap.overview import overview
    from modgap.gap.prompts import prompts_note

    found = overview(folder)
    data, s, whole = found["data"], found["settings"], found["finished"]
    print(literal(f"{data['name']}: {data['questions']} questions, {_ways(found)}"))
    print(
        f"prompt {s.get('prompt', 'plain')}, decoding {s['decoding']}, up to "
        f"{s['max_new_tokens']} new tokens; begun {found['created']}, "
        f"{f'whole since {whole}' if whole else 'not whole'}"
    )
    print(literal(prompts_note(found)))
    print_table(
        ("model", "input", "answers", "accuracy", "not judged", "unparsed", "cut", "failed"),
        (
            (
                r["model"], r["input"], str(r["answers"]),
                "-" if r["accuracy"] is None else f"{100 * r['accuracy']:.1f} %",
                str(r["not_judged"]), str(r["unparsed"]), str(r["cut"]), str(r["failed"]),
            )
            for r in found["table"]
        ),
    )  # fmt: skip
    for row in found["too_long"]:
        print(literal(_too_long(row)))
    for warning in found["warnings"]:
        say(f"warning: {warning}")
    for reason in found["reasons"]:
        print(literal(f"failed, {reason['count']}: {reason['kind']}: {reason['example']}"))
    return found


def _too_long(row: dict[str, Any]) -> str:
    beyond = (
        f"{row['model']}: {row['longer']} of {row['clips']} clips ({row['share']:.1%}) are longer "
        f"than the {row['seconds']:g} s that it takes"
    )
    if row["how"] == "cut":
        return f"{beyond}; it heard their beginning"
    return f"{beyond}; they failed, and are in no pair of text and speech (--too-long cut)"


def _ways(found: dict[str, Any]) -> str:
    ways = [*found["inputs"], *(f"speech+{name}" for name in found["interventions"])]
    beside = [found[k]["name"] for k in ("recognizer", "base") if k in found]
    beside += [f"{about['name']} for {model}" for model, about in found.get("bases", {}).items()]
    return ", ".join(ways) + (f" (with {', '.join(beside)})" if beside else "")


def _bases(given: list[str], models: list[str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The base of all, and those of single models; a path may have a = of its own."""
    bare: list[str] = []
    own: dict[str, str] = {}
    for text in given:
        model, _, base = text.partition("=")
        if model in models and base:
            if own.setdefault(model, base) != base:
                raise SettingsError(f"--base names two text models for {model}: leave one out.")
        elif "=" in text and not Path(text).exists():
            raise SettingsError(
                f"--base {text}: {model!r} is none of the models of this call "
                f"({', '.join(models)})."
            )
        else:
            bare.append(text)
    if len(set(bare)) > 1:
        raise SettingsError(
            f"--base names {bare[0]} and {bare[1]}: give one for all, and the others as "
            "MODEL=TEXT_MODEL."
        )
    return (bare[0] if bare else ""), tuple(own.items())


def _named(text: str) -> tuple[str, Stack]:
    from modgap.interventions.intervention import parse_stack

    name, two, what = text.partition("::")
    return (name.strip(), parse_stack(what)) if two else (text.strip(), parse_stack(text))


def _lines(every: float = 60.0) -> Progress:
    """A line a minute, where there is no terminal for a bar."""
    last = time.monotonic()

    def report(_: float, note: str) -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            say(note)

    return report

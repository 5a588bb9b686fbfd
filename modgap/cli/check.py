"""`modgap check`: is a model what it is in plain transformers, and does it hear?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.inputs import read_clip, read_transcript
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import Cache, Channel, Json, ModelName
from modgap.core.errors import SettingsError
from modgap.core.files import write_atomic

if TYPE_CHECKING:
    from modgap.analysis.fidelity_report import Check, CheckReport
    from modgap.analysis.listening import Listening

FAILED_CHECK = 1


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(epilog="Example: modgap check demo")(check)


@with_model(named=False)
def check(
    name: ModelName,
    how: ModelOptions,
    clip: Annotated[
        Path | None, typer.Option(help="An audio file instead of synthetic tones.")
    ] = None,
    channel: Channel = None,
    transcript: Annotated[
        str | None, typer.Option(help="What is said in it, or @FILE; needs --clip.")
    ] = None,
    listens: Annotated[
        bool,
        typer.Option(
            "--listen/--no-listen",
            help="Let it write down shipped clips and answer a spoken question, too.",
        ),
    ] = True,
    out: Annotated[Path | None, typer.Option(help="Keep the page as JSON in this file.")] = None,
    as_json: Json = False,
    cache: Cache = True,
    debug: Debug = False,
) -> None:
    """The first thing to do with a model: is it right here, and does it hear?

    Logits, states, edits and prompts against plain transformers and the vendor's processor, without
    --dtype in float32 and in bfloat16; then what it writes down of shipped clips, its answer to a
    spoken question, time and memory. Exit code 1 if a check fails or it does not hear.
    """
    if (clip is None) != (transcript is None):
        raise SettingsError("--clip and --transcript go together: give both, or neither.")
    if clip is None and channel is not None:
        raise SettingsError("--channel goes with --clip: give both, or neither.")
    sound: dict[str, Any] = {}
    if clip is not None and transcript is not None:
        words = read_transcript(transcript)
        sound = {"clip": read_clip(clip, channel=channel), "transcript": words}
    from modgap.analysis.fidelity_report import check_model
    from modgap.cli.render import progress_bar
    from modgap.models.loading.load import load_quietly
    from modgap.store.cache import default_store

    options = dict(how.only)
    dtype = options.pop("dtype")
    with progress_bar(f"checking {name}") as report:
        found = check_model(
            name,
            dtypes=None if dtype == "auto" else (dtype,),
            listens=listens,
            store=default_store() if cache else None,
            progress=report,
            loader=load_quietly,
            **sound,
            **options,
        )
    page = json.dumps(found.to_dict(), indent=1) + "\n"
    if out is not None:
        write_atomic(out, page.encode())
    if as_json:
        sys.stdout.write(page)
    else:
        _print(found)
    raise typer.Exit(0 if found.accepted else FAILED_CHECK)


def _print(found: CheckReport) -> None:
    from modgap.cli.render import print_table

    model, libraries = found.model, found.versions
    source = f", from the cache ({found.created})" if found.from_cache else ""
    held = "".join(f", {model[k]}" for k in ("quantization", "adapter") if model[k])
    print(
        literal(
            f"{model['name']}{held} ({model['model_type']}) on {model['device']}, transformers "
            f"{libraries['transformers']}, torch {libraries['torch']}{source}"
        )
    )
    print_table(
        ("dtype", "prompt", "check", "difference", "epsilons", "limit", "", ""),
        (
            (
                c.dtype,
                c.prompt,
                c.name,
                _number(c.difference),
                _number(c.epsilons),
                f"{c.limit:g}" if c.difference is not None else "",
                _verdict(c),
                c.note,
            )
            for c in found.checks
        ),
    )
    if found.listening is not None:
        _print_listening(found.listening)
    print(literal(found.sentence))


def _print_listening(found: Listening) -> None:
    from modgap.cli.render import size

    lines = []
    for clip in found.clips:
        how = f"asked {clip.asked!r}" if clip.asked else "asked by the clip alone"
        rate = "no words" if clip.wer is None else f"word error rate {clip.wer:.2f}"
        lines += [f"{clip.clip}, {how}: {rate}", f"  said:  {clip.said}", f"  heard: {clip.heard}"]
    if found.question:
        lines.append(f"question: {found.question} ({found.reference})")
        for name in ("typed", "spoken"):
            right = "right" if getattr(found, f"{name}_right") else "wrong"
            lines.append(f"  {name}, {right}: {getattr(found, name)}")
    times = (
        ("to load", found.load_seconds), ("to the first token of the spoken question",
        found.first_seconds), ("for each further token", found.token_seconds),
    )  # fmt: skip
    took = [f"{seconds:.3g} s {what}" for what, seconds in times if seconds is not None]
    took.append(f"weights of {size(found.weights_bytes)}, at most {size(found.peak_bytes)} in use")
    for line in (*lines, f"{found.dtype}: {', '.join(took)}", found.sentence):
        print(literal(line))


def _verdict(check: Check) -> str:
    return {True: "pass", False: "FAIL", None: "not run"}[check.passed]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"

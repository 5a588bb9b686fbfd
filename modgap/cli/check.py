"""`modgap check`: does a model compute here what it computes in plain transformers?"""

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

if TYPE_CHECKING:
    from modgap.analysis.fidelity_report import Check, CheckReport

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
    as_json: Json = False,
    cache: Cache = True,
    debug: Debug = False,
) -> None:
    """Compare a model with plain transformers: logits, states, edits, prompts; per dtype.

    Without --dtype in float32 and in bfloat16. Exit code 1 if a check fails.
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
            store=default_store() if cache else None,
            progress=report,
            loader=load_quietly,
            **sound,
            **options,
        )
    if as_json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=1) + "\n")
    else:
        _print(found)
    raise typer.Exit(0 if found.passed else FAILED_CHECK)


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
    print(literal(found.sentence))


def _verdict(check: Check) -> str:
    return {True: "pass", False: "FAIL", None: "not run"}[check.passed]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"

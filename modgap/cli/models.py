"""`modgap models`: what can be named, and what a model would take before it is loaded."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli import families
from modgap.cli.errors import Debug, say
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import Json, ModelName
from modgap.cli.render import print_table, size

if TYPE_CHECKING:
    from modgap.models.loading.memory import MemoryEstimate

models_app = typer.Typer(
    invoke_without_command=True,
    help="List the models that can be named, and whether they are on this machine.",
    epilog="Example: modgap models info Qwen/Qwen2-Audio-7B-Instruct",
)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(models_app, name="models")


@models_app.callback()
def models(context: typer.Context, debug: Debug = False) -> None:
    """List the models that can be named, and whether they are on this machine."""
    if context.invoked_subcommand is None:
        print_table(("name", "kind", "state", "size", "description"), rows())
        families.print_families()


@models_app.command(
    epilog="Example: modgap models info Qwen/Qwen2-Audio-7B-Instruct --quantize 4bit"
)
@with_model(named=False)
def info(
    name: ModelName,
    how: ModelOptions,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of the clip to plan for.")] = 30.0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a model and a clip in it would take, from its config alone."""
    from modgap.models.loading.memory import Machine, estimate_memory

    found = estimate_memory(name, seconds=seconds, **how.only)
    machine = Machine.here()
    fit = found.fit(machine, how.device, how.device_map)
    if as_json:
        values = found.to_dict() | {
            "machine": {"ram": machine.ram, "gpus": [list(gpu) for gpu in machine.gpus]},
            "verdict": fit.verdict,
            "sentence": fit.sentence,
        }
        sys.stdout.write(json.dumps(values, indent=1) + "\n")
    else:
        print_table(("model", ""), _lines(found, fit.sentence))
    if fit.verdict != "fits":
        say(f"warning: {fit.sentence}")


def _lines(found: MemoryEstimate, sentence: str) -> list[tuple[str, str]]:
    from modgap.models.loading.memory import TEMPLATES

    held = found.quantize or found.dtype
    lines: list[tuple[str, Any]] = [
        ("name", found.name),
        ("family", found.model_type),
        ("parameters", f"{found.parameters:,}"),
        ("layers, hidden size", f"{found.n_layers}, {found.hidden_size}"),
        ("longest clip", _limit(found)),
        ("a speech position covers", _unless(found.seconds_per_position, "{:g} s")),
        ("chat template", TEMPLATES[found.template]),
        *((f"weights in {way}", size(count)) for way, count in found.ways.items()),
    ]
    if found.adapter:
        lines.append(("adapter", size(found.adapter)))
    lines += [
        (f"clip of {found.clip_seconds:g} s: {part}", size(count))
        for part, count in found.clip.items()
    ]
    lines += [(f"together, in {held}", size(found.total)), ("this machine", sentence)]
    return lines


def _limit(found: MemoryEstimate) -> str:
    if found.known and found.max_seconds is None:
        return "no limit"
    return _unless(found.max_seconds, "{:g} s")


def _unless(value: float | None, form: str) -> str:
    return "not known before its processor is here" if value is None else form.format(value)


def rows() -> list[tuple[str, str, str, str, str]]:
    """Name, kind, state, size and description of every model that can be named."""
    from modgap.models.loading.load import list_models

    cached = _downloaded()
    found = []
    for entry in list_models():
        kind, state, held = "embedded", "ready", "-"
        if not entry.shipped:
            kind, state = "hub", "fetched when first used"
            if entry.name in cached:
                state, held = "downloaded", size(cached[entry.name])
        found.append((entry.name, kind, state, held, entry.description))
    return found


def _downloaded() -> dict[str, int]:
    """Bytes on this machine of each model from the hub."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        return {repo.repo_id: repo.size_on_disk for repo in scan_cache_dir().repos}
    except (CacheNotFound, OSError, ValueError):
        return {}

"""`modgap intervene`: the answer before an intervention, after it, and to the text."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.inputs import parse_layers
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import (
    Cache,
    Channel,
    Clip,
    Instruction,
    Json,
    MaxTokens,
    Measure,
    PathKind,
    PathLayer,
    Transcript,
)
from modgap.cli.session import session_of
from modgap.core.errors import SettingsError

if TYPE_CHECKING:
    pass


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        epilog="Example: modgap intervene clip.wav --transcript 'what is two plus two' "
        "--rule angle --tokens all --strength 0.5"
    )(intervene)


@with_model()
def intervene(
    clip: Clip,
    transcript: Transcript,
    how: ModelOptions,
    channel: Channel = None,
    instruction: Instruction = "",
    rule: Annotated[
        str, typer.Option(help="angle, length, both, patch, mean or random.")
    ] = "angle",
    layer: Annotated[str, typer.Option(help="Where it acts: 0 is the embeddings; 0,4-6.")] = "0",
    tokens: Annotated[
        str, typer.Option(help="bottom-3, top-3, random-3 (any number) or all.")
    ] = "bottom-3",
    pair: Annotated[
        list[str] | None,
        typer.Option(help="A pair SPEECH:TEXT of positions instead. Can be given again."),
    ] = None,
    strength: Annotated[float, typer.Option(help="From 0 to 1.")] = 1.0,
    path: PathKind = "argmax",
    measure: Measure = "cosine",
    path_layer: PathLayer = None,
    seed: Annotated[int, typer.Option(help="Of random tokens and directions.")] = 0,
    interventions: Annotated[
        str | None,
        typer.Option(help="Several, as JSON or as in a link; replaces the options above."),
    ] = None,
    as_json: Json = False,
    cache: Cache = True,
    max_new_tokens: MaxTokens = 48,
    debug: Debug = False,
) -> None:
    """Answer a clip before and after an intervention, and its transcript."""
    from modgap.interventions.intervention import Intervention, parse_stack

    if interventions is not None:
        stack = parse_stack(interventions)
        if not stack:
            raise SettingsError(
                "--interventions names none: give at least one, such as 'angle,tokens=all'."
            )
    else:
        values: dict[str, Any] = {
            "rule": rule,
            "layers": parse_layers(layer),
            "tokens": tokens,
            "strength": strength,
            "path": path,
            "measure": measure,
            "path_layer": path_layer,
            "seed": seed,
        }
        if pair:
            values |= {"tokens": "given", "pairs": [p.split(":") for p in pair]}
        stack = (Intervention.from_dict(values),)
    if any(it.tokens == "given" and not it.pairs for it in stack):
        raise SettingsError(
            "tokens given without pairs would change nothing: name each with --pair SPEECH:TEXT, "
            "or as pairs=3:0+9:2 in --interventions."
        )
    session = session_of(
        clip,
        channel,
        transcript,
        how,
        cache,
        instruction=instruction,
        max_new_tokens=max_new_tokens,
    )
    from modgap.cli.render import print_table, progress_bar

    with progress_bar("answering") as report:
        found = session.compare(stack, progress=report)
    if as_json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    print_table(
        ("answer", ""),
        (
            ("to the text", found.text.text.strip()),
            ("to the speech, before", found.before.text.strip()),
            ("to the speech, after", found.after.text.strip()),
        ),
    )
    print(
        literal(
            f"KL of the first token from the text's: {found.kl_before:.3f} before, "
            f"{found.kl_after:.3f} after (nats)"
        )
    )
    print_table(
        ("text token", "piece", "speech token", "seconds", found.interventions[0].measure, ""),
        (
            (
                str(p.j),
                p.piece,
                str(p.i),
                f"{p.start:.2f}-{p.end:.2f}",
                f"{p.value:.3f}",
                "" if p.used else "goes with a nearer token",
            )
            for p in found.pairs.itertuples()
        ),
    )
    print_table(
        ("layer", "cosine", "after", "APS cos", "after"),
        (
            (
                str(r.layer),
                f"{r.cosine_before:.3f}",
                f"{r.cosine_after:.3f}",
                f"{r.aps_cos_before:.3f}",
                f"{r.aps_cos_after:.3f}",
            )
            for r in found.layers.itertuples()
        ),
    )

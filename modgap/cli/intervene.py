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
    End,
    HeardBy,
    Instruction,
    Json,
    KeepLength,
    MapName,
    Markers,
    MaxTokens,
    Measure,
    PathKind,
    PathLayer,
    Start,
    TooLong,
)
from modgap.cli.session import NO_WORDS, session_of, words_of
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
    how: ModelOptions,
    transcript: Annotated[
        str | None,
        typer.Option(
            help="What is said, or @FILE that holds it (UTF-8). The rule map needs none; for the "
            "others, see --heard-by."
        ),
    ] = None,
    heard_by: HeardBy = None,
    channel: Channel = None,
    start: Start = None,
    end: End = None,
    instruction: Instruction = "",
    too_long: TooLong = "fail",
    markers: Markers = "keep",
    rule: Annotated[
        str | None,
        typer.Option(help="angle, length, both, patch, mean, random or map; angle, or map where "
                     "--map is given."),
    ] = None,
    map_name: MapName = "",
    keep_length: KeepLength = False,
    layer: Annotated[
        str | None,
        typer.Option(help="Where it acts: 0 is the embeddings (default; a map's own layer); "
                     "0,4-6."),
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(help="bottom-3 (default), top-3, random-3 (any number) or all (default of "
                     "a map: every speech position)."),
    ] = None,
    position: Annotated[
        list[int] | None,
        typer.Option(help="Of the rule map: this speech position. Can be given again."),
    ] = None,
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
) -> None:  # fmt: skip
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
            "rule": rule or ("map" if map_name else "angle"),
            "layers": parse_layers(layer) if layer else (0,),
            "tokens": tokens or "",
            "map": map_name,
            "keep_length": keep_length,
            "strength": strength,
            "path": path,
            "measure": measure,
            "path_layer": path_layer,
            "seed": seed,
        }
        if pair:
            values |= {"tokens": "given", "pairs": [p.split(":") for p in pair]}
        if position:
            values |= {"tokens": "given", "positions": position}
        if map_name and layer is None:
            from modgap.interventions.maps.files import load_map

            values["layers"] = (load_map(map_name).layer,)
        stack = (Intervention.from_dict(values),)
    if any(it.tokens == "given" and not (it.pairs or it.positions) for it in stack):
        raise SettingsError(
            "tokens given without pairs would change nothing: name each with --pair SPEECH:TEXT, "
            "or as pairs=3:0+9:2 in --interventions."
        )
    words = words_of(transcript, heard_by)
    if words is None and any(it.needs_words for it in stack):
        raise SettingsError(NO_WORDS)
    session = session_of(
        clip,
        channel,
        words,
        how,
        cache,
        start=start,
        end=end,
        instruction=instruction,
        too_long=too_long,
        markers=markers,
        max_new_tokens=max_new_tokens,
    )
    from modgap.cli.render import print_notes, print_table, progress_bar

    with progress_bar("answering") as report:
        found = session.compare(stack, progress=report)
    if as_json:
        body = {**found.to_dict(), "notes": list(session.notes)}
        sys.stdout.write(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return
    print_notes(session.notes, told=session.clip.notes)
    if heard_by is not None:
        print(literal(f"heard: {found.transcript}"))
    spoken = [
        ("to the speech, before", found.before.text.strip()),
        ("to the speech, after", found.after.text.strip()),
    ]
    if found.text is None:
        print_table(("answer", ""), spoken)
        return
    print_table(("answer", ""), [("to the text", found.text.text.strip()), *spoken])
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

"""`modgap sweep`: interventions over layers and strengths, or activation patching."""

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
    Measure,
    Out,
    PathKind,
    PathLayer,
    Start,
    TooLong,
)
from modgap.cli.session import NO_WORDS, session_of, words_of
from modgap.core.errors import SettingsError
from modgap.core.files import table_bytes, write_atomic

if TYPE_CHECKING:
    pass


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        epilog="Example: modgap sweep clip.wav --transcript @words.txt --rule angle --rule patch"
    )(sweep)


@with_model()
def sweep(
    clip: Clip,
    how: ModelOptions,
    transcript: Annotated[
        str | None, typer.Option(help="What is said, or @FILE that holds it (UTF-8).")
    ] = None,
    heard_by: HeardBy = None,
    channel: Channel = None,
    start: Start = None,
    end: End = None,
    instruction: Instruction = "",
    too_long: TooLong = "fail",
    markers: Markers = "keep",
    rule: Annotated[
        list[str] | None, typer.Option(help="A rule. Can be given again; angle and length.")
    ] = None,
    map_name: MapName = "",
    keep_length: KeepLength = False,
    layers: Annotated[str | None, typer.Option(help="Such as 0,4-6; all by default.")] = None,
    tokens: Annotated[
        list[str] | None, typer.Option(help="Can be given again; bottom-3 and all.")
    ] = None,
    strength: Annotated[
        list[float] | None, typer.Option(help="Can be given again; 0.25, 0.5, 0.75 and 1.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The target answer; the answer to the text by default.")
    ] = None,
    patch: Annotated[
        bool, typer.Option("--patch", help="Activation patching per layer and word instead.")
    ] = False,
    where: Annotated[
        str,
        typer.Option(
            help="With --patch: word (its aligned span), segment (DTW), pair (best-matching "
            "token) or after (tokens behind the audio)."
        ),
    ] = "word",
    draws: Annotated[
        int, typer.Option(min=0, help="With --patch: how often random positions are the control.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="With --patch: of the random positions.")] = 0,
    path: PathKind = "argmax",
    measure: Measure = "cosine",
    path_layer: PathLayer = None,
    out: Out = None,
    as_json: Json = False,
    cache: Cache = True,
    debug: Debug = False,
) -> None:
    """How much likelier interventions over layers and strengths make the target answer."""
    if "given" in (tokens or ()):
        raise SettingsError(
            "A sweep takes no pairs, and tokens given without them would change nothing: use "
            "bottom-3, top-3, random-3 (any number) or all."
        )
    words = words_of(transcript, heard_by)
    if words is None:
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
        markers=markers,
        too_long=too_long,
    )
    import numpy as np

    from modgap.analysis.export import records
    from modgap.cli.render import print_notes, print_table, progress_bar

    options: dict[str, Any] = {
        "layers": None if layers is None else parse_layers(layers),
        "measure": measure,
        "path_layer": path_layer,
        "target": target,
    }
    grid = {"rules": rule, "tokens": tokens, "strengths": strength}
    with progress_bar("plain runs") as report:
        if patch:
            more: dict[str, Any] = {"where": where, "draws": draws, "seed": seed}
            made: Any = session.patching(progress=report, **options, **more)
        else:
            options |= {name: values for name, values in grid.items() if values}
            if map_name:
                options |= {"map": map_name, "keep_length": keep_length}
            made = session.sweep(progress=report, path=path, **options)
    table = made.table() if patch else made.table
    if out is not None:
        write_atomic(out, table_bytes(table))
    if as_json:
        head = {"target": made.target, "plain": made.plain, "text": made.text}
        body = {**head, "notes": list(session.notes), "rows": records(table)}
        sys.stdout.write(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return
    print_notes(session.notes, told=session.clip.notes)
    print(
        literal(
            f"log-probability of {made.target!r}: {made.plain:.3f} from the speech, "
            f"{made.text:.3f} from the text (nats)"
        )
    )
    rows = "j" if patch else ["rule", "tokens", "strength"]
    wide = table.pivot(index=rows, columns="layer", values="change")
    if patch:
        heads = ["piece"]
        names = [[made.pieces[j]] for j in wide.index]
    else:
        heads = ["rule", "tokens", "strength"]
        names = [[str(part) for part in key] for key in wide.index]
    print_table(
        (*heads, *(f"layer {k}" for k in wide.columns)),
        (
            (*name, *("-" if v != v else f"{v:+.2f}" for v in values))
            for name, values in zip(names, wide.to_numpy(), strict=True)
        ),
    )
    if patch and made.where != "after":
        counts = made.counts
        print(
            literal(
                f"{counts.min()} to {counts.max()} of {len(made.times)} positions a cell"
                + (f", words timed by {made.source}" if made.source else "")
                + f"; Spearman's rho of |change| and their number: {made.size_effect:.2f}"
            )
        )
        if draws:
            print("as many random positions (mean change by layer): " + ", ".join(
                f"{k}: {v:+.2f}" for k, v in zip(made.layers, np.nanmean(made.control, axis=1),
                                                 strict=True)
            ))  # fmt: skip

"""The commands that change something: `modgap intervene`, `modgap sweep`, and the trials'."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.inputs import parse_layers, read_clip, read_transcript
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import (
    Cache,
    Channel,
    Clip,
    Instruction,
    Json,
    MaxTokens,
    Measure,
    Out,
    PathKind,
    PathLayer,
    Transcript,
)
from modgap.cli.table1 import table1
from modgap.core.errors import SettingsError
from modgap.core.files import table_bytes, write_atomic

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        epilog="Example: modgap intervene clip.wav --transcript 'what is two plus two' "
        "--rule angle --tokens all --strength 0.5"
    )(intervene)
    app.command(
        epilog="Example: modgap sweep clip.wav --transcript @words.txt --rule angle --rule patch"
    )(sweep)
    app.command(epilog="Example: modgap table1 --data demo --model demo:full --model demo:lora")(
        table1
    )


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
            "rule": rule, "layers": parse_layers(layer), "tokens": tokens, "strength": strength,
            "path": path, "measure": measure, "path_layer": path_layer, "seed": seed,
        }  # fmt: skip
        if pair:
            values |= {"tokens": "given", "pairs": [p.split(":") for p in pair]}
        stack = (Intervention.from_dict(values),)
    if any(it.tokens == "given" and not it.pairs for it in stack):
        raise SettingsError(
            "tokens given without pairs would change nothing: name each with --pair SPEECH:TEXT, "
            "or as pairs=3:0+9:2 in --interventions."
        )
    lm, words, sound = _ready(clip, channel, transcript, how)
    from modgap.analysis.comparison import compare
    from modgap.cli.render import print_table, progress_bar
    from modgap.store.cache import default_store

    with progress_bar("answering") as report:
        found = compare(
            lm, sound, words, stack, progress=report, instruction=instruction,
            max_new_tokens=max_new_tokens, store=default_store() if cache else None,
        )  # fmt: skip
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
                str(p.j), p.piece, str(p.i), f"{p.start:.2f}-{p.end:.2f}", f"{p.value:.3f}",
                "" if p.used else "goes with a nearer token",
            )
            for p in found.pairs.itertuples()
        ),
    )  # fmt: skip
    print_table(
        ("layer", "cosine", "after", "APS cos", "after"),
        (
            (
                str(r.layer), f"{r.cosine_before:.3f}", f"{r.cosine_after:.3f}",
                f"{r.aps_cos_before:.3f}", f"{r.aps_cos_after:.3f}",
            )
            for r in found.layers.itertuples()
        ),
    )  # fmt: skip


@with_model()
def sweep(
    clip: Clip,
    transcript: Transcript,
    how: ModelOptions,
    channel: Channel = None,
    instruction: Instruction = "",
    rule: Annotated[
        list[str] | None, typer.Option(help="A rule. Can be given again; angle and length.")
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Such as 0,4-6; all by default.")] = None,
    tokens: Annotated[
        list[str] | None, typer.Option(help="Can be given again; bottom-3 and all.")
    ] = None,
    strength: Annotated[
        list[float] | None, typer.Option(help="Can be given again; 0.25, 0.5, 0.75 and 1.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The wanted answer; the answer to the text by default.")
    ] = None,
    patch: Annotated[
        bool, typer.Option("--patch", help="Activation patching per layer and word instead.")
    ] = False,
    path: PathKind = "argmax",
    measure: Measure = "cosine",
    path_layer: PathLayer = None,
    out: Out = None,
    as_json: Json = False,
    cache: Cache = True,
    debug: Debug = False,
) -> None:
    """How much likelier interventions over layers and strengths make the wanted answer."""
    if "given" in (tokens or ()):
        raise SettingsError(
            "A sweep takes no pairs, and tokens given without them would change nothing: use "
            "bottom-3, top-3, random-3 (any number) or all."
        )
    lm, words, sound = _ready(clip, channel, transcript, how)
    from modgap.analysis import sweeps
    from modgap.analysis.edit_record import edit_key, from_record, to_record
    from modgap.cli.render import print_table, progress_bar
    from modgap.core.settings import AnalysisSettings
    from modgap.store.cache import default_store
    from modgap.store.kept import kept

    chosen = None if layers is None else parse_layers(layers)
    shared = {"layers": chosen, "measure": measure, "path_layer": path_layer}
    grid: dict[str, Any] = {
        "rules": rule or ("angle", "length"), "tokens": tokens or ("bottom-3", "all"),
        "strengths": strength or (0.25, 0.5, 0.75, 1.0), "path": path,
    }  # fmt: skip
    options = shared if patch else {**shared, **grid}
    settings = AnalysisSettings(instruction=instruction)

    def make() -> Any:
        with progress_bar("plain runs") as report:
            pair = lm.prepare(sound, words, instruction=instruction)
            prefill, name = sweeps.with_target(lm, pair, target, settings)
            search = sweeps.patching if patch else sweeps.sweep
            return search(prefill, name, progress=report, **options)

    kind = "patching" if patch else "sweep"
    key = edit_key(kind, lm, sound, words, settings, {"target": target, **options})
    made = kept(default_store() if cache else None, key, make, to_record, from_record)
    table = made.table() if patch else made.table
    if out is not None:
        write_atomic(out, table_bytes(table))
    if as_json:
        head = {"target": made.target, "plain": made.plain, "text": made.text}
        body = {**head, "rows": table.to_dict("records")}
        sys.stdout.write(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return
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
            (*name, *(f"{v:+.2f}" for v in values))
            for name, values in zip(names, wide.to_numpy(), strict=True)
        ),
    )


def _ready(
    clip: Path, channel: int | None, transcript: str, how: ModelOptions
) -> tuple[SpeechLM, str, Any]:
    words = read_transcript(transcript)
    sound = read_clip(clip, channel=channel)
    return how.load(), words, sound

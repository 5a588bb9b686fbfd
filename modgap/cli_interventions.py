"""The commands that change something: `modgap intervene`, `modgap sweep`, `modgap table1`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_errors import Debug, literal
from .cli_input import parse_layers, read_transcript, sound_source
from .cli_model import ModelOptions, with_model
from .errors import SettingsError

if TYPE_CHECKING:
    from .models.base import SpeechLM

Clip = Annotated[Path, typer.Argument(metavar="CLIP", help="An audio file, or - for stdin.")]
Transcript = Annotated[str, typer.Option(help="What is said, or @FILE that holds it (UTF-8).")]
Instruction = Annotated[str, typer.Option(help="A typed question about the clip.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Out = Annotated[Path | None, typer.Option(help="Write the table here, as parquet.")]
MaxTokens = Annotated[int, typer.Option(help="Longest answer.")]
Cache = Annotated[bool, typer.Option(help="Use the cache of results.")]
PathKind = Annotated[str, typer.Option(help="argmax or dtw.")]
Measure = Annotated[str, typer.Option(help="cosine or euclidean.")]
PathLayer = Annotated[
    int | None, typer.Option(help="Layer of the path; by default where it is edited.")
]


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
    from .interventions import Intervention, parse_stack

    if interventions is not None:
        stack = parse_stack(interventions)
    else:
        values: dict[str, Any] = {
            "rule": rule, "layers": parse_layers(layer), "tokens": tokens, "strength": strength,
            "path": path, "measure": measure, "path_layer": path_layer, "seed": seed,
        }  # fmt: skip
        if pair:
            values |= {"tokens": "given", "pairs": [p.split(":") for p in pair]}
        stack = (Intervention.from_dict(values),)
    lm, words, sound = _ready(clip, transcript, how)
    from .cli_render import print_table, progress_bar
    from .comparison import compare
    from .store import default_store

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
    lm, words, sound = _ready(clip, transcript, how)
    from . import sweeps
    from .cli_render import print_table, progress_bar
    from .edit_record import edit_key, from_record, to_record
    from .keeping import kept
    from .settings import AnalysisSettings
    from .store import default_store

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
        _write(table, out)
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


@with_model(named=False)
def table1(
    how: ModelOptions,
    data: Annotated[
        str,
        typer.Option(
            help="A manifest (.csv, .jsonl, .parquet with audio, transcript, reference), or demo, "
            "demo:noisy, ...: the embedded family's held-out questions."
        ),
    ] = "demo",
    model: Annotated[list[str] | None, typer.Option(help="Can be given again.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Only so many questions.")] = None,
    path_layer: PathLayer = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Choose an intervention on a third, test it too.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for tables and answers.")] = None,
    max_new_tokens: MaxTokens = 12,
    debug: Debug = False,
) -> None:
    """The source's Table 1: accuracies before and after interventions, with controls."""
    from dataclasses import replace

    from .cli_render import print_table, progress_bar
    from .items import read_items
    from .settings import AnalysisSettings
    from .trials import CONTROLS, RULES_OF_THE_SOURCE, outcomes, summary

    items = read_items(data, limit)
    for name in model or ["demo:full", "demo:lora"]:
        lm = how.load(name)
        variants = {
            row: tuple(replace(it, path_layer=path_layer) for it in stack)
            for row, stack in (RULES_OF_THE_SOURCE | CONTROLS).items()
        }
        if adaptive:
            from .adaptive import grid

            candidates = grid(lm.n_layers)
            variants = {**variants, **candidates}
        with progress_bar(name) as report:
            table = outcomes(
                lm, items, variants, AnalysisSettings(max_new_tokens=max_new_tokens),
                progress=report,
            )  # fmt: skip
        if table.empty:
            raise SettingsError("No question could be run; the warnings above say why.")
        fixed = table[table["variant"].isin(["none", "text", *RULES_OF_THE_SOURCE, *CONTROLS])]
        print(literal(f"{name}, {data}"))
        _print_summary(print_table, summary(fixed))
        if out is not None:
            stem = name.replace(":", "-").replace("/", "-").replace("@", "-")
            _write(table, out / f"{stem}-answers.parquet")
        if adaptive:
            from .adaptive import evaluate

            choice, report_table = evaluate(
                table[~table["variant"].isin(CONTROLS)],
            )
            print(
                literal(
                    f"adaptive: {choice.variant} where the path's similarity is at most "
                    f"{choice.threshold:.3f} ({choice.tuned_right} of {choice.n} right on the "
                    f"tuning split, {choice.plain_right} without)"
                )
            )
            kept = report_table["variant"].isin(["none", "text", *RULES_OF_THE_SOURCE, "adaptive"])
            _print_summary(print_table, report_table[kept])


def _print_summary(print_table: Any, table: Any) -> None:
    print_table(
        ("variant", "n", "accuracy %", "95 %", "change", "95 %", "fixed", "broken"),
        (
            (
                r.variant, str(r.n), f"{100 * r.accuracy:.1f}",
                f"{100 * r.low:.1f} to {100 * r.high:.1f}", f"{100 * r.change:+.1f}",
                f"{100 * r.change_low:+.1f} to {100 * r.change_high:+.1f}", str(r.fixed),
                str(r.broken),
            )
            for r in table.itertuples()
        ),
    )  # fmt: skip


def _write(table: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    table.to_parquet(temporary, index=False)
    temporary.replace(path)


def _ready(clip: Path, transcript: str, how: ModelOptions) -> tuple[SpeechLM, str, Any]:
    words = read_transcript(transcript)
    from .audio import load_clip

    sound = load_clip(sound_source(clip))
    return how.load(), words, sound

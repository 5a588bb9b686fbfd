"""`modgap compare-models`: the same clip, or many clips, through several models."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.inputs import read_clip, read_transcript
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import (
    Cache,
    Channel,
    End,
    Instruction,
    Json,
    Markers,
    Measure,
    Start,
    TooLong,
)
from modgap.core.errors import SettingsError
from modgap.core.files import table_bytes, write_atomic
from modgap.core.settings import AnalysisSettings

if TYPE_CHECKING:
    import pandas as pd

    from modgap.audio.clip import Clip


MEASURES = {
    "cosine": ("cosine", "aps_cos", "monotonicity"),
    "euclidean": ("euclidean", "aps_euc", "monotonicity_euc"),
}
DEFAULT = ["demo:lora@1", "demo"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        "compare-models",
        epilog="Examples: modgap compare-models clip.wav --transcript 'what is two plus two' "
        "--model demo:lora@1 --model demo; modgap compare-models --data demo --limit 40",
    )(compare_models)


@with_model(named=False)
def compare_models(
    how: ModelOptions,
    clip: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CLIP]", help="An audio file, - for stdin, or example:ID for a shipped one."
        ),
    ] = None,
    transcript: Annotated[
        str | None, typer.Option(help="What is said in CLIP, or @FILE that holds it (UTF-8).")
    ] = None,
    channel: Channel = None,
    start: Start = None,
    end: End = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Many clips instead, for the consistency of patterns: a manifest (.csv, .jsonl, "
            ".parquet with audio, transcript, reference), or demo, demo:noisy, ...: the embedded "
            "family's questions."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A name, a folder or a hub id. Can be given again; full and LoRA."),
    ] = None,
    measure: Measure = "cosine",
    instruction: Instruction = "",
    too_long: TooLong = "fail",
    markers: Markers = "keep",
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many clips of --data.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling of clips.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write the tables and a JSON file into this folder.")
    ] = None,
    as_json: Json = False,
    cache: Cache = True,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer to CLIP.")] = 48,
    debug: Debug = False,
) -> None:
    """Compare models: curves over relative depth, answers, and how consistent the patterns are."""
    if measure not in MEASURES:
        raise SettingsError(f"--measure is cosine or euclidean, not {measure!r}.")
    if (clip is None) == (data is None):
        raise SettingsError("Give either a CLIP with its --transcript, or --data.")
    for name, given in (("channel", channel), ("start", start), ("end", end)):
        if data is not None and given is not None:
            raise SettingsError(f"--{name} goes with a CLIP, not with --data: leave it out.")
    if clip is not None and transcript is None:
        raise SettingsError("Say what is said in the clip: --transcript TEXT or @FILE.")
    if out is not None and out.exists() and not out.is_dir():
        raise SettingsError(f"{out} is a file: choose a folder to write the results to.")
    names = model or DEFAULT
    how.check(names)
    settings = AnalysisSettings(
        instruction=instruction,
        markers=markers,  # type: ignore[arg-type]  # checked by the settings
        too_long=too_long,  # type: ignore[arg-type]  # checked by the settings
        answers=clip is not None,
        max_new_tokens=max_new_tokens,
    )
    told: Sequence[str] = ()
    if clip is not None:
        words = read_transcript(transcript or "")
        sound = read_clip(clip, channel=channel, start=start, end=end)
        told = sound.notes
        result, tables = _one_clip(sound, words, names, settings, cache, how)
    else:
        result, tables = _many(data or "", names, measure, settings, limit, seed, cache, how)
    if out is not None:
        _write(out, result, tables)
    if as_json:
        from modgap.analysis.export import to_json

        sys.stdout.write(to_json(result))
        return
    if clip is not None:
        _print_clip(result, tables["curves"], measure, told)
    else:
        _print_many(result, tables)


def _one_clip(
    sound: Clip, words: str, names: list[str], settings: AnalysisSettings, cache: bool,
    how: ModelOptions,
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:  # fmt: skip
    from modgap.analysis.several_models import compare_models as run
    from modgap.cli.render import progress_bar
    from modgap.store.cache import default_store

    with progress_bar("loading") as report:
        found = run(
            names, sound, words, settings, store=default_store() if cache else None,
            load=how.load, progress=report,
        )  # fmt: skip
    return found.to_dict(), {"curves": found.curves}


def _many(
    data: str, names: list[str], measure: str, settings: AnalysisSettings, limit: int | None,
    seed: int, cache: bool, how: ModelOptions,
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:  # fmt: skip
    from modgap.analysis.consistency import consistency, consistency_table
    from modgap.analysis.export import records
    from modgap.analysis.several_models import clip_curves
    from modgap.cli.render import progress_bar
    from modgap.evaluation.data.datasets import read_questions
    from modgap.store.cache import default_store

    items = read_questions(data, limit)
    with progress_bar("loading") as report:
        curves = clip_curves(
            names, items, settings, store=default_store() if cache else None,
            load=how.load, progress=report,
        )  # fmt: skip
    first = str(curves["model"].iloc[0])
    keys = MEASURES[measure]
    levels = consistency_table([c for key in keys for c in consistency(curves, key, seed=seed)])
    changes = [
        c for key in keys for c in consistency(curves, key, against=first, seed=seed)
    ]  # none where there is one model
    tables = {"curves": curves, "consistency": levels}
    result = {"data": data, "seed": seed, "consistency": records(levels)}
    if changes:
        tables["changes"] = consistency_table(changes)
        result["changes"] = records(tables["changes"])
    return result, tables


def _print_clip(
    result: dict[str, Any], curves: pd.DataFrame, measure: str, told: Sequence[str]
) -> None:
    from modgap.analysis.model_comparison import at_common_depths
    from modgap.cli.render import print_notes, print_table
    from modgap.figures.measures import MEASURES as NAMED

    clip = result["clip"]
    print(literal(f"{clip['name']}, {clip['seconds']:.2f} s: {result['transcript']}"))
    names = [m["as"] for m in result["models"]]
    for m in result["models"]:
        print_notes(f"{m['as']}: {note}" for note in m["notes"] if note not in told)
    for key in MEASURES[measure]:
        print(f"\n{NAMED[key].label}, by relative depth (in brackets the layer)")
        grid = at_common_depths(curves, key)
        rows = []
        for depth, part in grid.groupby("depth"):
            by = part.set_index("model")
            cells = (f"{_number(by.loc[n, key])} ({by.loc[n, 'layer']})" for n in names)
            rows.append((f"{depth:.0%}", *cells))
        print_table(("depth", *names), rows)
    print()
    print_table(
        ("model", "answer to the text", "answer to the speech"),
        (tuple(str(a[k]).strip() for k in ("model", "text", "speech")) for a in result["answers"]),
    )


def _print_many(result: dict[str, Any], tables: dict[str, pd.DataFrame]) -> None:
    from modgap.analysis.consistency import MIN_CLIPS, STATISTICS
    from modgap.cli.render import print_table
    from modgap.figures.measures import MEASURES as NAMED

    levels = tables["consistency"]
    print(literal(f"{result['data']}, {levels['clips'].iloc[0]} clips"))
    if levels["clips"].iloc[0] < MIN_CLIPS:
        print(f"no intervals: they need {MIN_CLIPS} clips")
    for name in ("consistency", "changes"):
        if name not in tables:
            continue
        for key, part in tables[name].groupby("measure", sort=False):
            tail = f": difference to {part['against'].iloc[0]}" if name == "changes" else ""
            print()
            print(literal(f"{NAMED[str(key)].label}{tail}"))
            rows = [
                (row["model"], *(_estimate(row, s, sign=name == "changes") for s in STATISTICS))
                for row in part.to_dict("records")
            ]
            print_table(("model", *STATISTICS.values()), rows)


def _estimate(row: dict[Any, Any], key: str, *, sign: bool) -> str:
    value, low, high = (_number(row[k], sign) for k in (key, f"{key}_low", f"{key}_high"))
    return value if low == "-" else f"{value} [{low} to {high}]"


def _number(value: float, sign: bool = False) -> str:
    if value != value:
        return "-"
    form = ".4g" if abs(value) >= 10 else ".3f"
    return format(value, f"+{form}" if sign else form)


def _write(folder: Path, result: dict[str, Any], tables: dict[str, pd.DataFrame]) -> None:
    from modgap.analysis.export import to_json

    blobs = {f"{name}.parquet": table_bytes(table) for name, table in tables.items()}
    blobs["compare.json"] = to_json(result, ascii_only=False).encode()
    for name, blob in blobs.items():
        write_atomic(folder / name, blob)

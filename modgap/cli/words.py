"""`modgap words`: when each word is said, and whether the alignment paths land in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.analysis.export import records
from modgap.cli.errors import Debug, literal
from modgap.cli.inputs import read_clip, read_transcript
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import Channel
from modgap.core.errors import SettingsError
from modgap.core.files import table_bytes, write_atomic
from modgap.speech.base import EMBEDDED

if TYPE_CHECKING:
    import pandas as pd

    from modgap.speech.words import WordTimes
    from modgap.store.cache import Store

_PATHS = {"cos": "cosine", "dtw_cos": "cosine, DTW", "euc": "distance", "dtw_euc": "distance, DTW"}


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        epilog="Example: modgap words clip.wav --transcript 'what is two plus two'; "
        "modgap words --data questions.csv --model demo:lora@1 --model demo"
    )(words)


@with_model(named=False)
def words(
    how: ModelOptions,
    clip: Annotated[
        Path | None, typer.Argument(metavar="[CLIP]", help="An audio file, or - for stdin.")
    ] = None,
    transcript: Annotated[
        str | None, typer.Option(help="What is said, or @FILE that holds it (UTF-8).")
    ] = None,
    channel: Channel = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Many clips instead: a manifest (.csv, .jsonl, .parquet with audio or file, and "
            "transcript), or demo, demo:noisy, ...: the embedded family's questions."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose paths are compared with the word times; demo. Can be given again."
        ),
    ] = None,
    aligner: Annotated[
        str,
        typer.Option(
            help="A Whisper: whisper-tiny.en, a folder or a hub id; or espeak, the synthesizer's "
            "own account, with --data demo:robot."
        ),
    ] = EMBEDDED,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many clips of --data.")] = None,
    seed: Annotated[int, typer.Option(help="Of the intervals.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the table here, as parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
    cache: Annotated[bool, typer.Option(help="Use the cache of results.")] = True,
    debug: Debug = False,
) -> None:
    """Find when each word is said, and hold a model's alignment paths against it."""
    if (clip is None) == (data is None):
        raise SettingsError("Give a clip with its --transcript, or --data with many of them.")
    if data is not None and channel is not None:
        raise SettingsError("--channel goes with a CLIP, not with --data: leave it out.")
    names = model or ["demo"]
    how.check(names)
    from modgap.store.cache import default_store

    store = default_store() if cache else None
    if data is not None:
        _many(data, names, aligner, limit, seed, out, as_json, how, store)
        return
    if transcript is None:
        raise SettingsError("Say what is said in the clip: --transcript 'the words'.")
    if len(names) > 1:
        raise SettingsError("One clip is held against one --model; several need --data.")
    said = read_transcript(transcript)
    assert clip is not None
    sound = read_clip(clip, channel=channel)
    from modgap.analysis.functions import analyze
    from modgap.analysis.word_hits import word_hits
    from modgap.cli.render import progress_bar
    from modgap.speech.recognizers import load_recognizer
    from modgap.speech.word_times import word_times

    with progress_bar("aligning") as report:
        times = word_times(sound, said, load_recognizer(aligner, device=how.device), store=store)
        lm = how.load(names[0])
        result = analyze(lm, sound, said, answers=False, store=store, progress=report)
    hits = word_hits(result, times)
    table = hits.layers()
    if out is not None:
        write_atomic(out, table_bytes(table))
    if as_json:
        body = {**times.to_dict(), "model": result.model["name"], "tokens": len(hits.tokens)}
        body["layers"] = records(table)
        sys.stdout.write(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return
    _print_words(times)
    _print_layers(table)


def _many(
    data: str,
    names: list[str],
    aligner: str,
    limit: int | None,
    seed: int,
    out: Path | None,
    as_json: bool,
    how: ModelOptions,
    store: Store | None,
) -> None:
    import pandas as pd

    from modgap.analysis.word_hits import hits_summary
    from modgap.cli.render import progress_bar
    from modgap.evaluation.runs.word_hits import spoken_words, word_hits_over

    with progress_bar("aligning") as report:
        spoken = spoken_words(
            data, aligner, limit=limit, device=how.device, store=store, progress=report
        )
    parts = []
    for name in names:
        lm = how.load(name)
        with progress_bar(name) as report:
            found = word_hits_over(lm, spoken, store=store, progress=report)
        parts.append(hits_summary(found, seed=seed).assign(model=name))
        if not as_json:
            _print_summary(name, data, aligner, parts[-1])
    whole: pd.DataFrame = pd.concat(parts, ignore_index=True)
    if out is not None:
        write_atomic(out, table_bytes(whole))
    if as_json:
        body = {"data": data, "aligner": aligner, "rows": records(whole)}
        sys.stdout.write(json.dumps(body, indent=1, ensure_ascii=False) + "\n")


def _print_words(times: WordTimes) -> None:
    from modgap.cli.render import print_table

    print_table(
        ("word", "from (s)", "to (s)"),
        ((r.word, f"{r.start:.2f}", f"{r.end:.2f}") for r in times.table().itertuples()),
    )


def _print_layers(table: pd.DataFrame) -> None:
    from modgap.cli.render import print_table

    head = table.iloc[0]
    print(
        literal(
            f"share of {head['n']:.0f} text tokens whose path lands in their word, and how far "
            f"the others are off (median); a random position: {_cell(head, 'chance')}, the "
            f"straight line: {_cell(head, 'diagonal')}"
        )
    )
    print_table(
        ("layer", *_PATHS.values()),
        (
            (f"{row['layer']:.0f}", *(_cell(row, f"word_{p}", f"word_ms_{p}") for p in _PATHS))
            for _, row in table.iterrows()
        ),
    )


def _print_summary(name: str, data: str, aligner: str, table: pd.DataFrame) -> None:
    from modgap.cli.render import print_table

    first = table.iloc[0]
    print(
        literal(
            f"{name}, {Path(data).name}, words by {aligner}: {first['clips']} clips, "
            f"{first['tokens']} text tokens"
        )
    )
    levels = table[table["layer"] < 0]
    layers = sorted(set(table["layer"]) - {-1})
    at = table.set_index(["path", "layer"])
    print_table(
        ("layer", *_PATHS.values()),
        (
            *((str(k), *(_with_interval(at.loc[(p, k)]) for p in _PATHS)) for k in layers),
            *((r["path"], _with_interval(r), "", "", "") for _, r in levels.iterrows()),
        ),
    )


def _cell(row: Any, share: str, ms: str | None = None) -> str:
    off = row[ms or f"{share}_ms"]
    tail = "" if off != off else f", {off:.0f} ms"
    return "-" if row[share] != row[share] else f"{100 * row[share]:.0f} %{tail}"


def _with_interval(row: Any) -> str:
    off = "" if row["ms"] != row["ms"] else f", {row['ms']:.0f} ms"
    return f"{100 * row['share']:.1f} % ({100 * row['low']:.0f}-{100 * row['high']:.0f}){off}"

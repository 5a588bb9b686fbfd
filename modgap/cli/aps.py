"""`modgap aps`: the Alignment Path Score of every layer, and what it rests on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import (
    Cache,
    Channel,
    Clip,
    Instruction,
    Json,
    Measure,
    Out,
    TooLong,
    Transcript,
)
from modgap.cli.session import session_of
from modgap.core.errors import ModgapError, SettingsError
from modgap.core.files import table_bytes, write_atomic

if TYPE_CHECKING:
    import pandas as pd


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(epilog="Example: modgap aps clip.wav --transcript 'what is two plus two'")(aps)


@with_model()
def aps(
    clip: Clip,
    transcript: Transcript,
    how: ModelOptions,
    channel: Channel = None,
    instruction: Instruction = "",
    too_long: TooLong = "fail",
    measure: Measure = "cosine",
    text: Annotated[
        list[str] | None,
        typer.Option(help="What the clip does not say, of mismatched pairs. Can be given again."),
    ] = None,
    words: Annotated[bool, typer.Option(help="Find when each word is said.")] = True,
    out: Out = None,
    as_json: Json = False,
    cache: Cache = True,
    debug: Debug = False,
) -> None:
    """The Alignment Path Score of every layer, and what it rests on."""
    if measure not in ("cosine", "euclidean"):
        raise SettingsError(f"measure is cosine or euclidean, not {measure!r}.")
    session = session_of(
        clip, channel, transcript, how, cache,
        instruction=instruction, too_long=too_long, answers=False,
    )  # fmt: skip
    import json

    from modgap.analysis.export import records
    from modgap.analysis.score_support import score_support
    from modgap.cli.errors import say
    from modgap.cli.render import print_notes, progress_bar

    with progress_bar("mismatched pairs") as report:
        result = session.analyze()
        others = session.mismatched(texts=text, progress=report)
        times = None
        try:
            times = session.words if words else None
        except ModgapError as problem:
            say(f"warning: no word times: {problem}")
    table = score_support(result, words=times, others=others)
    if out is not None:
        write_atomic(out, table_bytes(table))
    if as_json:
        body = {
            "texts": list(others.texts),
            "notes": list(session.notes),
            "layers": records(table),
        }
        sys.stdout.write(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return
    print_notes(session.notes, told=session.clip.notes)
    print(
        literal(
            f"{len(result.pieces)} text tokens, {len(result.speech_times)} speech tokens, "
            f"{len(others.texts)} other texts (5 to 95 % of their scores)"
        )
    )
    _print(table, "cos" if measure == "cosine" else "euc")


def _print(table: pd.DataFrame, m: str) -> None:
    from modgap.cli.render import print_table

    timed = f"word_{m}" in table
    heads = ["layer", "APS", "mismatched", "distinct", *(["in word", "chance"] if timed else [])]
    rows = []
    for _, row in table.iterrows():
        cells = [f"{row['layer']:.0f}"]
        for prefix in ("", "filtered_"):
            low, high = row[f"{prefix}others_low_{m}"], row[f"{prefix}others_high_{m}"]
            cells += [
                _number(row[f"{prefix}aps_{m}"]),
                f"{_number(low)} to {_number(high)}",
                f"{row[f'{prefix}distinct_{m}']:.0f}",
            ]
            if timed:
                chance = row[f"filtered_chance_{m}" if prefix else "chance"]
                cells += [_share(row[f"{prefix}word_{m}"]), _share(chance)]
        rows.append((*cells, f"{row[f'left_out_{m}']:.0f}"))
    without = [f"{head}*" for head in heads[1:]]
    print_table((*heads, *without, "left out*"), rows)
    print("* without sinks and silence: modgap's variant, not the paper's APS (docs/method.md)")


def _number(value: Any) -> str:
    return "-" if value != value else f"{value:.3f}"


def _share(value: Any) -> str:
    return "-" if value != value else f"{100 * value:.0f} %"

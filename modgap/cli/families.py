"""`modgap convert` and the families that `modgap models` lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modgap.cli.errors import Debug
from modgap.cli.render import literal, print_table


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        epilog="Example: modgap convert ultravox out --encoder whisper-large-v3-turbo --llm llama"
    )(convert)


def print_families() -> None:
    """Print every family, what it is, and what it was tested with."""
    from modgap.models.loading.family_list import list_families

    print_table(
        ("family", "what it is", "state"),
        [(family.model_type, family.title, family.state) for family in list_families()],
    )


def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="Folder of an Ultravox or LLaMA-Omni (2) checkpoint."),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    encoder: Annotated[
        Path, typer.Option(help="Folder of the Whisper checkpoint it was trained on.")
    ],
    llm: Annotated[
        Path | None, typer.Option(help="Folder of the text model it was trained on (Ultravox).")
    ] = None,
    debug: Debug = False,
) -> None:
    """Make a composite folder of another project's checkpoint, without running its code."""
    from rich import print

    from modgap.models.loading.convert import convert as run

    made = run(source, out, encoder=encoder, llm=llm)
    print_table(
        ("part", "tensors from the checkpoint"),
        [
            ("adapter", str(made.adapter)),
            ("encoder", str(made.encoder) if made.encoder else f"none: copied from {encoder}"),
            ("text model", str(made.llm) if made.llm else f"none: copied from {llm}"),
            ("left out", ", ".join(made.left) or "nothing"),
        ],
    )
    print(literal(f"wrote {made.folder}"))

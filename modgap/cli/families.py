"""`modgap convert` and the families that `modgap models` lists."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Family:
    """A family of speech language models.

    Attributes
    ----------
    model_type : str
        As in a checkpoint's config.json; also the name of the module.
    title : str
        What it is made of, in a line.
    state : str
        What it was tested with.
    checkpoints : tuple of str
        Hub ids of released checkpoints.
    """

    model_type: str
    title: str
    state: str
    checkpoints: tuple[str, ...]


def list_families() -> list[Family]:
    """List every family that `load_model` knows; text models, which have many types, come last.

    Of families that other packages installed only the name is told: their code is not run for it.
    """
    from modgap.models.loading.registry import family_module, installed, known_types

    found = []
    for model_type in (*known_types(), "text_only"):
        module = family_module(model_type)
        adapter = module.ADAPTER
        title = str(module.__doc__).splitlines()[0].rstrip(".")
        found.append(Family(model_type, title, adapter.tested, tuple(adapter.checkpoints)))
    for name, point in installed().items():
        package = point.dist.name if point.dist is not None else point.value
        found.append(Family(name, f"installed by {package}", "its package says", ()))
    return found


def print_families() -> None:
    """Print every family, what it is, and what it was tested with."""
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

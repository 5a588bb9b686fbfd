"""`modgap runs export`: what is done with the answers of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .cli_errors import Debug, literal

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]


def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    model: Annotated[
        list[str] | None, typer.Option(help="Only this model. Can be given again.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Where the data set of an older run is now, if it has moved.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write answers to speech and text as VoiceBench's files; ended, the same command goes on."""
    from .benchmark.export import export_results
    from .cli_render import print_table, progress_bar

    with progress_bar("exporting") as report:
        made = export_results(run, out, models=model, data=data, progress=report)
    print_table(
        ("file", "answers", "new"),
        ((m.path.name, str(m.before + m.now), str(m.now)) for m in made),
    )
    print(literal(f"{len(made)} files in {out}"))

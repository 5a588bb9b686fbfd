"""`modgap controls`: what similarities are to be held against, of a run or a set of clips."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, say
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import PathKind
from modgap.core.errors import SettingsError
from modgap.core.files import write_atomic

if TYPE_CHECKING:
    from modgap.gap.controls import Controls


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(epilog="Example: modgap controls --data demo --model demo --limit 100")(controls)


@with_model(named=False)
def controls(
    how: ModelOptions,
    data: Annotated[
        str | None, typer.Option(help="As in `modgap eval`; default: that of --run, or demo.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="As in `modgap eval`. Can be given again.")
    ] = None,
    limit: Annotated[int, typer.Option(min=2, help="So many clips.")] = 100,
    path_layer: Annotated[
        int | None, typer.Option(help="Whose path pairs the tokens of CKA; the middle one.")
    ] = None,
    path: PathKind = "argmax",
    run: Annotated[
        Path | None, typer.Option(help="Keep them in this run, for its page in the explorer.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for tables and figures, one a model.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Baselines and controls of similarity: mismatched pairs, centred cosine, CKA of layers.

    With --run, clips are prompted as in the run and, without --data, are the first of the run's.
    """
    from modgap.cli.render import progress_bar
    from modgap.evaluation.data.datasets import iter_questions
    from modgap.gap.controls import folder_in_run, set_controls, write_controls
    from modgap.gap.run_folders import find_run, is_only_read, prompt_of, source_of

    opened = None if run is None else find_run(run)
    kept = opened is not None and not is_only_read(opened.path)
    if opened is not None and not kept and out is None:
        raise SettingsError(
            f"The run {opened.name} came with modgap and is only read: name a folder for its "
            "controls with --out."
        )
    markers: str = "keep"
    system: str | None = None
    size: int | None = limit
    if opened is None:
        models, data = list(model or ("demo",)), data or "demo"
    else:
        models = list(model or opened.models)
        for name in models:
            opened.model_number(name)  # refuses one that the run does not have
        markers, system = prompt_of(opened)
        style = opened.protocol.get("settings", {}).get("prompt", "plain")
        if style != "plain":
            say(f"warning: this run's prompt is {style}; its controls are of the plain prompt.")
        if data is None:
            data, size = source_of(opened)
    how.check(models)
    asked = list(islice(iter_questions(data, size), limit))
    for name in models:
        lm = how.load(name)
        with progress_bar(name) as bar:
            made = set_controls(
                lm, asked, path_layer=path_layer, path=path, markers=markers, system=system,
                progress=bar,
            )  # fmt: skip
        _print_controls(name, made)
        if opened is not None and kept:
            write_controls(folder_in_run(opened.path, name), name, data, made)
        if out is not None:
            folder = folder_in_run(out, name) if len(models) > 1 else out
            write_controls(folder, name, data, made)
            _draw_controls(folder, name, made)


def _print_controls(model: str, made: Controls) -> None:
    from modgap.cli.render import print_table

    def between(row: dict[Hashable, Any], name: str) -> str:
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        return "-" if low != low else f"{low:.3f} to {high:.3f}"

    names = ("cosine", "cosine_null", "cosine_null_low", "cosine_null_high", "centred",
             "euclidean", "euclidean_null")  # fmt: skip
    best = made.cka.values.argmax(0)
    print_table(
        ("layer", "cosine", "mismatched", "5 %", "95 %", "centred", "distance", "mismatched",
         "CKA", "nearest speech layer"),
        (
            (str(int(r["layer"])), *(f"{r[n]:.3f}" for n in names),
             f"{made.cka.values[k, k]:.3f}", str(int(best[k])))
            for k, r in enumerate(made.layers.to_dict("records"))
        ),
    )  # fmt: skip
    print("\na clip's own text minus the mean of others, 95 % over clips; AUC: share less similar")
    print_table(
        ("layer", "cosine", "95 %", "AUC", "95 %", "distance", "95 %", "AUC", "95 %"),
        (
            (str(int(r["layer"])),
             *(text for name in ("cosine_diff", "cosine_auc", "euclidean_diff", "euclidean_auc")
               for text in (f"{r[name]:.3f}", between(r, name))))
            for r in made.layers.to_dict("records")
        ),
    )  # fmt: skip
    print(
        f"{model}: {made.clips} clips ({made.left_out} left out), {made.cka.pairs:,} aligned "
        f"tokens ({made.pairing})"
    )


def _draw_controls(folder: Path, model: str, made: Controls) -> None:
    from modgap.figures.base import standalone_html
    from modgap.figures.controls import CkaHeat, OwnAgainstOthers, against_controls

    named = f"{model}: CKA over pairs of the {made.pairing}"
    write_atomic(folder / "cka.html", standalone_html(CkaHeat(made.cka).figure(), title=named))
    for key in ("cosine", "euclidean"):
        page = standalone_html(against_controls(made, key).figure(), title=model)
        write_atomic(folder / f"controls-{key}.html", page)
        page = standalone_html(OwnAgainstOthers(made, key).figure(), title=model)
        write_atomic(folder / f"controls-{key}-own.html", page)

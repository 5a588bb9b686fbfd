"""`modgap maps`: the maps that there are, what each is, and how they do on whole data sets."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.fit import print_card
from modgap.cli.inputs import parse_layers
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import Json, Measure, Models, PathKind, PathLayer
from modgap.cli.table1 import DEMO_TOKENS
from modgap.core.files import table_bytes, write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from modgap.core.settings import AnalysisSettings
    from modgap.evaluation.interventions.fit_settings import FitSettings
    from modgap.evaluation.interventions.map_table import Row
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question

maps_app = typer.Typer(
    no_args_is_help=True, help="Maps that modgap fit has made: list, show and evaluate them."
)
_KINDS = "shift,scale,procrustes,ridge,residual"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    maps_app.command("list", epilog="Example: modgap maps list")(list_maps)
    maps_app.command("show", epilog="Example: modgap maps show ridge-0")(show)
    maps_app.command(
        "table",
        epilog="Example: modgap maps table --data demo --layers 0,12,24 --out results",
    )(table)
    app.add_typer(maps_app, name="maps")


def list_maps(as_json: Json = False, debug: Debug = False) -> None:
    """The maps in the cache folder."""
    from modgap.cli.render import print_table
    from modgap.interventions.maps.card import card_of, read_card
    from modgap.interventions.maps.files import known_maps

    known = known_maps()
    if as_json:
        found = {name: card_of(fitted) for name, fitted in known.items()}
        sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        return
    if not known:
        print("There are none yet: modgap fit MAP makes one.")
        return
    rows = []
    for name, fitted in known.items():
        card = read_card(fitted)
        held = card.held.explained
        rows.append([
            name, fitted.kind + (", gated" if fitted.gate is not None else ""), str(fitted.layer),
            str(fitted.width), card.model, card.data, "-" if held is None else f"{held:.3f}",
        ])  # fmt: skip
    print_table(("map", "kind", "layer", "width", "model", "data", "explained"), rows)


def show(
    name: Annotated[str, typer.Argument(metavar="MAP", help="Its name or its folder.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """A map's card: what it was fitted on, and how it does on pairs that it has not seen."""
    from modgap.interventions.maps.card import card_of
    from modgap.interventions.maps.files import load_map

    fitted = load_map(name)
    if as_json:
        sys.stdout.write(json.dumps(card_of(fitted), indent=1, ensure_ascii=False) + "\n")
        return
    print_card(fitted)


@with_model(named=False)
def table(
    how: ModelOptions,
    out: Annotated[Path, typer.Option(help="Folder for maps, tables and answers.")],
    data: Annotated[
        str, typer.Option(help="Fitted on its tuning third, tested on the rest.")
    ] = "demo",
    test: Annotated[
        list[str] | None,
        typer.Option(help="Tested on this, too, without what was fitted on: other voices, other "
                     "conditions. Can be given again."),
    ] = None,
    model: Models = None,
    layers: Annotated[str, typer.Option(help="Such as 0,2-4.")] = "0",
    kinds: Annotated[str, typer.Option(help="Which maps, with commas.")] = _KINDS,
    path: PathKind = "argmax",
    measure: Measure = "cosine",
    path_layer: PathLayer = None,
    transfer: Annotated[
        bool,
        typer.Option("--transfer", help="Also try the maps of the models named before each."),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=8, help="Only so many questions.")] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(help="Longest answer. By default 12 for demo, else the data set's own."),
    ] = None,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Layers x maps x controls: accuracies on questions that no map was fitted on."""
    import pandas as pd

    from modgap.analysis.several_models import use_model
    from modgap.core.settings import AnalysisSettings
    from modgap.evaluation.data.asked_as import asked_as
    from modgap.evaluation.interventions.fit_settings import FitSettings
    from modgap.evaluation.interventions.map_table import unseen
    from modgap.evaluation.interventions.question_outcomes import judgeable

    names = model or ["demo"]
    how.check(names)
    settings = FitSettings(
        layers=parse_layers(layers), kinds=tuple(k.strip() for k in kinds.split(",") if k.strip()),
        path=path, measure=measure, path_layer=path_layer,
    )  # fmt: skip
    asked = {
        name: judgeable(unseen(name, data, limit)) for name in dict.fromkeys([data, *(test or [])])
    }
    own = DEMO_TOKENS if data.partition(":")[0] == "demo" else asked_as(data).max_new_tokens
    answering = AnalysisSettings(max_new_tokens=own if max_new_tokens is None else max_new_tokens)
    before: dict[str, list[Row]] = {}
    tables = []
    for name in names:
        stem = name.replace(":", "-").replace("/", "-").replace("@", "-")
        ask = partial(_asked, name, data, settings, out / "maps" / stem, limit,
                      asked, answering, before if transfer else {})  # fmt: skip
        rows, found, answers = use_model(name, how.load, ask)
        before[name] = rows
        found.insert(0, "model", name)
        write_atomic(out / f"{stem}-map-answers.parquet", table_bytes(answers))
        tables.append(found)
        _print(name, found)
    write_atomic(out / "maps.parquet", table_bytes(pd.concat(tables, ignore_index=True)))
    print(literal(f"the table is {out / 'maps.parquet'}, the maps are in {out / 'maps'}"))


def _asked(
    name: str,
    data: str,
    settings: FitSettings,
    folder: Path,
    limit: int | None,
    asked: dict[str, list[Question]],
    answering: AnalysisSettings,
    before: dict[str, list[Row]],
    lm: SpeechLM,
) -> tuple[list[Row], pd.DataFrame, pd.DataFrame]:
    from modgap.cli.render import progress_bar
    from modgap.evaluation.interventions.map_table import fitted_variants, map_table, transferred
    from modgap.interventions.maps.files import load_map

    with progress_bar(f"{name}, maps") as report:
        rows = fitted_variants(lm, data, settings, folder, limit=limit, progress=report)
    more = [row for other, theirs in before.items() for row in transferred(theirs, other)
            if load_map(row.stack[0].map).width == lm.hidden_size]  # fmt: skip
    with progress_bar(name) as report:
        return rows, *map_table(lm, [*rows, *more], asked, answering, progress=report)


def _print(name: str, table: pd.DataFrame) -> None:
    import pandas as pd

    from modgap.cli.render import print_table

    for data, part in table.groupby("data", sort=False):
        print(literal(f"{name}, {data}"))
        print_table(
            ("layer", "map", "control", "n", "accuracy %", "95 %", "change", "95 %", "fixed",
             "broken", "explained"),
            (
                (
                    "-" if pd.isna(r.layer) else str(r.layer),
                    r.map or r.variant, r.control, str(r.n), f"{100 * r.accuracy:.1f}",
                    f"{100 * r.low:.1f} to {100 * r.high:.1f}", f"{100 * r.change:+.1f}",
                    f"{100 * r.change_low:+.1f} to {100 * r.change_high:+.1f}",
                    str(r.fixed), str(r.broken), _explained(r.explained),
                )
                for r in part.astype({"layer": object, "explained": object}).itertuples()
            ),
        )  # fmt: skip


def _explained(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) and value == value else "-"

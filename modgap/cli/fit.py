"""`modgap fit`: a map from speech states to text states; `modgap maps`: what there is of them."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from modgap.cli.errors import Debug, literal, say
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import Json, Markers, Measure, PathKind, PathLayer, System, TooLong
from modgap.core.errors import SettingsError

if TYPE_CHECKING:
    from modgap.interventions.maps.affine import FittedMap


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(epilog="Example: modgap fit ridge-0 --data demo --layer 0 --kind ridge")(fit)


@with_model()
def fit(
    name: Annotated[
        str,
        typer.Argument(
            metavar="MAP", help="A folder to write, or a bare name for one in the cache folder."
        ),
    ],
    how: ModelOptions,
    data: Annotated[
        str,
        typer.Option(
            help="A manifest (.csv, .jsonl, .parquet with audio, transcript), or demo, ..."
        ),
    ] = "demo",
    split: Annotated[
        str, typer.Option(help="Fit on the tuning third of the questions, the rest, or all.")
    ] = "tuning",
    limit: Annotated[int | None, typer.Option(min=4, help="Only so many questions.")] = None,
    layer: Annotated[int, typer.Option(help="Where states are taken: 0 is the embeddings.")] = 0,
    kind: Annotated[
        str, typer.Option(help="shift, scale, procrustes, ridge, or residual (low rank).")
    ] = "ridge",
    path: PathKind = "argmax",
    measure: Measure = "cosine",
    path_layer: PathLayer = None,
    penalty: Annotated[
        float | None, typer.Option(help="Of ridge and residual; cross-validation by default.")
    ] = None,
    rank: Annotated[
        int | None, typer.Option(help="Of ridge and residual; cross-validation by default.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Change only states that it is predicted to help.")
    ] = False,
    control: Annotated[
        str | None,
        typer.Option(help="shuffled: of pairs that do not belong together; rotated: as far, but "
                     "in a direction of no meaning."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of a control.")] = 0,
    markers: Markers = "keep",
    system: System = None,
    too_long: TooLong = "fail",
    as_json: Json = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Learn a map from speech states to text states, to use without a transcript."""
    if control not in (None, "shuffled", "rotated"):
        raise SettingsError(f"The control is shuffled or rotated, not {control!r}.")
    from modgap.cli.render import progress_bar
    from modgap.evaluation.data.datasets import iter_questions
    from modgap.evaluation.interventions.fit_settings import FitSettings, split_questions
    from modgap.evaluation.interventions.fitting import fit_maps
    from modgap.evaluation.interventions.map_table import data_name
    from modgap.interventions.maps.card import card_of
    from modgap.interventions.maps.files import place_of, save_map

    settings = FitSettings(
        layers=(layer,), kinds=(kind,), path=path, measure=measure, path_layer=path_layer,
        penalty=penalty, rank=rank, gate=gate, shuffled=control == "shuffled", seed=seed,
        markers=markers, system=system, too_long=too_long,
    )  # fmt: skip
    folder = place_of(name)
    questions = split_questions(partial(iter_questions, data, limit), split)
    next(questions(), None)  # what is wrong with the data is told before a model is loaded
    model = how.load()
    with progress_bar("fitting") as report:
        made = fit_maps(
            model, questions, settings,
            about={"name": data_name(data), "split": split, "limit": limit}, progress=report,
        )  # fmt: skip
    fitted = made.maps[layer, kind]
    if control == "rotated":
        fitted = fitted.rotated(seed)
    save_map(fitted, name)
    if made.left_out:
        say(f"warning: {made.left_out} clips could not be run and are left out.")
    if as_json:
        sys.stdout.write(json.dumps(card_of(fitted), indent=1, ensure_ascii=False) + "\n")
        return
    print_card(fitted)
    clips = sum(made.clips.values())
    print(literal(f"{clips} clips in {made.seconds:.1f} s; the map is in {folder}"))


def print_card(fitted: FittedMap) -> None:
    """Print what a map is, what it was fitted on, and how it does on pairs that it has not seen."""
    from modgap.cli.render import print_table
    from modgap.interventions.maps.card import read_card

    card = read_card(fitted)
    parts = [fitted.kind, f"layer {fitted.layer}"]
    if card.rank is not None and card.penalty is not None:
        parts.append(f"rank {card.rank} of {fitted.width}, penalty {card.penalty:.3g}")
    print(literal(", ".join(parts)))
    print(
        literal(
            f"fitted on {card.model}, {card.data} ({card.split}): {card.clips} clips, {card.pairs} "
            f"pairs; identity {fitted.identity[:16]}"
        )
    )
    rows = [
        [title, str(held.pairs), *map(_number, (
            held.explained_plain, held.explained, held.cosine_plain, held.cosine, held.opened))]
        for title, held in (("the map", card.held), ("without its gate", card.without_gate))
        if held is not None
    ]  # fmt: skip
    heads = ("on held-out pairs", "pairs", "explained, before", "after",
             "cosine, before", "after", "states changed")  # fmt: skip
    print_table(heads, rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

"""`modgap table1`: interventions on many questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, literal, say
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import Models, PairMarkers, PathLayer, TextMarkers, TooLong
from modgap.core.errors import SettingsError
from modgap.core.files import table_bytes, write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from modgap.core.settings import AnalysisSettings
    from modgap.interventions.intervention import Stack
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question

#: The embedded family's answers are short, and there are many variants of each.
DEMO_TOKENS = 12


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(epilog="Example: modgap table1 --data demo --model demo:lora@1 --model demo")(
        table1
    )


@with_model(named=False)
def table1(
    how: ModelOptions,
    data: Annotated[
        str,
        typer.Option(
            help="A manifest (.csv, .jsonl, .parquet with audio, transcript, reference), or demo, "
            "demo:noisy, ...: the embedded family's questions."
        ),
    ] = "demo",
    model: Models = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Only so many questions.")] = None,
    path_layer: PathLayer = None,
    map_name: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="MAP", help="A row of its own: a map of modgap fit, at its "
                     "layer. Can be given again."),
    ] = None,
    heard_by: Annotated[
        list[str] | None,
        typer.Option(metavar="WHO", help="The rules again with words that own (the model itself) "
                     "or a recogniser hears. Can be given again."),
    ] = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Choose an intervention on a third, test it too.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for tables and answers; RUN/interventions shows them on the page of a run."
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="Longest answer. By default 12 for demo, else the data set's own, as in modgap "
            "eval."
        ),
    ] = None,
    markers: PairMarkers = "keep",
    text_markers: TextMarkers = "drop",
    too_long: TooLong = "fail",
    debug: Debug = False,
) -> None:  # fmt: skip
    """The paper's Table 1: accuracies before and after interventions, with controls."""
    from functools import partial

    from modgap.analysis.several_models import use_model
    from modgap.core.settings import AnalysisSettings
    from modgap.evaluation.data.asked_as import asked_as
    from modgap.evaluation.data.datasets import read_questions
    from modgap.evaluation.interventions.question_outcomes import (
        CONTROLS,
        HEARD,
        RULES_OF_THE_SOURCE,
        judgeable,
        summary,
    )
    from modgap.gap.cut_answers import cut_warnings

    names = model or ["demo"]
    how.check(names)
    items = judgeable(read_questions(data, limit))
    own = DEMO_TOKENS if data.partition(":")[0] == "demo" else asked_as(data).max_new_tokens
    budget = own if max_new_tokens is None else max_new_tokens
    settings = AnalysisSettings(
        max_new_tokens=budget,
        markers=markers,  # type: ignore[arg-type]  # checked by the settings
        too_long=too_long,  # type: ignore[arg-type]
    )
    if text_markers not in ("keep", "drop"):
        raise SettingsError(f'text_markers is "keep" or "drop", not {text_markers!r}.')
    mapped = _mapped(map_name or [])
    summaries = {}
    for name in names:
        ask = partial(
            _outcomes, name, items, settings, text_markers, path_layer, adaptive, mapped,
            heard_by or [],
        )  # fmt: skip
        table = use_model(name, how.load, ask)  # gone before the next is loaded
        if table.empty:
            raise SettingsError("No question could be run; the warnings above say why.")
        known = ["none", "text", *RULES_OF_THE_SOURCE, *CONTROLS, *mapped]
        known += [v + HEARD.format(who) for who in heard_by or () for v in known[2:]]
        fixed = table[table["variant"].isin(known)]
        print(
            literal(
                f"{name}, {data}; up to {budget} new tokens; text answered with markers "
                f"{text_markers}"
            )
        )
        for warning in cut_warnings(_cut(name, fixed), budget):
            say(f"warning: {warning}")
        summaries[name] = summary(fixed)
        _print_summary(summaries[name])
        report = _print_adaptive(table) if adaptive else None
        if out is not None:
            stem = name.replace(":", "-").replace("/", "-").replace("@", "-")
            write_atomic(out / f"{stem}-answers.parquet", table_bytes(table.assign(model=name)))
            if report is not None:
                write_atomic(out / f"{stem}-adaptive.parquet", table_bytes(report))

    if len(summaries) > 1:
        _print_gains(summaries, out)


def _cut(model: str, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Answers and cut ones of each variant, in the order of the table."""
    found = table.groupby("variant", sort=False)["finished"].agg(["size", "sum"])
    return [
        {"model": model, "input": variant, "answers": int(size), "cut": int(size - finished)}
        for variant, size, finished in found.itertuples()
    ]


def _outcomes(
    name: str,
    items: list[Question],
    settings: AnalysisSettings,
    text_markers: str,
    path_layer: int | None,
    adaptive: bool,
    mapped: dict[str, Stack],
    heard_by: list[str],
    lm: SpeechLM,
) -> pd.DataFrame:
    from dataclasses import replace

    from modgap.cli.render import progress_bar
    from modgap.evaluation.interventions.adaptive import grid
    from modgap.evaluation.interventions.question_outcomes import (
        CONTROLS,
        RULES_OF_THE_SOURCE,
        outcomes,
    )

    variants = {
        row: tuple(replace(it, path_layer=path_layer) for it in stack)
        for row, stack in (RULES_OF_THE_SOURCE | CONTROLS).items()
    }
    variants |= mapped
    if adaptive:
        variants |= grid(len(lm.editable_levels), path_layer=path_layer)
    with progress_bar(name) as report:
        return outcomes(
            lm, items, variants, settings, heard_by=heard_by, progress=report,
            text_markers=text_markers,  # type: ignore[arg-type]  # checked before
        )  # fmt: skip


def _mapped(names: list[str]) -> dict[str, Stack]:
    """A variant for each map, at its own layer and on all positions."""
    from modgap.interventions.intervention import Intervention
    from modgap.interventions.maps.files import load_map
    from modgap.interventions.maps.pins import pin

    return {
        f"map {Path(name).name}": (
            Intervention(rule="map", map=pin(name), layers=(load_map(name).layer,)),
        )
        for name in names
    }


def _print_adaptive(table: pd.DataFrame) -> pd.DataFrame:
    """Print the choice and how it does on the rest; the report on all variants comes back."""
    from modgap.evaluation.interventions.adaptive import choice_sentence, evaluate, shown

    choice, report = evaluate(table)
    print(literal(f"adaptive: {choice_sentence(choice, report)}"))
    _print_summary(shown(choice, report))
    return report


def _print_summary(table: pd.DataFrame) -> None:
    from modgap.cli.render import print_table

    heads = ["variant", "n", "accuracy %", "95 %", "change", "95 %", "fixed", "broken"]
    ahead = ["adaptive minus it", "95 %"] if "ahead" in table else []
    print_table(heads + ahead, summary_rows(table))


def summary_rows(table: pd.DataFrame) -> list[list[str]]:
    """The cells of a summary, and of the adaptive report, as they are printed."""
    rows = []
    for r in table.itertuples():
        row = [
            r.variant,
            str(r.n),
            f"{100 * r.accuracy:.1f}",
            f"{100 * r.low:.1f} to {100 * r.high:.1f}",
            *_difference(r.change, r.change_low, r.change_high),
            str(r.fixed),
            str(r.broken),
        ]
        if "ahead" in table:
            row += _difference(r.ahead, r.ahead_low, r.ahead_high)
        rows.append(row)
    return rows


def _difference(mean: float, low: float, high: float) -> list[str]:
    return [f"{100 * mean:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}"]


def _print_gains(summaries: dict[str, pd.DataFrame], out: Path | None) -> None:
    from modgap.cli.render import print_table
    from modgap.evaluation.interventions.question_outcomes import gains

    gained = gains(summaries)
    wide = gained.pivot(index=["own", "model"], columns="variant", values="change")
    print("change of accuracy (percentage points), the weakest on speech first")
    columns = list(dict.fromkeys(gained["variant"]))
    print_table(
        ("model", "speech %", *columns),
        (
            (name, f"{100 * own:.1f}", *(f"{100 * v:+.1f}" for v in values))
            for (own, name), values in zip(wide.index, wide[columns].to_numpy(), strict=True)
        ),
    )
    if out is not None:
        from modgap.figures.base import standalone_html
        from modgap.figures.intervention_gains import GainCurve

        write_atomic(out / "gains.parquet", table_bytes(gained))
        page = standalone_html(GainCurve(gained).figure(), title="Gain by accuracy on speech")
        write_atomic(out / "gains.html", page)

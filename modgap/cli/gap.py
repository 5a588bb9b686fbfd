"""What is made of a run: `modgap gap`, `modgap report`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modgap.cli.errors import Debug, literal, say
from modgap.cli.options import Json
from modgap.core.errors import SettingsError
from modgap.core.files import table_bytes, write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from modgap.gap.failure_reasons import Threshold

RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, or the name of a shipped run.")
]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="Only this checkpoint. Can be given again.")
]
PRINTED = ("gap", "counts", "lines", "reasons", "false_alarms", "questions")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(epilog="Example: modgap gap runs/mine --by topic --where voice=en-us+m4")(gap)
    app.command(epilog="Example: modgap report runs/mine --out report.html")(report)


def gap(
    run: RunFolder,
    model: Models = None,
    by: Annotated[
        str | None, typer.Option(help="A group: data set, topic, voice, ... one by one.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only questions of this group: GROUP=VALUE. Can be given again."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="WER threshold for 'heard'; by default the one that tells "
            "failures from right answers best (maximal Youden index).",
        ),
    ] = None,
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables, as parquet.")] = None,
    debug: Debug = False,
) -> None:
    """Accuracies, the modality gap, what it is made of, and how similarity explains it."""
    from modgap.evaluation.runs.base_models import foreign_bases
    from modgap.gap import accuracy as measures
    from modgap.gap.cut_answers import run_warnings
    from modgap.gap.failure_reasons import calibrated, false_alarms, reasons
    from modgap.gap.prompts import prompts_note
    from modgap.gap.run_folders import find_run

    opened = find_run(run)
    models = list(model or opened.models)
    for name in models:
        opened.model_number(name)
    for warning in foreign_bases(opened.protocol):
        say(f"warning: {warning}")
    chosen = _filters(where)
    for warning in run_warnings(opened, models, chosen):
        say(f"warning: {warning}")
    threshold = calibrated(opened, models, chosen)
    limit = threshold.tolerance if tolerance is None else tolerance
    tables: dict[str, pd.DataFrame] = {
        "gap": measures.gap_table(opened, models, chosen, by),
        "counts": measures.accuracies(opened, chosen),
        "lines": _lines(opened, models, chosen),
        "reasons": reasons(opened, models, chosen, tolerance=limit),
        "false_alarms": false_alarms(opened, models, chosen, tolerance=limit),
        "questions": _questions(opened, models, chosen),
    }
    tables["counts"] = tables["counts"][tables["counts"]["model"].isin(models)]
    if out is not None:
        for name, table in tables.items():
            write_atomic(out / f"{name}.parquet", table_bytes(table))
    if as_json:
        from modgap.analysis.export import plain_value, records

        found: dict[str, object] = {name: records(tables[name]) for name in PRINTED}
        about = {name: plain_value(value) for name, value in asdict(threshold).items()}
        found["threshold"] = {"used": limit, "calibrated": about}
        said = {"run": opened.name, "prompts": prompts_note(opened.protocol)}
        sys.stdout.write(json.dumps({**said, **found}, ensure_ascii=False) + "\n")
        return
    print(literal(prompts_note(opened.protocol)))
    from modgap.gap.pipeline_hearing import pipeline_hearing

    hearing = pipeline_hearing(opened, chosen)
    _print(
        tables,
        by,
        limit,
        hearing.label if hearing else "",
        None if tolerance is not None else threshold,
    )


def report(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Of the page.")] = None,
    model: Models = None,
    debug: Debug = False,
) -> None:
    """Write a run as one web page that needs no network: figures and tables."""
    from modgap.cli.render import size
    from modgap.figures.report import report_html
    from modgap.gap.run_folders import find_run

    page = report_html(find_run(run), title=title, models=model).encode()
    write_atomic(out, page)
    print(literal(f"wrote {out} ({size(len(page))})"))


def _filters(given: Sequence[str] | None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given or ():
        facet, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--where takes GROUP=VALUE, not {text!r}.")
        found.setdefault(facet, []).append(value)
    return found


def _lines(run: Any, models: list[str], where: dict[str, list[str]]) -> pd.DataFrame:
    import pandas as pd

    from modgap.gap.correlation import fits, gaps, layer_means, points
    from modgap.gap.run_data import MEASURES

    if not run.layers:
        return pd.DataFrame()
    found = gaps(run, where)
    found = found[found["model"].isin(models)]
    rows = [
        {"measure": name, **made.row()}
        for name in MEASURES
        for made in fits(points(layer_means(run, name, where), found))
    ]
    return pd.DataFrame(rows)


def _questions(run: Any, models: list[str], where: dict[str, list[str]]) -> pd.DataFrame:
    import pandas as pd

    from modgap.gap.per_question import auc, question_rows

    rows = []
    for model in models if run.layers else ():
        if {"text", "speech"} <= set(run.inputs_of(model)):
            made = auc(question_rows(run, model, where=where))
            rows.append({"model": model, "measure": "aps_cos", "auc": made.value, "low": made.low,
                         "high": made.high, "failed": made.failed, "kept": made.kept,
                         "reason": made.reason, "interval": made.method})  # fmt: skip
    return pd.DataFrame(rows)


def _print(
    tables: dict[str, pd.DataFrame],
    by: str | None,
    limit: float,
    hearing: str,
    calibrated: Threshold | None,
) -> None:
    from modgap.cli.render import print_table
    from modgap.gap.accuracy import COUNTS, quantity_name
    from modgap.gap.option_rules import rules_table

    def percent(value: float) -> str:
        return "-" if value != value else f"{100 * value:.1f}"

    def real(value: float) -> str:
        return "-" if value != value else f"{value:.3f}"

    def cell(value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        return "-" if value != value else f"{value:.1f}"

    def text(value: object) -> str:
        return value if isinstance(value, str) else ""

    print_table(
        ("checkpoint", *((by,) if by else ()), "quantity", "%", "95 %", "n"),
        (
            (r.model, *((r.part,) if by else ()), quantity_name(r.quantity),
             percent(r.value), f"{percent(r.low)} to {percent(r.high)}", str(r.n))
            for r in tables["gap"].itertuples()
        ),
    )  # fmt: skip
    if hearing:
        print(literal(f"pipeline: {hearing}"))
    if len(tables["counts"]):
        print()
        print_table(
            ("checkpoint", "input", *COUNTS[2:]),
            (tuple(map(str, row)) for row in tables["counts"][list(COUNTS)].to_numpy()),
        )
        print("\nby more than one rule")
        rules = rules_table(tables["counts"])
        print_table(
            tuple(rules.columns),
            (tuple(map(cell, row)) for row in rules.itertuples(index=False, name=None)),
        )
    if len(tables["lines"]):
        print("\nsimilarity against the gap, one point a checkpoint")
        print_table(
            ("measure", "group", "points", "R^2", "slope", "95 %", "Pearson", "Spearman", ""),
            (
                (r.measure, r.group, str(r.n), real(r.r2), real(r.slope),
                 f"{real(r.slope_low)} to {real(r.slope_high)}", real(r.pearson),
                 real(r.spearman), text(r.reason))
                for r in tables["lines"].itertuples()
            ),
        )  # fmt: skip
    if len(tables["reasons"]):
        print(f"\nwhy spoken questions fail, heard up to a word error rate of {limit:g}")
        if calibrated is not None and calibrated.reason is None:
            print(
                f"(calibrated: Youden's J {calibrated.youden:.2f}; "
                f"{percent(calibrated.detected)} % of the failures and "
                f"{percent(calibrated.alarms)} % of the right answers count as "
                "not heard)"
            )
        print_table(
            ("checkpoint", "as text", "reason", "n", "%"),
            ((r.model, r.text, r.reason, str(r.n), percent(r.share))
             for r in tables["reasons"].itertuples()),
        )  # fmt: skip
    if len(tables["false_alarms"]):
        print("\nfalse alarms: answered correctly as speech, and yet not heard")
        print_table(
            ("checkpoint", "right as speech", "not heard", "%"),
            ((r.model, str(r.right), str(r.misheard), percent(r.share))
             for r in tables["false_alarms"].itertuples()),
        )  # fmt: skip
    if len(tables["questions"]):
        print("\ndoes a clip's own APS (cosine) tell that its spoken answer fails?")
        print_table(
            ("checkpoint", "AUC", "95 %", "interval", "failed", "did not", ""),
            ((r.model, real(r.auc), f"{real(r.low)} to {real(r.high)}", r.interval, str(r.failed),
              str(r.kept), text(r.reason)) for r in tables["questions"].itertuples()),
        )  # fmt: skip

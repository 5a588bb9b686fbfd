"""`modgap table1`: interventions on many questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_errors import Debug, literal
from .cli_model import ModelOptions, with_model
from .cli_options import MaxTokens, PathLayer
from .errors import SettingsError
from .files import table_bytes, write_atomic

if TYPE_CHECKING:
    import pandas as pd


@with_model(named=False)
def table1(
    how: ModelOptions,
    data: Annotated[
        str,
        typer.Option(
            help="A manifest (.csv, .jsonl, .parquet with audio, transcript, reference), or demo, "
            "demo:noisy, ...: the embedded family's held-out questions."
        ),
    ] = "demo",
    model: Annotated[list[str] | None, typer.Option(help="Can be given again.")] = None,
    limit: Annotated[int | None, typer.Option(min=2, help="Only so many questions.")] = None,
    path_layer: PathLayer = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Choose an intervention on a third, test it too.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for tables and answers.")] = None,
    max_new_tokens: MaxTokens = 12,
    debug: Debug = False,
) -> None:
    """The source's Table 1: accuracies before and after interventions, with controls."""
    from dataclasses import replace

    from .benchmark.datasets import read_questions
    from .cli_render import print_table, progress_bar
    from .settings import AnalysisSettings
    from .trials import CONTROLS, RULES_OF_THE_SOURCE, outcomes, summary

    items = read_questions(data, limit)
    summaries = {}
    for name in model or ["demo:full", "demo:lora"]:
        lm = how.load(name)
        variants = {
            row: tuple(replace(it, path_layer=path_layer) for it in stack)
            for row, stack in (RULES_OF_THE_SOURCE | CONTROLS).items()
        }
        if adaptive:
            from .adaptive import grid

            candidates = grid(len(lm.editable_levels))
            variants = {**variants, **candidates}
        with progress_bar(name) as report:
            table = outcomes(
                lm, items, variants, AnalysisSettings(max_new_tokens=max_new_tokens),
                progress=report,
            )  # fmt: skip
        if table.empty:
            raise SettingsError("No question could be run; the warnings above say why.")
        fixed = table[table["variant"].isin(["none", "text", *RULES_OF_THE_SOURCE, *CONTROLS])]
        print(literal(f"{name}, {data}"))
        summaries[name] = summary(fixed)
        _print_summary(print_table, summaries[name])
        if out is not None:
            stem = name.replace(":", "-").replace("/", "-").replace("@", "-")
            write_atomic(out / f"{stem}-answers.parquet", table_bytes(table))
        if adaptive:
            from .adaptive import evaluate

            choice, report_table = evaluate(
                table[~table["variant"].isin(CONTROLS)],
            )
            print(
                literal(
                    f"adaptive: {choice.variant} where the path's similarity is at most "
                    f"{choice.threshold:.3f} ({choice.tuned_right} of {choice.n} right on the "
                    f"tuning split, {choice.plain_right} without)"
                )
            )
            kept = report_table["variant"].isin(["none", "text", *RULES_OF_THE_SOURCE, "adaptive"])
            _print_summary(print_table, report_table[kept])

    if len(summaries) > 1:
        _print_gains(summaries, out)


def _print_summary(print_table: Any, table: Any) -> None:
    print_table(
        ("variant", "n", "accuracy %", "95 %", "change", "95 %", "fixed", "broken"),
        (
            (
                r.variant, str(r.n), f"{100 * r.accuracy:.1f}",
                f"{100 * r.low:.1f} to {100 * r.high:.1f}", f"{100 * r.change:+.1f}",
                f"{100 * r.change_low:+.1f} to {100 * r.change_high:+.1f}", str(r.fixed),
                str(r.broken),
            )
            for r in table.itertuples()
        ),
    )  # fmt: skip


def _print_gains(summaries: dict[str, pd.DataFrame], out: Path | None) -> None:
    from .cli_render import print_table
    from .trials import CONTROLS, RULES_OF_THE_SOURCE, gains

    gained = gains(summaries)
    wide = gained.pivot(index=["own", "model"], columns="variant", values="change")
    print("change of accuracy (percentage points), the weakest on speech first")
    columns = list(RULES_OF_THE_SOURCE | CONTROLS)
    print_table(
        ("model", "speech %", *columns),
        (
            (name, f"{100 * own:.1f}", *(f"{100 * v:+.1f}" for v in values))
            for (own, name), values in zip(wide.index, wide[columns].to_numpy(), strict=True)
        ),
    )
    if out is not None:
        from .figures.base import standalone_html
        from .figures.gains import GainCurve

        write_atomic(out / "gains.parquet", table_bytes(gained))
        page = standalone_html(GainCurve(gained).figure(), title="Gain by accuracy on speech")
        write_atomic(out / "gains.html", page)

"""`modgap runs export` and `judge`: what is done with the answers of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modgap.cli.errors import Debug, literal, say
from modgap.cli.judges import JudgeMaxTokens, JudgeSamples, JudgeSampling, judge_of
from modgap.cli.options import JudgeKey, JudgeModel, JudgeUrl
from modgap.core.errors import SettingsError

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
    from modgap.cli.render import print_table, progress_bar
    from modgap.evaluation.judging.export import export_results

    with progress_bar("exporting") as report:
        made = export_results(run, out, models=model, data=data, progress=report)
    print_table(
        ("file", "answers", "new"),
        ((m.path.name, str(m.before + m.now), str(m.now)) for m in made),
    )
    print(literal(f"{len(made)} files in {out}"))


def judge(
    run: RunFolder,
    judge_url: JudgeUrl = None,
    judge_model: JudgeModel = "",
    judge_key: JudgeKey = "",
    judge_samples: JudgeSamples = 3,
    judge_max_tokens: JudgeMaxTokens = 1024,
    judge_sampling: JudgeSampling = "0.5,0.95",
    right_from: Annotated[
        float | None,
        typer.Option(
            help="From which mean rating on (1 to 5) an answer without a reference counts as "
            "right; by default it is rated only. Can be changed later, without asking again."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Let a judge decide the answers that no rule can; ended, the same command goes on."""
    from modgap.cli.render import progress_bar
    from modgap.evaluation.judging.verdicts import judge_run

    if judge_url is None:
        raise SettingsError(
            "Name the judge: --judge-url http://localhost:8000/v1 --judge-model NAME. The "
            "questions and answers are sent there."
        )
    asked = judge_of(
        judge_url, judge_model, judge_key, judge_samples, judge_max_tokens, judge_sampling
    )
    with progress_bar("judging") as report:
        made = judge_run(run, asked, right_from=right_from, progress=report)
    if made.failed:
        say(
            f"warning: {made.failed} answers could not be judged ({made.reason.rstrip('.')}): the "
            "same command tries them again"
        )
    print(literal(f"{made.now} answers judged by {judge_model}, {made.before} were before"))

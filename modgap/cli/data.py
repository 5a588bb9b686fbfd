"""`modgap synth` and `modgap score`: own questions, and answers made elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from modgap.cli.errors import Debug, literal, say
from modgap.cli.judges import JudgeMaxTokens, JudgeSamples, JudgeSampling, judge_of
from modgap.cli.options import Json, JudgeKey, JudgeModel, JudgeUrl

_PERTURB = (
    "clean, noise:10, reverb:0.5, rate:1.3, band:300-3400, codec:mulaw, codec:gsm, codec:opus:12, "
    "codec:mp3:16, or several joined by +. Can be given again."
)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(
        epilog="Example: modgap synth questions.csv --out spoken --voice en-us+f2 "
        "--voice en-gb-scotland --perturb clean --perturb noise:5"
    )(synth)
    app.command(
        epilog="Example: modgap score qwen2-openbookqa-test-audio.jsonl --official ~/VoiceBench"
    )(score)


def synth(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST", help="A .csv, .jsonl or .parquet with transcript, reference, ..."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for manifest.jsonl and audio/*.flac.")],
    voice: Annotated[
        list[str] | None,
        typer.Option(help="A voice of espeak-ng, timbre after +. Can be given again."),
    ] = None,
    perturb: Annotated[list[str] | None, typer.Option(help=_PERTURB)] = None,
    rate: Annotated[int, typer.Option(help="Words a minute, 80 to 450.")] = 170,
    pitch: Annotated[int, typer.Option(help="0 (low) to 99 (high).")] = 50,
    seed: Annotated[int, typer.Option(help="Of noise and rooms.")] = 0,
    debug: Debug = False,
) -> None:
    """Speak a text-only set of questions, in several voices and under perturbations."""
    from modgap.audio.perturbations import Perturbation
    from modgap.cli.render import progress_bar
    from modgap.evaluation.data.spoken_questions import SynthSettings, synthesize

    settings = SynthSettings(
        voices=tuple(voice or ("en-us+m4",)),
        perturbations=tuple(map(Perturbation.parse, perturb or ("clean",))),
        rate=rate,
        pitch=pitch,
        seed=seed,
    )
    with progress_bar("speaking") as report:
        made = synthesize(manifest, out, settings, progress=report)
    for name, reason in made.left_out:
        say(f"warning: {name} is left out: {reason}")
    print(literal(f"{made.manifest}: {made.rows} clips ({made.made} new, {made.kept} kept)"))


def score(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS", help="Files of answers: MODEL-SUBSET-SPLIT-MODALITY.jsonl."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="The data set that they answer; by default VoiceBench's subset in the file's name."
        ),
    ] = None,
    subset: Annotated[
        str | None, typer.Option(help="VoiceBench's subset, where the name does not say it.")
    ] = None,
    official: Annotated[
        Path | None,
        typer.Option(
            help="A checkout of VoiceBench: also its own evaluator's scores. Runs its code."
        ),
    ] = None,
    official_python: Annotated[
        str | None, typer.Option(help="The interpreter that has the checkout's requirements.")
    ] = None,
    judge: JudgeUrl = None,
    judge_model: JudgeModel = "",
    judge_key: JudgeKey = "",
    judge_samples: JudgeSamples = 3,
    judge_max_tokens: JudgeMaxTokens = 1024,
    judge_sampling: JudgeSampling = "0.5,0.95",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the files with verdicts, as result-NAME; a judge's replies are kept "
            "there as they come, and the same command goes on from them."
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Score answers that were made here or elsewhere; unparsed ones are counted apart."""
    from dataclasses import asdict

    from modgap.cli.render import progress_bar
    from modgap.core.errors import SettingsError
    from modgap.evaluation.data.datasets import read_questions
    from modgap.evaluation.judging.judge_many import needs_judge
    from modgap.evaluation.judging.rescore import Scored, score_file, write_scored
    from modgap.evaluation.judging.voicebench_evaluators import official_scores
    from modgap.evaluation.judging.voicebench_results import ResultName

    asked = None
    if judge is not None:
        asked = judge_of(
            judge, judge_model, judge_key, judge_samples, judge_max_tokens, judge_sampling
        )
    if asked is not None and out is None:
        raise SettingsError(
            "A judge needs --out, a folder that keeps its replies as they come, so that none has "
            "to be asked for twice."
        )
    questions = read_questions(data) if data is not None else None
    found: dict[str, dict[str, Any]] = {}
    unjudged: list[str] = []
    for path in results:
        name = path.name.removeprefix("result-")
        replies = out / f"replies-{name}" if out is not None and asked is not None else None
        with progress_bar(path.name) as report:
            rows = score_file(
                path, questions, subset=subset, judge=asked, replies=replies, progress=report
            )
        if not rows:
            raise SettingsError(f"{path} has no answers.")
        record: dict[str, Any] = asdict(Scored.summary(rows))
        if asked is not None:
            record["judge"] = asked.record()
        if official is not None:
            parsed = ResultName.parse(path.name)
            which = subset or (parsed.subset if parsed else rows[0].question.subset)
            record["official"] = official_scores(
                official, which, [s.row for s in rows], python=official_python
            )
        if out is not None:
            write_scored(out / f"result-{name}", rows, asked)
        found[str(path)] = record
        if not record["judged"] and not all(needs_judge(s.question) for s in rows):
            unjudged.append(f"{path.name} ({rows[0].verdict.rule})")
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        _table(found)
    if unjudged:
        raise SettingsError(
            f"No answer of {', '.join(unjudged)} could be judged: these numbers say nothing. Mend "
            "the references of the data set."
        )
    if asked is None and any(not r["judged"] for r in found.values()):
        say(
            "warning: answers to open questions wait for a judge: --judge-url, --judge-model, --out"
        )


def _table(found: dict[str, dict[str, Any]]) -> None:
    from modgap.cli.render import print_table

    print_table(
        ("file", "n", "judged", "accuracy %", "unparsed", "expected %", "leaderboard", "official"),
        (
            (
                Path(path).name, str(r["n"]), str(r["judged"]), _percent(r["accuracy"]),
                str(r["unparsed"]), _percent(r["expected"]), _percent(r["leaderboard"], 1),
                ", ".join(f"{k} {v:.4g}" for k, v in r.get("official", {}).items()) or "-",
            )
            for path, r in found.items()
        ),
    )  # fmt: skip


def _percent(value: float | None, scale: float = 100) -> str:
    return "-" if value is None else f"{scale * value:.1f}"

"""``modgap demo``: train, evaluate and hear the embedded model family."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modgap.cli.errors import Debug
from modgap.core.errors import SettingsError

demo_app = typer.Typer(
    no_args_is_help=True,
    help="The embedded model family: train it, evaluate it, make it speak.",
)

_FSDD = "Folder of the Free Spoken Digit Dataset (holds 'recordings/'); fetched when not given."


@demo_app.command(epilog="Example: modgap demo train --work ~/modgap-training --fsdd ~/fsdd")
def train(
    work: Annotated[
        Path | None,
        typer.Option(help="Folder for features, states and logs; the same folder resumes."),
    ] = None,
    fsdd: Annotated[Path | None, typer.Option(help=_FSDD)] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 1,
    full_steps: Annotated[int | None, typer.Option(help="Steps of full tuning.")] = None,
    lora_steps: Annotated[int | None, typer.Option(help="Steps of LoRA tuning.")] = None,
    debug: Debug = False,
) -> None:
    """Train the whole family from nothing (about two hours on two CPU cores; resumable)."""
    from dataclasses import replace

    from modgap.demo.closed_world.recipe import train as run
    from modgap.demo.closed_world.settings import TrainSettings, default_work

    settings = TrainSettings(
        work=(work or default_work()).expanduser(),
        fsdd=fsdd.expanduser() if fsdd else None,
        seed=seed,
    )
    settings = replace(
        settings,
        full_steps=full_steps or settings.full_steps,
        lora_steps=lora_steps or settings.lora_steps,
    )
    out = run(settings)
    typer.echo(f"The family is in {out}. To use it: MODGAP_DEMO_WEIGHTS={out} modgap app")


@demo_app.command("eval", epilog="Example: modgap demo eval --model demo:full --out results/")
def evaluate(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Member of the family, repeatable; all (and demo:base) by default."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for answers.parquet and tables.md.")] = Path(
        "demo-eval"
    ),
    fsdd: Annotated[
        Path | None, typer.Option(help="All recorded digits; by default the shipped ones.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Another weights folder, such as a training run's.")
    ] = None,
    work: Annotated[Path | None, typer.Option(help="Folder that keeps the features.")] = None,
    questions: Annotated[int, typer.Option(help="Open questions per condition.")] = 400,
    card: Annotated[
        Path | None, typer.Option(help="Also renew the tables of this model card (README.md).")
    ] = None,
    write_back: Annotated[
        bool, typer.Option(help="Also note the accuracies in the weights folder's family.json.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Measure accuracies on held-out phrasings and voices, with 95 % intervals."""
    from modgap.demo import family
    from modgap.demo.closed_world import report
    from modgap.demo.closed_world.evaluate import EvalSettings
    from modgap.demo.closed_world.evaluate import evaluate as run
    from modgap.demo.closed_world.settings import default_work

    settings = EvalSettings(
        work=(work or default_work()).expanduser(), fsdd=fsdd, weights=weights, n_open=questions,
        n_choice=max(1, round(questions * 0.35)), n_snapshot=min(240, questions),
    )  # fmt: skip
    names = model or ["demo:base", *[n for n in family.names(weights) if n != "demo"]]
    table = run(names, settings, lambda name: typer.echo(f"evaluating {name} ..."))
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / "answers.parquet")
    text = report.markdown(table, weights)
    (out / "tables.md").write_text(text)
    if card is not None:
        report.update_card(card, text)
    if write_back:
        report.write_back(table, weights)
    typer.echo(text)


@demo_app.command(epilog='Example: modgap demo speak "What is the capital of France?" --out f.wav')
def speak(
    text: Annotated[str, typer.Argument(help="What to say.")],
    out: Annotated[Path, typer.Option(help="WAV or FLAC file to write.")],
    voice: Annotated[
        str, typer.Option(help="A voice of espeak-ng, timbre after '+'; see 'modgap demo voices'.")
    ] = "en-us+m4",
    rate: Annotated[int, typer.Option(help="Words a minute, 80 to 450.")] = 170,
    pitch: Annotated[int, typer.Option(help="0 (low) to 99 (high).")] = 50,
    debug: Debug = False,
) -> None:
    """Synthesize a clip with espeak-ng."""
    import soundfile

    from modgap.speech import synthesis

    if out.suffix.lower() not in (".wav", ".flac"):
        raise SettingsError(f"{out} names no WAV or FLAC file: let it end in .wav or .flac.")
    samples, sampling_rate = synthesis.speak(text, voice, rate, pitch)
    try:
        soundfile.write(out, samples, sampling_rate)
    except soundfile.SoundFileError as problem:
        raise SettingsError(
            f"{out} cannot be written: choose another folder, or free some disk space."
        ) from problem
    typer.echo(f"{out}: {samples.size / sampling_rate:.2f} s at {sampling_rate} Hz")


@demo_app.command("voices", epilog="Example: modgap demo voices")
def list_voices(debug: Debug = False) -> None:
    """List the voices of the family: the training ones and the held-out ones."""
    from modgap.demo.voices import HELDOUT_VOICES, TRAIN_VOICES

    for name in TRAIN_VOICES:
        typer.echo(f"{name}\ttraining")
    for name in HELDOUT_VOICES:
        typer.echo(f"{name}\theld out")

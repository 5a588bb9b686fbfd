"""``modgap demo``: train, measure and hear the embedded model family."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modgap.cli.errors import Debug
from modgap.core.errors import SettingsError

demo_app = typer.Typer(
    no_args_is_help=True,
    help="The embedded model family: train it, measure it, make it speak.",
)


@demo_app.command(
    epilog="Example: modgap demo train --work ~/modgap-training --people recordings/manifest.csv"
)
def train(
    work: Annotated[
        Path | None,
        typer.Option(help="Folder for texts, features, states and logs; the same folder resumes."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the weights; by default 'weights' in --work.")
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(help="Manifest of recordings to measure on, never to train on."),
    ] = None,
    wordnet: Annotated[
        Path, typer.Option(help="Folder of WordNet's data files (Debian: wordnet-base).")
    ] = Path("/usr/share/wordnet"),
    flite: Annotated[
        str, typer.Option(help="Program of the synthesizer Flite; '' leaves its voices out.")
    ] = "flite",
    cores: Annotated[int | None, typer.Option(help="Cores to use; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 1,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of TrainSettings, NAME=NUMBER; can be given again."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Train the whole family from nothing, or go on where it was interrupted.

    How long each stage takes, with and without AMX, is in the model card (modgap/demo/README.md).
    """
    import shutil

    from modgap.core.folders import cache_folder
    from modgap.demo.training.package import package
    from modgap.demo.training.recipe import train as run
    from modgap.demo.training.settings import TrainSettings
    from modgap.models.bases.fetching import fetch
    from modgap.models.bases.sources import SMOLLM2, VOICE, WHISPER

    if not (wordnet / "data.noun").is_file():
        raise SettingsError(
            f"{wordnet} holds no data.noun: install WordNet (Debian: wordnet-base), or name its "
            "folder with --wordnet."
        )
    if flite and shutil.which(flite) is None:
        raise SettingsError(
            f"There is no program {flite!r}: install Flite (Debian: flite), name it with --flite, "
            "or leave its voices out with --flite ''."
        )
    if people is not None and not people.expanduser().is_file():
        raise SettingsError(f"{people} is not there: --people takes a manifest.csv.")
    folder = {one.name: one.folder for one in fetch(voice=True)}
    settings = TrainSettings(
        work=(work or cache_folder() / "training").expanduser(),
        encoder=folder[WHISPER.name], llm=folder[SMOLLM2.name], voice=folder[VOICE.name],
        wordnet=wordnet, flite=shutil.which(flite) if flite else None, seed=seed,
        people=people.expanduser() if people else None,
    ).changed(set_ or ())  # fmt: skip
    run(settings, cores, lambda stage: typer.echo(f"{stage} ..."))
    made = package(settings, (out or settings.work / "weights").expanduser())
    typer.echo(f"The family is in {made}. To use it: MODGAP_DEMO_WEIGHTS={made} modgap app")


@demo_app.command("eval", epilog="Example: modgap demo eval --people manifest.csv --out results/")
def evaluate(
    people: Annotated[Path, typer.Option(help="Manifest of recordings: columns file, transcript.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model to measure, repeatable; the whole family by default."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for clips.parquet and tables.md.")] = Path(
        "demo-eval"
    ),
    longest: Annotated[float, typer.Option(help="Leave out longer recordings, in seconds.")] = 30.0,
    card: Annotated[
        Path | None, typer.Option(help="Also renew the tables of this model card (README.md).")
    ] = None,
    debug: Debug = False,
) -> None:
    """Measure what the family hears of people: words written down, and how the paths run."""
    from modgap.core.files import write_atomic
    from modgap.demo import family
    from modgap.demo.training import measuring

    clips = measuring.read_people(people, longest)
    names = model or family.names()
    table = measuring.measure(names, clips, lambda name: typer.echo(f"measuring {name} ..."))
    text = measuring.markdown(table)
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / "clips.parquet")
    write_atomic(out / "tables.md", text.encode())
    if card is not None:
        measuring.update_card(card, text)
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
    """List the timbres of espeak-ng: those that training heard, and those that are held out."""
    from modgap.demo.training.speakers import HELDOUT_TIMBRES, TIMBRES

    for name in TIMBRES:
        typer.echo(f"{name or '(plain)'}\ttraining")
    for name in HELDOUT_TIMBRES:
        typer.echo(f"{name}\theld out")

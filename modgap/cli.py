"""The command line: `modgap --help`.

What is heavy (torch, transformers, pandas, Streamlit) is imported inside the commands.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from . import (
    __version__,
    cli_check,
    cli_controls,
    cli_data,
    cli_eval,
    cli_families,
    cli_gap,
    cli_interventions,
    cli_models,
    cli_models_compare,
    cli_pipeline,
    cli_words,
)
from .cli_errors import Commands, Debug, say
from .cli_input import parse_layers, read_transcript, sound_source
from .cli_model import ModelOptions, with_model
from .errors import SettingsError

if TYPE_CHECKING:
    from .models.base import SpeechLM

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="See why a speech language model understands words worse when they are said than when "
    "they are typed.",
    epilog="Example: modgap analyze clip.wav --transcript 'what is two plus two'",
)
cache_app = typer.Typer(no_args_is_help=True, help="Look at the cache of results, or empty it.")
app.add_typer(cache_app, name="cache")
cli_eval.register(app)
cli_interventions.register(app)
cli_models.register(app)
cli_check.register(app)
cli_families.register(app)
cli_models_compare.register(app)
cli_pipeline.register(app)
cli_words.register(app)
cli_data.register(app)
cli_gap.register(app)
cli_controls.register(app)


class _Demo(TyperGroup):
    """The commands of the embedded family, imported when one of them is asked for."""

    def _commands(self) -> Any:
        from .demo.cli import demo_app

        return typer.main.get_command(demo_app)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self._commands().list_commands(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self._commands().get_command(ctx, cmd_name)


demo_app = typer.Typer(
    cls=_Demo,
    no_args_is_help=True,
    help="The embedded model family: train it, evaluate it, speak with its voices.",
    epilog="Example: modgap demo speak 'what is two plus two' --out clip.wav",
)
app.add_typer(demo_app, name="demo")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"modgap {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Debug = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog="Example: modgap analyze question.wav --transcript @question.txt "
    "--instruction 'Answer in one word.' --layers 0,4-8 --out results"
)
@with_model()
def analyze(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="An audio file, or - for stdin.")],
    transcript: Annotated[
        str,
        typer.Option(help="What is said, or @FILE that holds it (UTF-8); @@ stands for a real @."),
    ],
    how: ModelOptions,
    instruction: Annotated[str, typer.Option(help="A typed question about the clip.")] = "",
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    layers: Annotated[
        str | None, typer.Option(help="Which layers, such as 0,4-8; all by default.")
    ] = None,
    markers: Annotated[
        str,
        typer.Option(help="keep or drop the audio markers around the transcript."),
    ] = "keep",
    final_norm: Annotated[
        bool, typer.Option(help="Take the last layer after the model's final norm.")
    ] = True,
    start: Annotated[float | None, typer.Option(help="Cut: from this second.")] = None,
    end: Annotated[float | None, typer.Option(help="Cut: to this second.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write analysis.json, the tables and matrices here.")
    ] = None,
    states: Annotated[
        bool, typer.Option("--states", help="Write the hidden states too (needs --out).")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print analysis.json instead of the table.")
    ] = False,
    cache: Annotated[bool, typer.Option(help="Use the cache of results.")] = True,
    answers: Annotated[bool, typer.Option(help="Let the model answer both prompts.")] = True,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 48,
    temperature: Annotated[float, typer.Option(help="Of the answers; 0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of sampled answers.")] = 0,
    debug: Debug = False,
) -> None:
    """Measure how a clip and its transcript line up in a model, layer by layer."""
    from .settings import AnalysisSettings

    # Everything that can be wrong with the words comes before the seconds of loading a model.
    if states and out is None:
        raise SettingsError("--states writes a file: say where with --out FOLDER.")
    settings = AnalysisSettings(
        instruction=instruction,
        system=system,
        markers=markers,  # type: ignore[arg-type]  # checked by the settings
        layers=None if layers is None else parse_layers(layers),
        final_norm=final_norm,
        answers=answers,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        states=states,
    )
    words = read_transcript(transcript)
    from .audio import load_clip

    sound = load_clip(sound_source(clip), start=start, end=end)

    from .analysis import analyze as run
    from .analysis_io import check_folder, to_json
    from .cli_render import literal, print_analysis, progress_bar
    from .store import default_store

    if out is not None:
        check_folder(out)
    with progress_bar(f"loading {how.model}") as report:
        lm = how.load()
        store = default_store() if cache else None
        result = run(lm, sound, words, settings, store=store, progress=report)
    saved = result.save(out, states=states) if out is not None else ()
    if as_json:
        sys.stdout.write(to_json(result.to_dict()))
    else:
        print_analysis(result)
        if saved:
            print(literal(f"wrote {', '.join(p.name for p in saved)} in {saved[0].parent}"))


@cache_app.command("info", epilog="Example: MODGAP_CACHE=~/cache modgap cache info")
def cache_info(debug: Debug = False) -> None:
    """Say where the cache is, how much it holds and how much it may."""
    from .cli_render import print_store
    from .store import default_store

    print_store(default_store().info())


@cache_app.command("clear", epilog="Example: modgap cache clear")
def cache_clear(debug: Debug = False) -> None:
    """Delete every cached result. They are computed again when they are needed."""
    from .cli_render import size
    from .store import default_store

    store = default_store()
    freed = store.info().bytes
    deleted = store.clear()
    print(f"deleted {deleted} entries ({size(freed)})")


@app.command("app", epilog="Example: modgap app --model Qwen/Qwen2-Audio-7B-Instruct --port 8600")
def explorer(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Also offer this model: a hub id or a folder. Can be given again."),
    ] = None,
    recognizer: Annotated[
        list[str] | None,
        typer.Option(
            help="Also offer this Whisper to the pipeline: a hub id or a folder. Can be given "
            "again."
        ),
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Also offer this run, a folder. Can be given again."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="By default the first free one from 8501.")
    ] = None,
    address: Annotated[
        str, typer.Option(help="Listen here; others than this machine's own reach the network.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name that browsers reach the app by. Can be given again."),
    ] = None,
    open_browser: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open it in the browser.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Start the explorer, for the browser."""
    from .cli_app import has_screen, is_loopback, plan, serve

    server = plan(
        model or (), runs=run or (), port=port, address=address, allow_hosts=allow_host or (),
        recognizers=recognizer or (),
    )  # fmt: skip
    if not is_loopback(address):
        say(
            "warning: everyone who reaches this address can use the explorer and its models; it "
            "asks for no password (see SECURITY.md)"
        )
    wanted = sys.stdout.isatty() and has_screen() if open_browser is None else open_browser
    raise typer.Exit(serve(server, open_browser=wanted))


def load(name: str, **options: Any) -> SpeechLM:
    """`load_model` without the bars and the advice of the libraries below it."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    from .models import load_model

    return load_model(name, **options)


def main() -> None:
    """Entry point of the `modgap` command."""
    app()


if __name__ == "__main__":
    main()

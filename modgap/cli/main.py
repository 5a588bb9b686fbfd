"""The command line: `modgap --help`.

What is heavy (torch, transformers, pandas, Streamlit) is imported inside the commands.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from modgap.cli import (
    aps,
    check,
    compare_clips,
    compare_models,
    controls,
    data,
    evaluate,
    families,
    fetch,
    fit,
    gap,
    intervene,
    maps,
    models,
    pipeline,
    sweep,
    table1,
)
from modgap.cli import words as cli_words
from modgap.cli.errors import Commands, Debug, say
from modgap.cli.inputs import parse_layers, read_clip, read_transcript
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import (
    Cache,
    Channel,
    Clip,
    Families,
    Instruction,
    Markers,
    MaxTokens,
    Prompt,
    System,
    TooLong,
)
from modgap.core.errors import SettingsError
from modgap.core.version import __version__

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
evaluate.register(app)
intervene.register(app)
sweep.register(app)
aps.register(app)
table1.register(app)
fit.register(app)
maps.register(app)
models.register(app)
check.register(app)
families.register(app)
fetch.register(app)
compare_models.register(app)
compare_clips.register(app)
pipeline.register(app)
cli_words.register(app)
data.register(app)
gap.register(app)
controls.register(app)


class _Demo(TyperGroup):
    """The commands of the embedded family, imported when one of them is asked for."""

    def _commands(self) -> Any:
        from modgap.cli.demo import demo_app

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
    clip: Clip,
    transcript: Annotated[
        str,
        typer.Option(help="What is said, or @FILE that holds it (UTF-8); @@ stands for a real @."),
    ],
    how: ModelOptions,
    instruction: Instruction = "",
    system: System = None,
    layers: Annotated[
        str | None, typer.Option(help="Which layers, such as 0,4-8; all by default.")
    ] = None,
    markers: Markers = "keep",
    too_long: TooLong = "fail",
    prompt: Prompt = "plain",
    final_norm: Annotated[
        bool, typer.Option(help="Take the last layer after the model's final norm.")
    ] = True,
    channel: Channel = None,
    start: Annotated[float | None, typer.Option(help="Cut: from this second.")] = None,
    end: Annotated[float | None, typer.Option(help="Cut: to this second.")] = None,
    cut_words: Annotated[
        bool | None,
        typer.Option(
            "--cut-words/--words-of-part",
            help="With --start or --end: the transcript is that of the whole clip, so cut its "
            "words by their times; or it is that of the part already.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write analysis.json, the tables and matrices here.")
    ] = None,
    states: Annotated[
        bool, typer.Option("--states", help="Write the hidden states too (needs --out).")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print analysis.json instead of the table.")
    ] = False,
    cache: Cache = True,
    answers: Annotated[bool, typer.Option(help="Let the model answer both prompts.")] = True,
    max_new_tokens: MaxTokens = 48,
    temperature: Annotated[float, typer.Option(help="Of the answers; 0 is greedy.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of sampled answers.")] = 0,
    debug: Debug = False,
) -> None:
    """Measure how a clip and its transcript line up in a model, layer by layer."""
    from modgap.core.settings import AnalysisSettings

    # Everything that can be wrong with the words comes before the seconds of loading a model.
    if states and out is None:
        raise SettingsError("--states writes a file: say where with --out FOLDER.")
    settings = AnalysisSettings(
        instruction=instruction,
        system=system,
        markers=markers,  # type: ignore[arg-type]  # checked by the settings
        too_long=too_long,  # type: ignore[arg-type]
        prompt_style=prompt,  # type: ignore[arg-type]
        layers=None if layers is None else parse_layers(layers),
        final_norm=final_norm,
        answers=answers,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        states=states,
    )
    words = read_transcript(transcript)
    trimmed = start is not None or end is not None
    if trimmed and cut_words:
        sound = read_clip(clip, channel=channel)
    else:
        sound = read_clip(clip, channel=channel, start=start, end=end)
    if trimmed and cut_words is None:
        say(
            "warning: a part of the clip is used with the whole transcript; add --cut-words if "
            "it is that of the whole clip, --words-of-part if it is not"
        )

    from modgap.analysis.export import check_folder, to_json
    from modgap.analysis.functions import analyze as run
    from modgap.cli.render import literal, print_analysis, progress_bar
    from modgap.store.cache import default_store

    if out is not None:
        check_folder(out)
    store = default_store() if cache else None
    if trimmed and cut_words:
        from modgap.analysis.clip_part import cut_clip

        part = cut_clip(sound, words, start or 0.0, end, store=store)
        sound, words = part.clip, part.transcript
        say(f"note: the words of this part: {words}")
    with progress_bar(f"loading {how.model}") as report:
        lm = how.load()
        result = run(lm, sound, words, settings, store=store, progress=report)
    saved = result.save(out, states=states) if out is not None else ()
    if as_json:
        sys.stdout.write(to_json(result.to_dict()))
    else:
        print_analysis(result, told=sound.notes)
        if saved:
            print(literal(f"wrote {', '.join(p.name for p in saved)} in {saved[0].parent}"))


@cache_app.command("info", epilog="Example: MODGAP_CACHE=~/cache modgap cache info")
def cache_info(debug: Debug = False) -> None:
    """Say where the cache is, how much it holds and how much it may."""
    from modgap.cli.render import print_store
    from modgap.store.cache import default_store

    print_store(default_store().info())


@cache_app.command("clear", epilog="Example: modgap cache clear")
def cache_clear(debug: Debug = False) -> None:
    """Delete every cached result. They are computed again when they are needed."""
    from modgap.cli.render import size
    from modgap.store.cache import default_store

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
    family: Families = None,
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
    from modgap.cli.app import has_screen, plan, serve
    from modgap.core.network import is_loopback

    server = plan(
        model or (),
        runs=run or (),
        port=port,
        address=address,
        allow_hosts=allow_host or (),
        recognizers=recognizer or (),
        families=family or (),
    )
    if not is_loopback(address):
        say(
            "warning: everyone who reaches this address can use the explorer and its models; it "
            "asks for no password (see SECURITY.md)"
        )
    wanted = sys.stdout.isatty() and has_screen() if open_browser is None else open_browser
    raise typer.Exit(serve(server, open_browser=wanted))


def main() -> None:
    """Entry point of the `modgap` command."""
    app()


if __name__ == "__main__":
    main()

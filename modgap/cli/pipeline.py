"""`modgap pipeline`: a recogniser, then a text LLM, on one clip."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from modgap.cli.errors import Debug, literal
from modgap.cli.inputs import read_clip, read_transcript
from modgap.cli.model_options import ModelOptions, with_model
from modgap.cli.options import (
    Cache,
    Channel,
    Clip,
    Instruction,
    Json,
    Markers,
    MaxTokens,
    System,
    Transcribed,
    Transcript,
)
from modgap.models.loading.embedded import text_base
from modgap.speech.base import EMBEDDED

if TYPE_CHECKING:
    from modgap.analysis.pipeline import Cascade

Recognizer = Annotated[
    str,
    typer.Option(help="A Whisper: whisper-tiny.en, fetched on first use, a folder or a hub id."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(
        epilog="Example: modgap pipeline clip.wav --transcript 'what is two plus two' "
        "--recognizer openai/whisper-small"
    )(pipeline)


@with_model()
def pipeline(
    clip: Clip,
    transcript: Transcript,
    how: ModelOptions,
    channel: Channel = None,
    recognizer: Recognizer = EMBEDDED,
    llm: Annotated[
        str | None,
        typer.Option(
            help="The text model that answers; by default demo:base for the embedded models, else "
            "the text side of --model."
        ),
    ] = None,
    instruction: Instruction = "",
    system: System = None,
    markers: Markers = "keep",
    transcribed: Transcribed = False,
    max_new_tokens: MaxTokens = 48,
    as_json: Json = False,
    cache: Cache = True,
    debug: Debug = False,
) -> None:
    """Let a speech recogniser write a clip down, and a text LLM answer what it wrote."""
    from modgap.core.settings import AnalysisSettings

    settings = AnalysisSettings(
        instruction=instruction,
        system=system,
        markers=markers,  # type: ignore[arg-type]  # checked by the settings
        max_new_tokens=max_new_tokens,
    )
    if llm is not None:
        how.check([how.model, llm])
    llm = llm or text_base(how.model)
    words = read_transcript(transcript)
    sound = read_clip(clip, channel=channel)
    from modgap.analysis.export import to_json
    from modgap.analysis.pipeline import pipeline as run
    from modgap.cli.render import progress_bar
    from modgap.speech.recognizers import load_recognizer
    from modgap.store.cache import default_store

    with progress_bar(f"loading {recognizer}") as report:
        ears = load_recognizer(recognizer, device=how.device)
        lm = how.load() if llm is None else how.load_beside(llm)
        store = default_store() if cache else None
        made = run(
            ears, lm, sound, words, settings,
            transcribed=transcribed, store=store, progress=report,
        )  # fmt: skip
    if as_json:
        sys.stdout.write(to_json(made.to_dict()))
    else:
        _print(made)


def _print(made: Cascade) -> None:
    from modgap.cli.render import print_table

    e = made.errors
    rate = "-" if e.rate is None else f"{100 * e.rate:.1f} %"
    errors = f"{e.substitutions} substituted, {e.deletions} deleted, {e.insertions} inserted"
    given = "(no words were heard)" if made.answer is None else made.answer.text.strip()
    ending = "" if made.answer is None or made.answer.finished else " ..."
    print_table(
        (f"{made.recognizer}, then {made.llm}", ""),
        (
            ("said", made.transcript),
            ("heard", made.heard or "(nothing)"),
            ("word error rate", f"{rate} ({errors}; {e.words} words)"),
            ("answer", given + ending),
        ),
    )
    if made.from_cache:
        print(literal(f"from the cache, {made.created}"))

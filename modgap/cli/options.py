"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

Clip = Annotated[
    Path,
    typer.Argument(
        metavar="CLIP", help="An audio file, - for stdin, or example:ID for a shipped one."
    ),
]
Channel = Annotated[
    int | None,
    typer.Option(min=1, help="Only this channel of CLIP, from 1; by default the mean of all."),
]
Start = Annotated[
    float | None,
    typer.Option(min=0, help="Cut: from this second; the words are those of the part."),
]
End = Annotated[
    float | None, typer.Option(min=0, help="Cut: to this second; the words are those of the part.")
]
Transcript = Annotated[str, typer.Option(help="What is said, or @FILE that holds it (UTF-8).")]
HeardBy = Annotated[
    str | None,
    typer.Option(
        metavar="WHO",
        help="In the place of a transcript: own, what the model itself writes down, or what a "
        "recogniser hears (whisper-tiny.en, a Whisper).",
    ),
]
MapName = Annotated[
    str, typer.Option("--map", metavar="MAP", help="Of the rule map: what modgap fit made.")
]
KeepLength = Annotated[
    bool, typer.Option("--keep-length", help="Of the rule map: only directions change.")
]
Instruction = Annotated[str, typer.Option(help="A typed question about the clip.")]
System = Annotated[str | None, typer.Option(help="A system message.")]
Markers = Annotated[str, typer.Option(help="keep or drop the audio markers around the transcript.")]
TooLong = Annotated[
    str,
    typer.Option(help="fail, or cut: a clip longer than the model takes is heard up to its limit."),
]
PairMarkers = Annotated[
    str,
    typer.Option(
        help="keep or drop the audio markers around the text that speech is held against."
    ),
]
TextMarkers = Annotated[
    str, typer.Option(help="The same of what is answered as text; drop: as it would be typed.")
]
Transcribed = Annotated[
    bool, typer.Option(help="Tell the text model that the words are transcribed speech.")
]
Prompt = Annotated[
    str,
    typer.Option(
        help="plain: the same for all families; vendor: separator, order and system text of the "
        "model's publisher."
    ),
]
Model = Annotated[str, typer.Option(help="A name from `modgap models`, a folder, or a hub id.")]
ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A name from `modgap models`, a folder, or a hub id."),
]
Models = Annotated[list[str] | None, typer.Option("--model", help="Can be given again.")]
Families = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="A family of your own: a Python file (which is run), or an installed one's name.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Out = Annotated[Path | None, typer.Option(help="Write the table here, as parquet.")]
MaxTokens = Annotated[int, typer.Option(help="Longest answer.")]
Cache = Annotated[bool, typer.Option(help="Use the cache of results.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]
PathKind = Annotated[str, typer.Option(help="argmax or dtw.")]
Measure = Annotated[str, typer.Option(help="cosine or euclidean.")]
JudgeUrl = Annotated[
    str | None,
    typer.Option(
        "--judge-url",
        "--judge",
        metavar="URL",
        help="An OpenAI-compatible endpoint that judges open answers. Sends them there.",
    ),
]
JudgeModel = Annotated[str, typer.Option(help="The endpoint's name of the judge.")]
JudgeKey = Annotated[
    str, typer.Option(metavar="VARIABLE", help="Environment variable that holds its key.")
]
PathLayer = Annotated[
    int | None, typer.Option(help="Layer of the path; by default where it is edited.")
]


def family_paths(families: Sequence[str]) -> tuple[str, ...]:
    """Families as named; files by their whole path, for processes that run elsewhere."""
    paths = (Path(name).expanduser() for name in families)
    return tuple(
        str(path.resolve()) if path.is_file() else name
        for path, name in zip(paths, families, strict=True)
    )

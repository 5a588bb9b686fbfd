"""What is typed on the command line, understood: layers, transcripts, where the sound is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modgap.cli.errors import say
from modgap.core.errors import AudioError, SettingsError

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

MAX_TRANSCRIPT_BYTES = 1 << 20


def parse_layers(text: str) -> tuple[int, ...]:
    """Layer numbers of "0,4-8".

    Raises
    ------
    SettingsError
        It is not of that form.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        ends = (first, last) if dash else (first, first)
        if not all(e.isascii() and e.isdigit() and len(e) <= 4 for e in ends):
            raise SettingsError(f"--layers takes numbers and ranges such as 0,4-8, not {text!r}.")
        low, high = map(int, ends)
        if low > high:
            raise SettingsError(f"--layers {part.strip()}: a range goes from low to high.")
        numbers.update(range(low, high + 1))
    return tuple(sorted(numbers))


def read_transcript(text: str) -> str:
    """The transcript that ``--transcript`` names, without blanks around it.

    Raises
    ------
    SettingsError
        The file cannot be read, is not UTF-8 text, or nothing is in it.
    """
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        path = Path(text[1:]).expanduser()
        try:
            with path.open("rb") as file:
                data = file.read(MAX_TRANSCRIPT_BYTES + 1)
        except (OSError, ValueError) as problem:
            why = getattr(problem, "strerror", None) or problem
            raise SettingsError(f"The transcript {path} cannot be read: {why}.") from problem
        if len(data) > MAX_TRANSCRIPT_BYTES:
            raise SettingsError(f"The transcript {path} is larger than 1 MB: is it the right file?")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SettingsError(f"The transcript {path} is not text: save it as UTF-8.") from None
    if not text.strip():
        raise SettingsError("The transcript is empty: give the words that are said in the clip.")
    return text.strip()


def sound_source(clip: Path) -> Any:
    """What `load_clip` reads: the file, stdin for ``-``, a shipped clip for ``example:ID``.

    Raises
    ------
    AudioError
        stdin is a terminal, or there is no such example.
    """
    kind, colon, name = str(clip).partition(":")
    if kind == "example" and colon and not clip.exists():
        from modgap.analysis.examples import example, examples

        found = example(name)
        if found is None:
            known = ", ".join(e.id for e in examples())
            raise AudioError(f"There is no example {name!r}. There are: {known}.")
        return found.path
    if str(clip) != "-":
        return clip
    if sys.stdin.isatty():
        raise AudioError("No sound comes in on stdin: give a file, or pipe one in.")
    return sys.stdin.buffer


def read_clip(
    clip: Path, *, channel: int | None = None, start: float | None = None, end: float | None = None
) -> Clip:
    """The clip that a command names; what its user should know of it goes to stderr.

    Raises
    ------
    AudioError
        It cannot be used.
    """
    from modgap.audio.clip import load_clip

    found = load_clip(sound_source(clip), channel=channel, start=start, end=end)
    for note in found.notes:
        say(f"warning: {note}")
    return found

"""How a data set's questions are asked where nothing else is said: its budget and its prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["AskedAs", "asked_as"]


@dataclass(frozen=True, kw_only=True)
class AskedAs:
    """What a data set wants.

    Attributes
    ----------
    max_new_tokens : int
        Longest answer.
    prompt : str
        As in `RunSettings`.
    transcribed : bool
        Whether a pipeline's text model is told that the words are transcribed speech.
    why : str
        Of the budget, for people.
    """

    max_new_tokens: int
    prompt: str = "plain"
    transcribed: bool = True
    why: str


#: The budget of VoiceBench's wrappers (``max_new_tokens=2048``), whatever the subset.
VOICEBENCH = AskedAs(max_new_tokens=2048, prompt="voicebench", why="VoiceBench's own")
#: The embedded family answers in a sentence, and was never told of transcribed speech.
DEMO = AskedAs(max_new_tokens=48, transcribed=False, why="its answers are a sentence")
OTHER = AskedAs(max_new_tokens=256, why="a paragraph")


def asked_as(data: str) -> AskedAs:
    """How the questions of a data set are asked, by its name as in `iter_questions`.

    >>> asked_as("voicebench:ifeval").max_new_tokens, asked_as("questions.csv").max_new_tokens
    (2048, 256)
    """
    name, _, rest = data.partition(":")
    if name == "demo":
        return DEMO
    if name == "voicebench" and rest:
        return VOICEBENCH
    path = Path(data)
    if data and (path.is_dir() or path.suffix == ".parquet"):
        from modgap.evaluation.data.voicebench_tables import is_voicebench

        if is_voicebench(path):
            return VOICEBENCH
    return OTHER

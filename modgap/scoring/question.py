"""One spoken question with what is needed to ask it and to score its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modgap.audio.clip import Clip

__all__ = ["Question"]


@dataclass(frozen=True)
class Question:
    """A question of a data set.

    Attributes
    ----------
    id : str
        Unique in its data set.
    transcript : str
        What is said.
    load : callable () -> Clip
        Reads or makes the sound; called in the process that runs the model, once an input needs it.
    reference : str
        The right answer, as the scorer wants it; empty where the scorer needs none.
    instruction : str
        A typed question or task beside the clip.
    scorer : str
        Name of the scorer of the answer (`modgap.scoring.scorers`).
    choices : tuple of str
        Words of the options A, B, ... of a multiple choice, in order.
    meta : mapping of str to JSON values
        What else the scorer needs, under the data set's own field names.
    dataset, subset : str
    groups : mapping of str to str
        Accent, voice, topic, perturbation, language, whatever the data set tells apart. Questions
        that are the same but for the voice share ``groups["item"]``.
    """

    id: str
    transcript: str
    load: Callable[[], Clip]
    reference: str = ""
    instruction: str = ""
    scorer: str = "reference"
    choices: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""
    subset: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)

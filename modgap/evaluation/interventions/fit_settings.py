"""Which pairs a map is fitted on: the settings of a fit, and the parts of a data set.

Questions are told apart by what is asked (``groups["item"]``), not by who says it, so that a
question never lies on both sides in two voices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modgap.core.errors import SettingsError
from modgap.core.settings import check_too_long, integer
from modgap.evaluation.interventions.adaptive import split
from modgap.interventions.intervention import MEASURES, PATHS
from modgap.interventions.maps.affine import kinds_of

if TYPE_CHECKING:
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question

__all__ = ["SPLITS", "FitSettings", "Questions", "group_of", "split_questions"]

#: Which questions: those of `adaptive.split`'s tuning part, the others, or all.
SPLITS = ("tuning", "rest", "all")

Questions = Callable[[], Iterator["Question"]]
"""Reads the questions from the beginning, each time it is called."""


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Which pairs maps are fitted on, and what is fitted.

    Attributes
    ----------
    layers : tuple of int
        Levels whose states are mapped, each by maps of its own.
    kinds : tuple of str
        Of `modgap.interventions.maps.affine.KINDS`.
    path : "argmax" or "dtw"
        Which speech position goes with each text token.
    measure : "cosine" or "euclidean"
    path_layer : int or None
        The level of the path; None is each map's own.
    penalty, rank : optional
        Of "ridge" and "residual"; chosen by cross-validation where they are not named.
    gate : bool
        Whether the maps get a gate.
    shuffled : bool
        Whether each text state is replaced by one of another pair: the control without alignment.
    seed : int
        Of the shuffling.
    markers : "keep" or "drop"
    system : str or None
        As in `SpeechLM.prepare`.
    too_long : "fail" or "cut"
        Whether a clip that is longer than the model takes is left out, or heard up to its limit.

    Raises
    ------
    SettingsError
        A value is out of range; the message names it.
    """

    layers: tuple[int, ...] = (0,)
    kinds: tuple[str, ...] = ("ridge",)
    path: str = "argmax"
    measure: str = "cosine"
    path_layer: int | None = None
    penalty: float | None = None
    rank: int | None = None
    gate: bool = False
    shuffled: bool = False
    seed: int = 0
    markers: str = "keep"
    system: str | None = None
    too_long: str = "fail"

    def __post_init__(self) -> None:
        for name, known in (("path", PATHS), ("measure", MEASURES), ("markers", ("keep", "drop"))):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}."
                )
        check_too_long(self.too_long)
        layers = {integer("layers", layer, 0, 10_000) for layer in self.layers}
        if not layers:
            raise SettingsError("layers is empty: name at least one layer.")
        object.__setattr__(self, "layers", tuple(sorted(layers)))
        object.__setattr__(self, "kinds", kinds_of(self.kinds))
        if self.path_layer is not None:
            integer("path_layer", self.path_layer, 0, 10_000)
        integer("seed", self.seed, 0, 2**31 - 1)

    def check(self, model: SpeechLM) -> None:
        """Refuse layers that a model does not have, or whose change could not reach the answer.

        Raises
        ------
        SettingsError
        """
        beyond = [layer for layer in self.layers if layer >= model.n_layers]
        if beyond:
            raise SettingsError(
                f"A map of layer {beyond[0]} could not be used: this model has {model.n_layers} "
                f"layers, and only a change in one of 0 to {model.n_layers - 1} can reach the "
                "answer."
            )
        model.check_edit(self.layers)
        if self.path_layer is not None and self.path_layer > model.n_layers:
            raise SettingsError(
                f"There is no layer {self.path_layer} to take the path from: this model has layers "
                f"0 to {model.n_layers}."
            )


def group_of(question: Question) -> str:
    """What is asked, whoever says it."""
    return question.groups.get("item") or question.transcript


def split_questions(questions: Questions, part: str) -> Questions:
    """The questions of a part of the data set, still streamed; voices of one stay together.

    Raises
    ------
    SettingsError
        The part is unknown, or would be empty.
    """
    if part not in SPLITS:
        raise SettingsError(f"The split is one of {', '.join(SPLITS)}, not {part!r}.")
    if part == "all":
        return questions
    tuning, rest = split([group_of(question) for question in questions()])
    wanted = frozenset(tuning if part == "tuning" else rest)
    return lambda: (question for question in questions() if group_of(question) in wanted)

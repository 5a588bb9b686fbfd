"""Maps, their controls and the rules that know the transcript, on questions that no fit has seen.

A map is fitted on the tuning part of a data set (`adaptive.split`, by what is asked) and tried on
the rest, or on other data whose questions are not of that part. Beside each map stand the controls
(its change turned in a direction of no meaning; a map of shuffled pairs; the mean shift alone) and
the oracles: the rules of the source in the same layer, which are told the words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from modgap.core.errors import SettingsError
from modgap.core.names import short_name
from modgap.core.progress import Steps
from modgap.evaluation.data.datasets import iter_questions
from modgap.evaluation.interventions.fit_settings import (
    FitSettings,
    Questions,
    group_of,
    split_questions,
)
from modgap.evaluation.interventions.fitting import fit_maps
from modgap.evaluation.interventions.question_outcomes import outcomes, summary
from modgap.interventions.intervention import Intervention, Stack
from modgap.interventions.maps.affine import FittedMap
from modgap.interventions.maps.files import save_map
from modgap.interventions.maps.pins import pin

if TYPE_CHECKING:
    from modgap.core.progress import Progress
    from modgap.core.settings import AnalysisSettings
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question

__all__ = ["ORACLES", "Row", "fitted_variants", "map_table", "transferred"]

#: Rules that are told the words, in the same layer; the ceiling of what a map could do.
ORACLES = {"angle": Intervention(tokens="all"), "patch": Intervention(rule="patch", tokens="all"),
           "mean": Intervention(rule="mean", tokens="all")}  # fmt: skip
#: Maps that are free enough to need controls.
CONTROLLED = ("procrustes", "ridge", "residual")


@dataclass(frozen=True)
class Row:
    """One row of the table: what is applied, and what it is called.

    Attributes
    ----------
    layer : int
    map : str
        The kind of map, or the rule of an oracle.
    control : str
        "" for a map as it is; "gated", "own length", "rotated", "shuffled", "oracle", or
        "of MODEL" for one that was fitted on another model.
    stack : Stack
    explained : float or None
        Explained variance on held-out pairs, where it is a map.
    """

    layer: int
    map: str
    control: str
    stack: Stack
    explained: float | None = None

    @property
    def name(self) -> str:
        """Of the variant in `outcomes`."""
        return ", ".join(part for part in (self.map, self.control, f"layer {self.layer}") if part)


def fitted_variants(
    model: SpeechLM,
    data: str,
    settings: FitSettings,
    folder: Path,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Fit maps on the tuning part of a data set, with their controls, and write them.

    Parameters
    ----------
    model : SpeechLM
    data : str
        As in `iter_questions`.
    settings : FitSettings
        Its gate and shuffling are set here.
    folder : Path
        Gets a folder for every map.
    limit : int, optional
    progress : callable (fraction, note), optional

    Returns
    -------
    list of Row
        Maps, controls and oracles, layer by layer.
    """
    steps = Steps(progress)
    tuning = split_questions(partial(iter_questions, data, limit), "tuning")
    about = {"name": data_name(data), "split": "tuning", "limit": limit}
    made = fit_maps(model, tuning, replace(settings, gate=True, shuffled=False),
                    about=about, progress=steps.part(0, 0.5, "fitting")).maps  # fmt: skip
    mixed: dict[tuple[int, str], FittedMap] = {}
    controlled = tuple(kind for kind in settings.kinds if kind in CONTROLLED)
    if controlled:
        mixed = fit_maps(
            model, tuning, replace(settings, kinds=controlled, gate=False, shuffled=True),
            about=about, progress=steps.part(0.5, 1, "fitting shuffled pairs"),
        ).maps  # fmt: skip
    rows: list[Row] = []

    def add(fitted: FittedMap, layer: int, kind: str, control: str, **more: Any) -> None:
        place = folder / "-".join(part for part in (f"layer{layer}", kind, control) if part)
        if not more:
            save_map(fitted, place)
        else:
            place = folder / f"layer{layer}-{kind}"
        it = Intervention(rule="map", map=pin(str(place)), layers=(layer,), **more)
        found = fitted.card["held_out"] if not fitted.card.get("of") else {}
        rows.append(Row(layer, kind, control, (it,), found.get("explained")))

    for layer in settings.layers:
        for kind in settings.kinds:
            gated = made[layer, kind]
            bare = gated.without_gate()
            card = {**gated.card, "held_out": gated.card["without_gate"]}
            bare = replace(bare, card=card)
            add(bare, layer, kind, "")
            add(bare, layer, kind, "own length", keep_length=True)
            add(gated, layer, kind, "gated")
            if kind in CONTROLLED:
                add(bare.rotated(settings.seed), layer, kind, "rotated")
                add(mixed[layer, kind], layer, kind, "shuffled")
        rows += [
            Row(layer, rule, "oracle", (replace(it, layers=(layer,)),))
            for rule, it in ORACLES.items()
        ]
    return rows


def transferred(rows: Sequence[Row], of: str) -> list[Row]:
    """Maps as they are of one model, as variants of another that has states of the same size."""
    maps = [row for row in rows if not row.control]
    return [replace(row, control=f"of {short_name(of)}") for row in maps]


def map_table(
    model: SpeechLM,
    rows: Sequence[Row],
    test: Mapping[str, Sequence[Question]],
    settings: AnalysisSettings,
    *,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ask questions under every row.

    Parameters
    ----------
    model : SpeechLM
    rows : sequence of Row
    test : mapping of a data set's name to its questions
        None of which a fit may have seen (`unseen`).
    settings : AnalysisSettings
        Of the prompt and the decoding.
    progress : callable (fraction, note), optional

    Returns
    -------
    table : DataFrame
        One row a data set and variant: ``data``, ``layer``, ``map``, ``control``, ``explained``
        (on held-out pairs), and the columns of `summary`: accuracy, the change against the speech
        as it is, both with 95 % intervals (the change's paired), ``fixed``, ``broken``. The rows
        ``none`` and ``text`` have no layer.
    answers : DataFrame
        `outcomes`, with ``data``.
    """
    named = {row.name: row for row in rows}
    if len(named) < len(rows):
        raise SettingsError("Two variants have one name: give each model and layer once.")
    steps, tables, answers = Steps(progress), [], []
    for number, (data, items) in enumerate(test.items()):
        part = steps.part(number / len(test), (number + 1) / len(test), data)
        stacks = {name: row.stack for name, row in named.items()}
        found = outcomes(model, items, stacks, settings, progress=part)
        if found.empty:
            raise SettingsError("No question could be run; the warnings above say why.")
        table = summary(found)
        about = [named.get(name) for name in table["variant"]]
        table.insert(0, "data", data)
        table.insert(1, "layer", pd.array([r.layer if r else None for r in about], "Int64"))
        table.insert(2, "map", [r.map if r else "" for r in about])
        table.insert(3, "control", [r.control if r else "" for r in about])
        table["explained"] = [r.explained if r else None for r in about]
        table["explained"] = table["explained"].astype("Float64")
        tables.append(table)
        answers.append(found.assign(data=data))
    return pd.concat(tables, ignore_index=True), pd.concat(answers, ignore_index=True)


def unseen(data: str, fitted_on: str, limit: int | None = None) -> list[Question]:
    """Questions of a data set that are not among those that maps of `fitted_on` were fitted on.

    Raises
    ------
    SettingsError
        All of them are.
    """
    tuning = {group_of(q) for q in _read(fitted_on, limit, "tuning")}
    found = [q for q in iter_questions(data, limit) if group_of(q) not in tuning]
    if not found:
        raise SettingsError(f"All questions of {data} were fitted on: name other data to test.")
    return found


def data_name(data: str) -> str:
    """A data set's name; of a file only its last part, as maps travel."""
    return Path(data).name if Path(data).exists() else data


def _read(data: str, limit: int | None, part: str) -> Iterator[Question]:
    questions: Questions = partial(iter_questions, data, limit)
    return split_questions(questions, part)()

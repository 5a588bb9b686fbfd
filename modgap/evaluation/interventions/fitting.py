"""From clips and their transcripts to fitted maps: one pass over each, and only statistics kept.

Of the questions (`fit_settings.group_of`), a part is left out of the fit: half
of it says how the map does on pairs that it has not seen, half of it says where a gate should let
it act. The rest makes up the folds by which penalty and rank are chosen.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from modgap.core.errors import ModgapError, SettingsError
from modgap.core.names import short_name
from modgap.evaluation.interventions.fit_settings import FitSettings, Questions, group_of
from modgap.interventions.maps.affine import FittedMap
from modgap.interventions.maps.fits import fit
from modgap.interventions.maps.gate import GateFit, HeldOut
from modgap.interventions.maps.moments import Moments
from modgap.interventions.rules import source_path
from modgap.models.capture import stream_pair

if TYPE_CHECKING:
    from modgap.core.progress import Progress
    from modgap.models.base import SpeechLM
    from modgap.scoring.question import Question

__all__ = ["Fits", "fit_maps"]

log = logging.getLogger(__name__)

FOLDS = 4
#: Share of the groups that no map is fitted on.
HELD_OUT = 0.2
#: Text states that shuffled pairs are drawn from.
POOL = 512
FIT, GATE, CARD = "fit", "gate", "held out"


@dataclass(frozen=True)
class Fits:
    """What a data set gives.

    Attributes
    ----------
    maps : dict of (layer, kind) to FittedMap
    clips : dict of str to int
        Clips that were used, by part: ``"fit"``, ``"gate"``, ``"held out"``.
    left_out : int
        Clips that could not be run; warnings say why.
    seconds : float
        All of it.
    """

    maps: dict[tuple[int, str], FittedMap]
    clips: dict[str, int]
    left_out: int
    seconds: float


def fit_maps(
    model: SpeechLM,
    questions: Questions | Sequence[Question],
    settings: FitSettings | None = None,
    *,
    about: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Fits:
    """Fit maps of a model's speech states on a data set.

    The clips are read one by one: those to fit, then those of the gate (if there is one), then
    those held out. States live as long as their clip; what is kept is `Moments` of each layer and
    fold, on the model's device.

    Parameters
    ----------
    model : SpeechLM
    questions : callable () -> iterator of Question, or a sequence
        Only their sound, transcript and instruction count. Read anew for each part.
    settings : FitSettings, optional
    about : dict, optional
        What the cards say of the data, in JSON's terms.
    progress : callable (fraction, note), optional
        Called before each clip; may raise `Cancelled`.

    Returns
    -------
    Fits

    Raises
    ------
    SettingsError
        A layer does not fit, there are too few questions, or none of a part can be run.

    Examples
    --------
    >>> asked = modgap.read_questions("mine.csv")                               # doctest: +SKIP
    >>> made = modgap.fit_maps(model, asked, modgap.FitSettings(layers=(0,)))   # doctest: +SKIP
    >>> modgap.save_map(made.maps[0, "ridge"], "maps/ridge-0")                  # doctest: +SKIP
    """
    chosen = settings or FitSettings()
    chosen.check(model)
    began = time.perf_counter()
    read: Questions = questions if callable(questions) else lambda: iter(questions)
    clips = _Clips(model, read, chosen, progress)
    folds = {
        layer: [Moments.empty(model.hidden_size, model.device) for _ in range(FOLDS)]
        for layer in chosen.layers
    }
    shuffle = {layer: _Shuffle(chosen.seed) for layer in chosen.layers}
    for layer, fold, x, y in clips.of(FIT):
        folds[layer][fold].add(x, shuffle[layer](y) if chosen.shuffled else y)
    maps, pairs = {}, 0
    for layer in chosen.layers:
        parts = folds.pop(layer)  # the next layer's fits need the room
        whole = sum(parts[1:], parts[0])
        pairs = whole.count
        for kind in chosen.kinds:
            maps[layer, kind] = fit(
                kind, whole, layer, penalty=chosen.penalty, rank=chosen.rank, folds=parts
            )
    if chosen.gate:
        gates = {key: GateFit() for key in maps}
        for layer, _, x, y in clips.of(GATE):
            for kind in chosen.kinds:
                gates[layer, kind].add(maps[layer, kind], x, y)
        maps = {key: replace(made, gate=gates[key].weights()) for key, made in maps.items()}
    held, ungated = ({key: HeldOut() for key in maps} for _ in range(2))
    for layer, _, x, y in clips.of(CARD):
        for kind in chosen.kinds:
            held[layer, kind].add(maps[layer, kind], x, y)
            if chosen.gate:
                ungated[layer, kind].add(maps[layer, kind].without_gate(), x, y)
    card = {
        "model": _model_card(model),
        "data": about or {},
        "settings": {k: v for k, v in asdict(chosen).items()
                     if k not in ("layers", "kinds", "penalty", "rank")},
        "clips": dict(clips.used), "left_out": clips.left_out, "pairs": pairs,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "control": "shuffled" if chosen.shuffled else None,
    }  # fmt: skip
    behind = ", shuffled" if chosen.shuffled else ""
    for key, made in maps.items():
        more = {"without_gate": ungated[key].to_dict()} if chosen.gate else {}
        whole_card = {**made.card, **card, "held_out": held[key].to_dict(), **more}
        maps[key] = replace(made, kind=made.kind + behind, card=whole_card)
    return Fits(maps, dict(clips.used), clips.left_out, time.perf_counter() - began)


class _Clips:
    """The paired states of the clips of a part, one clip after the other; counts as it goes."""

    def __init__(
        self, model: SpeechLM, questions: Questions, s: FitSettings, progress: Progress | None
    ) -> None:
        self.model, self.questions, self.settings, self.progress = model, questions, s, progress
        groups = [group_of(question) for question in questions()]
        self.parts = _parts(groups)
        self.total = sum(s.gate or self.parts[group][0] != GATE for group in groups)
        self.used = {FIT: 0, GATE: 0, CARD: 0}
        self.left_out = 0

    def of(self, part: str) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """Layer, fold, and the states (n, d) of its pairs, for each clip of a part and each layer.

        Raises
        ------
        SettingsError
            None of its clips can be run.
        """
        for question in self.questions():
            mine, fold = self.parts[group_of(question)]
            if mine != part:
                continue
            if self.progress is not None:
                number = sum(self.used.values()) + self.left_out
                note = f"clip {number + 1} of {self.total}, {part}"
                self.progress(number / max(1, self.total), note)
            try:
                found = _pairs(self.model, question, self.settings)
            except ModgapError as problem:
                log.warning("%s is left out: %s", question.id, problem)
                self.left_out += 1
                continue
            self.used[part] += 1
            for layer, (x, y) in found.items():
                yield layer, fold, x, y
        if not self.used[part]:
            raise SettingsError(
                f"None of the clips of the part {part!r} could be run; the warnings say why."
            )


def _parts(groups: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Part and fold of each group, by a hash of its name."""
    names = dict.fromkeys(groups)
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"map|{name}".encode()).hexdigest())
    count = max(1, round(HELD_OUT * len(ranked) / 2))
    if len(ranked) - 2 * count < 2:
        raise SettingsError(
            f"A map needs at least 4 different questions, not {len(ranked)}: two to fit, one for "
            "the gate, one to be judged on."
        )
    found = dict.fromkeys(ranked[:count], (CARD, 0))
    found |= dict.fromkeys(ranked[count : 2 * count], (GATE, 0))
    return found | {name: (FIT, n % FOLDS) for n, name in enumerate(ranked[2 * count :])}


def _pairs(model: SpeechLM, question: Question, s: FitSettings) -> dict[int, tuple[Tensor, Tensor]]:
    """Paired states (n, d) of each layer, on the model's device, in its dtype."""
    pair = model.prepare(
        question.load(), question.transcript, instruction=question.instruction,
        system=s.system, markers=s.markers,  # type: ignore[arg-type]  # checked by the settings
        too_long=s.too_long,  # type: ignore[arg-type]  # checked by the settings
    )  # fmt: skip
    wanted = set(s.layers) | ({s.path_layer} if s.path_layer is not None else set())
    states: dict[int, tuple[Tensor, Tensor]] = {}

    def keep(layer: int, H_s: Tensor, H_t: Tensor) -> None:
        states[layer] = H_s, H_t

    stream_pair(model, pair, keep, layers=sorted(wanted), final_norm=False)
    shared = None
    if s.path_layer is not None:
        shared = source_path(*states[s.path_layer], s.path, s.measure).i
    found = {}
    for layer in s.layers:
        H_s, H_t = states[layer]
        i = source_path(H_s, H_t.to(H_s.device), s.path, s.measure).i if shared is None else shared
        found[layer] = H_s[torch.as_tensor(i, device=H_s.device)], H_t
    return found


class _Shuffle:
    """Gives each text state another one's place, drawn from the last ones that were seen."""

    def __init__(self, seed: int) -> None:
        self._random = torch.Generator().manual_seed(seed)
        self._pool: Tensor | None = None

    def __call__(self, y: Tensor) -> Tensor:
        # The first clip has no others: its own states in another order.
        pool = y if self._pool is None else self._pool
        order = torch.randint(len(pool), (len(y),), generator=self._random)
        if self._pool is None:
            order = torch.randperm(len(y), generator=self._random)
        drawn = pool[order.to(pool.device)]
        self._pool = y if self._pool is None else torch.cat([self._pool, y])[-POOL:]
        return drawn


def _model_card(model: SpeechLM) -> dict[str, Any]:
    return {
        "name": short_name(model.name),
        "identity": model.identity,
        "model_type": model.model_type,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
        "n_layers": model.n_layers,
        "hidden_size": model.hidden_size,
    }

"""Interventions on critical tokens: what is changed, where, and how much (method, section 4).

An `Intervention` is a plain value: it knows no model. `rules` turns it into new hidden
states, `prefill` runs a model with them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args
from urllib.parse import quote, unquote

from modgap.core.errors import SettingsError
from modgap.core.settings import integer

__all__ = ["MEASURES", "PATHS", "RULES", "RULES_OF_PAIRS", "Intervention", "Stack", "parse_stack"]

Rule = Literal["angle", "length", "both", "patch", "mean", "random", "map"]
Path = Literal["argmax", "dtw"]
Measure = Literal["cosine", "euclidean"]
RULES: tuple[Rule, ...] = get_args(Rule)
#: Those that look at the transcript's states; the other one, "map", was fitted before.
RULES_OF_PAIRS = RULES[:-1]
PATHS: tuple[Path, ...] = get_args(Path)
MEASURES: tuple[Measure, ...] = get_args(Measure)
_CHOICE = re.compile(r"(bottom|top|random)-([1-9]\d{0,4})")

Pair = tuple[int, int]
_OF_MAPS = ("map", "keep_length", "positions")
_SAFE = "/:@+=~ ()[]!&#'"  # in a name of a map; what separates the parts of a text is not


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """One rule on some speech positions of some layers.

    Attributes
    ----------
    rule : str
        ``"angle"``: the text token's direction, the own length; ``"length"``: the own direction,
        the text token's length; ``"both"``: one after the other; and as controls ``"patch"``
        (the text token's state), ``"mean"`` (h_s - mean_s + mean_t, means over all positions) and
        ``"random"`` (a random direction at the same angle as the text token's, the own length).
        ``"map"`` is `map` of the state: it needs no transcript.
    layers : tuple of int
        Where it acts: 0 is what enters the first decoder layer (the source's choice), l the output
        of layer l, always before the final norm. The last layer is refused: nothing follows it.
    tokens : str
        Which pairs of the path: ``"bottom-3"`` (the 3 of lowest similarity), ``"top-3"``,
        ``"random-3"``, ``"all"`` or ``"given"`` (those in `pairs`). ``"bottom-3"`` by default; for
        the rule ``"map"`` ``"all"``, which is every speech position, paired or not.
    pairs : tuple of (int, int)
        Speech position i and text token j, for ``"given"`` only.
    positions : tuple of int
        Speech positions without a text token, for ``"given"`` and the rule ``"map"`` only.
    path : "argmax" or "dtw"
        Which speech position goes with each text token.
    measure : "cosine" or "euclidean"
        By which the path is found and its pairs are ranked (low similarity or large distance is
        bottom).
    path_layer : int or None
        The layer of the path; None is the first of `layers`.
    strength : float
        alpha in [0, 1]: angles along the arc between both directions, lengths linearly, the others
        linearly in the state (``"random"``: along its arc).
    map : str
        Of the rule ``"map"``: a folder, or the bare name of a map that `modgap fit` has made
        (`modgap.interventions.maps.files`).
    keep_length : bool
        Of the rule ``"map"``: whether each state keeps its own length.
    seed : int
        Of ``"random-k"`` and of the rule ``"random"``.

    Raises
    ------
    SettingsError
        A value is out of range or does not fit another; the message names it.
    """

    rule: Rule = "angle"
    layers: tuple[int, ...] = (0,)
    tokens: str = ""
    pairs: tuple[Pair, ...] = ()
    positions: tuple[int, ...] = ()
    path: Path = "argmax"
    measure: Measure = "cosine"
    path_layer: int | None = None
    strength: float = 1.0
    seed: int = 0
    map: str = ""
    keep_length: bool = False

    def __post_init__(self) -> None:
        for name, known in (("rule", RULES), ("path", PATHS), ("measure", MEASURES)):
            if getattr(self, name) not in known:
                raise SettingsError(
                    f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}."
                )
        layers = (self.layers,) if isinstance(self.layers, int) else self.layers
        found = sorted({_whole("layers", value) for value in _each("layers", layers)})
        if not found:
            raise SettingsError("layers is empty: name at least one layer.")
        object.__setattr__(self, "layers", tuple(found))
        pairs = tuple(sorted({_pair(p) for p in _each("pairs", self.pairs)}, key=lambda p: p[::-1]))
        object.__setattr__(self, "pairs", pairs)
        positions = sorted({_whole("positions", p) for p in _each("positions", self.positions)})
        object.__setattr__(self, "positions", tuple(positions))
        if self.tokens == "":
            object.__setattr__(self, "tokens", self._usual_tokens)
        if not isinstance(self.tokens, str) or not (
            self.tokens in ("all", "given") or _CHOICE.fullmatch(self.tokens)
        ):
            raise SettingsError(
                f"tokens is all, given, bottom-3, top-3 or random-3 (any number), "
                f"not {self.tokens!r}."
            )
        if self.tokens != "given" and pairs:
            raise SettingsError(f'pairs go with tokens="given", not with {self.tokens!r}.')
        self._check_map()
        if self.path_layer is not None:
            object.__setattr__(self, "path_layer", _whole("path_layer", self.path_layer))
        object.__setattr__(self, "seed", _whole("seed", self.seed, 2**31 - 1))
        try:
            strength = float(self.strength)
        except (TypeError, ValueError):
            strength = math.nan
        if not 0 <= strength <= 1:
            raise SettingsError(f"strength is from 0 to 1, not {self.strength!r}.")
        object.__setattr__(self, "strength", strength)

    def _check_map(self) -> None:
        if not isinstance(self.map, str) or not isinstance(self.keep_length, bool):
            raise SettingsError("map is a name, and keep_length is True or False.")
        if self.rule == "map":
            if not self.map.strip():
                raise SettingsError(
                    "The rule map needs a map: name one that `modgap fit` has made (map=NAME)."
                )
            if self.positions and self.tokens != "given":
                raise SettingsError(f'positions go with tokens="given", not with {self.tokens!r}.')
        elif self.map or self.keep_length or self.positions:
            raise SettingsError(
                f"map, keep_length and positions go with the rule map, not with {self.rule!r}."
            )

    @property
    def _usual_tokens(self) -> str:
        return "all" if self.rule == "map" else "bottom-3"

    @property
    def needs_words(self) -> bool:
        """Whether it looks at the states of a transcript."""
        return self.rule != "map" or self.tokens not in ("all", "given")

    @property
    def source_layer(self) -> int:
        """The layer whose path pairs the tokens."""
        return self.layers[0] if self.path_layer is None else self.path_layer

    @property
    def choice(self) -> tuple[str, int | None]:
        """``("bottom", 3)``, ``("all", None)`` ..."""
        kind, _, count = self.tokens.partition("-")
        return kind, int(count) if count else None

    def check(self, n_layers: int) -> None:
        """Refuse layers that a model of L = `n_layers` decoder layers does not have.

        Raises
        ------
        SettingsError
            A layer is not in 0..L-1, or the path's layer not in 0..L.
        """
        if self.layers[-1] >= n_layers:
            raise SettingsError(
                f"Layer {self.layers[-1]} cannot be changed: this model has {n_layers} layers, and "
                f"only a change in one of 0 to {n_layers - 1} can reach the answer."
            )
        if self.source_layer > n_layers:
            raise SettingsError(
                f"There is no layer {self.source_layer} to take the path from: this model has "
                f"layers 0 to {n_layers}."
            )

    def to_dict(self) -> dict[str, Any]:
        """The intervention in JSON's terms; what only a map has is said of maps alone."""
        values = asdict(self)
        if self.rule != "map":
            for name in _OF_MAPS:
                del values[name]
        else:
            values["positions"] = list(self.positions)
        return values | {"layers": list(self.layers), "pairs": [list(p) for p in self.pairs]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Intervention:
        """Build an intervention from `to_dict`'s result, or from a part of it.

        Raises
        ------
        SettingsError
            An unknown name, or a value out of range.
        """
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise SettingsError(f"Unknown field {unknown[0]!r}. Known: {', '.join(known)}.")
        return cls(**values)

    def to_text(self) -> str:
        """A short text for an address or a command line: what differs from the defaults.

        >>> Intervention(rule="length", tokens="all", strength=0.5).to_text()
        'length,tokens=all,strength=0.5'
        >>> Intervention.from_text("angle,layers=0+2,tokens=given,pairs=3:1+7:2").pairs
        ((3, 1), (7, 2))
        """
        parts: list[str] = [self.rule]
        for field in fields(self):
            value = getattr(self, field.name)
            usual = self._usual_tokens if field.name == "tokens" else field.default
            if field.name == "rule" or value == usual:
                continue
            if field.name == "layers":
                value = "+".join(map(str, value))
            elif field.name == "pairs":
                value = "+".join(f"{i}:{j}" for i, j in value)
            elif field.name == "positions":
                value = "+".join(map(str, value))
            elif field.name == "map":
                value = quote(value, safe=_SAFE)
            elif field.name == "keep_length":
                value = "yes"
            elif field.name == "strength":
                value = f"{value:g}" if float(f"{value:g}") == value else repr(value)
            parts.append(f"{field.name}={value}")
        return ",".join(parts)

    @classmethod
    def from_text(cls, text: str) -> Intervention:
        """Read `to_text`'s result.

        Raises
        ------
        SettingsError
            It cannot be read; the message says which part.
        """
        rule, *parts = (part.strip() for part in text.split(","))
        values: dict[str, Any] = {"rule": rule}
        for part in parts:
            name, equals, value = part.partition("=")
            if not equals:
                raise SettingsError(f"{part!r} is not of the form name=value.")
            values[name] = _read(name, value)
        return cls.from_dict(values)


Stack = tuple[Intervention, ...]
"""Interventions applied one after the other, in this order, in each layer."""


def parse_stack(text: str) -> Stack:
    """Interventions of JSON (one object or a list), or of `Intervention.to_text`, split by ``;``.

    Raises
    ------
    SettingsError
        It is neither.
    """
    if text.lstrip().startswith(("{", "[")):
        try:
            found = json.loads(text)
        except ValueError as problem:
            raise SettingsError(f"The interventions are not valid JSON: {problem}.") from None
        found = [found] if isinstance(found, dict) else found
        if not all(isinstance(item, dict) for item in found):
            raise SettingsError("The interventions are a JSON object or a list of them.")
        return tuple(Intervention.from_dict(item) for item in found)
    return tuple(Intervention.from_text(part) for part in text.split(";") if part.strip())


def _read(name: str, text: str) -> Any:
    try:
        if name in ("layers", "positions"):
            return tuple(int(part) for part in text.split("+"))
        if name == "pairs":
            return tuple(_pair(part.split(":")) for part in text.split("+"))
        if name == "strength":
            return float(text)
        if name == "map":
            return unquote(text)
        if name == "keep_length":
            return {"yes": True, "no": False}[text]
        if name in ("path_layer", "seed"):
            return int(text)
    except SettingsError:
        raise
    except (ValueError, KeyError):
        raise SettingsError(f"{name}={text} cannot be read.") from None
    return text


def _each(name: str, values: Any) -> Iterable[Any]:
    try:
        return list(values)
    except TypeError:
        raise SettingsError(f"{name} is a list, not {values!r}.") from None


def _pair(pair: Any) -> Pair:
    try:
        i, j = pair
        return _whole("pairs", int(i)), _whole("pairs", int(j))
    except (TypeError, ValueError) as problem:
        if isinstance(problem, SettingsError):
            raise
        raise SettingsError(f"A pair is (speech position, text token), not {pair!r}.") from None


def _whole(name: str, value: Any, high: int = 1_000_000) -> int:
    return integer(name, value, 0, high)

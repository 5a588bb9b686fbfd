"""The address of a view: what a query string may say, and nothing else.

A query string is user input. `parse` keeps what is known and valid, and drops the rest silently:
an old or mistyped link opens the page as far as it can be understood.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from modgap.core.errors import ModgapError
from modgap.interventions.intervention import RULES, Intervention
from modgap.interventions.maps.names import bare_name

DEVICES = ("auto", "cpu", "cuda", "spread")
QUANTIZE = ("none", "8bit", "4bit")
DTYPES = ("auto", "float32", "bfloat16", "float16")
MARKERS = ("keep", "drop")
TOO_LONG = ("fail", "cut")
MEASURES = ("cosine", "euclidean")
PATHS = ("argmax", "dtw", "words")
WHERE = ("word", "segment", "pair", "after")
SWEPT = ("bottom-3", "all", "top-3", "random-3")  # sets of tokens that a sweep offers
SHOWN = ("patching", "sweep", "lens", "answer")
COMPARED = ("models", "clips")
CONDITIONS = ("noise:5", "noise:15", "reverb:0.5", "band:300-3400", "codec:gsm", "codec:opus:12")
MAX_PICKS = 6
MAX_EDIT = 4000  # about 500 pairs: an address below the 8 kB that servers take
MAX_NAME = 200  # of a run, a checkpoint, a group: their names are compared with what there is
MAX_FILTERS = 40
CURRENT_CLIP = "current"  # among the clips to compare: the one in use

Query = dict[str, list[str]]
_KEY = re.compile(r"[0-9a-f]{64}")
_LAYER = re.compile(r"[0-9]{1,3}")
_DEPTH = re.compile(r"0(\.[0-9]{1,6})?|1")
_CELL = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")


def parse(
    query: Mapping[str, Sequence[str]],
    models: Collection[str],
    clips: Collection[str],
    recognizers: Collection[str] = (),
    maps: Collection[str] = (),
) -> dict[str, Any]:
    """The valid part of a query string.

    Parameters
    ----------
    query : mapping
        Parameter -> all its values; the last one counts where one is expected.
    models, clips, recognizers, maps : collection of str
        The model names, example ids, recognisers and fitted maps that exist here.

    Returns
    -------
    dict
        Any of: ``run`` (64 hex digits), ``example``, ``model``, ``device``, ``dtype``,
        ``quantize``, ``markers``, ``too_long``, ``measure``, ``show``, ``where``, ``target``,
        ``fitted``, ``pipeline``, ``draft``, ``condition``, ``what`` (str);
        ``edit`` (`Intervention`); ``layer`` (int); ``depth`` (layer divided by L);
        ``filtered`` (True); ``start``, ``end`` (seconds); ``cell`` (i, j); ``clips``, ``models``,
        ``paths``, ``rules``, ``tokens`` (tuples without repetition).
        Of the pages of runs, whose names only the run knows: ``set`` (the run), ``subject``,
        ``by``, ``become``, ``similarity``, ``sort``, ``scale`` (str), ``checkpoints``, ``only``
        (tuples).
    """
    single = {name: values[-1] for name, values in query.items() if values}
    link: dict[str, Any] = {}
    allowed: dict[str, Collection[str]] = {
        "example": clips,
        "model": models,
        "device": DEVICES,
        "dtype": DTYPES,
        "quantize": QUANTIZE,
        "markers": MARKERS,
        "too_long": TOO_LONG,
        "measure": MEASURES,
        "pipeline": recognizers,
        "draft": recognizers,
        "condition": CONDITIONS,
        "what": COMPARED,
    }
    for name, values in allowed.items():
        if single.get(name) in values:
            link[name] = single[name]
    if _KEY.fullmatch(single.get("run", "")):
        link["run"] = single["run"]
    if _LAYER.fullmatch(single.get("layer", "")):
        link["layer"] = int(single["layer"])
    if _DEPTH.fullmatch(single.get("depth", "")):
        link["depth"] = float(single["depth"])
    if cell := _CELL.fullmatch(single.get("cell", "")):
        link["cell"] = (int(cell[1]), int(cell[2]))
    if single.get("show") in SHOWN:
        link["show"] = single["show"]
    if "edit" in single:
        # A link may hold anything: what is no intervention is dropped like every other nonsense.
        with contextlib.suppress(ModgapError):
            if len(single["edit"]) <= MAX_EDIT:  # a part of it would be another intervention
                it = Intervention.from_text(single["edit"])
                if it.rule != "map" or bare_name(it.map) in maps:  # no folder of the server
                    link["edit"] = it
    if single.get("filtered") == "1":
        link["filtered"] = True
    if single.get("fitted") in maps:
        link["fitted"] = single["fitted"]
    if single.get("where") in WHERE:
        link["where"] = single["where"]
    for name in ("start", "end"):
        if (seconds := _seconds(single.get(name, ""))) is not None:
            link[name] = seconds
    for name in ("set", "subject", "by", "become", "similarity", "sort", "scale", "target"):
        if 0 < len(single.get(name, "")) <= MAX_NAME:
            link[name] = single[name]
    for name in ("checkpoints", "only"):
        if name in query:
            named = dict.fromkeys(v for v in query[name] if 0 < len(v) <= 2 * MAX_NAME)
            link[name] = tuple(named)[:MAX_FILTERS]
    several: dict[str, Collection[str]] = {
        "clips": (*clips, CURRENT_CLIP),
        "models": models,
        "paths": PATHS,
        "rules": RULES,
        "tokens": SWEPT,
    }
    for name, values in several.items():
        if name in query:
            chosen = dict.fromkeys(v for v in query[name] if v in values)
            link[name] = tuple(chosen)[:MAX_PICKS]
    return link


def build(values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Query:
    """The query of `values`, without those that are None, empty or the default."""
    query: Query = {}
    for name, value in values.items():
        if value is None or value == () or value == (defaults or {}).get(name):
            continue
        if name == "cell":
            query[name] = [f"{value[0]}-{value[1]}"]
        elif isinstance(value, tuple | list):
            query[name] = [str(v) for v in value]
        else:
            query[name] = [f"{value:g}" if isinstance(value, float) else str(value)]
    return query


def encode(query: Query) -> str:
    """``a=1&b=2&b=3``."""
    return urlencode([(name, value) for name, values in query.items() for value in values])


def _seconds(text: str) -> float | None:
    try:
        value = float(text) if 0 < len(text) <= 16 else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= 36_000 else None

"""The controls of the Interventions page: from an `Intervention` to the session, and back.

The session holds all that an intervention says, so that a link, a cell of a map and the page's own
address mean the same. What the controls do not offer by themselves (several layers, the five worst
pairs) is one more option of theirs once it was opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from modgap.interventions.intervention import MEASURES, PATHS, Intervention
from modgap.interventions.maps.names import bare_name, map_names, parted
from modgap.interventions.maps.pins import pin
from modgap.ui.session.inputs import EDIT
from modgap.ui.session.state import Pairs, visit

if TYPE_CHECKING:
    from modgap.analysis.patching import Patching
    from modgap.analysis.result import Analysis
    from modgap.interventions.maps.affine import FittedMap

RULES = {
    "angle": "Angle projection",
    "length": "Length normalization",
    "both": "Angle and length",
    "patch": "Patch",
    "mean": "Mean shift",
    "random": "Random direction",
    "map": "Fitted map",
}
NO_WORD = -1  # the text token of a position that a map changes without one
SAME = -1  # pairs come from the (first) layer that is edited
CHOSEN = "chosen"
TOKENS = ("bottom-3", "all", "top-3", "random-3")


def show_next(analysis: Analysis, it: Intervention) -> None:
    """Let the Interventions page open with `it`, whatever its controls said before."""
    visit().interventions.next = (analysis.key, it)


def offered_maps(analysis: Analysis) -> dict[str, FittedMap]:
    """The fitted maps of this server that take states of this model's size, by name."""
    if not map_names():  # reading one needs torch
        return {}
    from modgap.interventions.maps.files import known_maps

    width = analysis.model.get("hidden_size")
    return {name: fitted for name, fitted in known_maps().items() if fitted.width == width}


def restore(analysis: Analysis, n_layers: int, editable: int) -> None:
    """The controls as another page, the address or the session has them, as far as they fit."""
    here, maps = visit().interventions, offered_maps(analysis)
    if here.next is not None:
        wanted, here.next = here.next, None
        _take_over(*wanted)
    elif not EDIT["rule"].is_set:  # a link's pairs are those of the first result that is shown
        linked = visit().link.get("edit") or Intervention()
        _take_over(analysis.key, linked)
        name, identity = parted(linked.map)
        if identity and name in maps and not maps[name].identity.startswith(identity):
            visit().notice = f"The map {name} was fitted anew since this link was made."
    key, pairs = here.own
    tokens, source = EDIT["tokens"], EDIT["source"]
    if key != analysis.key:  # positions of another clip mean nothing here
        pairs = frozenset()
        tokens.value = TOKENS[0] if tokens.value == CHOSEN else tokens.value
    n, m = len(analysis.speech_times), len(analysis.pieces)
    here.own = (analysis.key, frozenset((i, j) for i, j in pairs if i < n and j < m))
    EDIT["layer"].value = _option([k for k in layers() if k < editable] or [editable - 1])
    if source.value > n_layers:
        source.value = SAME
    if EDIT["rule"].value == "map" and not maps:
        EDIT["rule"].value = "angle"
    if EDIT["map"].value not in maps:
        EDIT["map"].value = next(iter(maps), None)


def _take_over(key: str, it: Intervention) -> None:
    positions = {(i, NO_WORD) for i in it.positions}
    visit().interventions.own = (key, frozenset(it.pairs) | positions)
    values = {
        "rule": it.rule, "strength": it.strength, "path": it.path, "measure": it.measure,
        "seed": it.seed, "layer": _option(it.layers),
        "source": SAME if it.path_layer is None else it.path_layer,
        "tokens": CHOSEN if it.tokens == "given" else it.tokens,
        "map": bare_name(it.map) or None, "keep_length": it.keep_length,
    }  # fmt: skip
    for name, value in values.items():
        EDIT[name].value = value


def _option(layers: Any) -> int | str:
    """Several layers are one option: "0+2"."""
    return layers[0] if len(layers) == 1 else "+".join(map(str, layers))


def layers() -> tuple[int, ...]:
    """The layers that are edited."""
    return tuple(int(part) for part in str(EDIT["layer"].value).split("+"))


def source_layer() -> int:
    """The layer that pairs come from."""
    return layers()[0] if EDIT["source"].value == SAME else int(EDIT["source"].value)


def _offered(name: str, options: tuple[Any, ...]) -> tuple[Any, ...]:
    """`options`, and what else was opened in this session."""
    value, more = EDIT[name].value, visit().interventions.more
    if value not in (*options, CHOSEN):
        more[name] = value
    return (*options, more[name]) if name in more else options


def controls(n_layers: int, editable: int, maps: Mapping[str, FittedMap]) -> None:
    """Rule, tokens, layer, strength and so on; every change is a new answer."""
    keep: Any = {"persist_state": "session"}

    def to_the_maps_own() -> None:
        """A map acts on all positions of its layer, until something else is chosen."""
        fitted = maps.get(EDIT["map"].value)
        if EDIT["rule"].value == "map" and fitted is not None:
            EDIT["tokens"].value = "all"
            if fitted.layer < editable:
                EDIT["layer"].value = fitted.layer

    with st.container(horizontal=True, vertical_alignment="bottom", key="controls"):
        st.segmented_control(
            "Rule",
            [rule for rule in RULES if rule != "map" or maps],
            on_change=to_the_maps_own,
            key=EDIT["rule"].key,
            format_func=RULES.__getitem__,
            required=True,
            **keep,
        )
        st.segmented_control(
            "Critical tokens", (*_offered("tokens", TOKENS), CHOSEN), key=EDIT["tokens"].key,
            required=True, format_func=lambda name: name.replace("-", " "), **keep,
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls_2"):
        st.select_slider(
            "Layer (0: speech token embeddings)", _offered("layer", tuple(range(editable))),
            key=EDIT["layer"].key, width=270,
            format_func=lambda k: str(k).replace("+", " + "), **keep,
        )  # fmt: skip
        st.slider("Strength", 0.0, 1.0, step=0.05, key=EDIT["strength"].key, width=200, **keep)
        st.selectbox(
            "Pairs from layer", [SAME, *range(n_layers + 1)], key=EDIT["source"].key, width=170,
            format_func=lambda k: "the same layer" if k == SAME else str(k), **keep,
        )  # fmt: skip
        st.segmented_control(
            "Path", PATHS, key=EDIT["path"].key, required=True,
            format_func=lambda p: {"dtw": "DTW"}.get(p, p), **keep,
        )  # fmt: skip
        if EDIT["rule"].value == "map":
            st.selectbox(
                "Map", list(maps), key=EDIT["map"].key, width=190, on_change=to_the_maps_own, **keep
            )
            st.toggle("Keep lengths", key=EDIT["keep_length"].key, **keep)
        st.segmented_control("Measure", MEASURES, key=EDIT["measure"].key, required=True, **keep)
        if _needs_seed():
            st.number_input("Seed", 0, 2**31 - 1, key=EDIT["seed"].key, width=110, **keep)


def _needs_seed() -> bool:
    return EDIT["rule"].value == "random" or str(EDIT["tokens"].value).startswith("random")


def intervention() -> Intervention:
    """What the controls say."""
    own = chosen()
    rule, name = EDIT["rule"].value, EDIT["map"].value
    of_map: dict[str, Any] = {}
    if rule == "map":
        alone = tuple(i for i, j in own or () if j == NO_WORD)
        of_map = {"map": pin(name), "keep_length": EDIT["keep_length"].value, "positions": alone}
    return Intervention(
        rule=rule,
        layers=layers(),
        tokens=EDIT["tokens"].value if own is None else "given",
        pairs=tuple((i, j) for i, j in own or () if j != NO_WORD),
        path=EDIT["path"].value,
        measure=EDIT["measure"].value,
        path_layer=None if EDIT["source"].value == SAME else EDIT["source"].value,
        strength=EDIT["strength"].value,
        seed=EDIT["seed"].value if _needs_seed() else 0,
        **of_map,
    )


# ---- the user's own pairs -----------------------------------------------------------------------


def chosen() -> Pairs | None:
    """The pairs that the user has put together; None where a rule of choice finds them."""
    return visit().interventions.own[1] if EDIT["tokens"].value == CHOSEN else None


def toggle(analysis: Analysis, drawn: Pairs, j: int, i: int | None = None) -> None:
    """Take a word, or one of its pairs, in or out; call it before a run, from a widget.

    The user's own set counts, whether or not there is an answer to it yet; `drawn`, what was marked
    at the click, is only where it begins.
    """
    own = chosen()
    pairs = drawn if own is None else own
    if i is not None:
        pairs = pairs ^ {(i, j)}
    elif of_word := {pair for pair in pairs if pair[1] == j}:
        pairs = pairs - of_word
    else:
        path, measure = EDIT["path"].value, EDIT["measure"].value
        pairs = pairs | {(analysis.position(source_layer(), j, path, measure), j)}
    visit().interventions.own, EDIT["tokens"].value = (analysis.key, pairs), CHOSEN


def patch_of(made: Patching, layer: int, j: int) -> Intervention:
    """What a cell of a map of patching stands for."""
    rows = made.positions[made.layers.index(layer)][j]
    return Intervention(
        rule="patch", layers=(layer,), tokens="given", pairs=tuple((i, j) for i in rows)
    )

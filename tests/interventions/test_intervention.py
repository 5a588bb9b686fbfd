"""Interventions as values: what they refuse, and how they come back from JSON and addresses."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modgap.core.errors import SettingsError
from modgap.interventions.intervention import MEASURES, PATHS, RULES, Intervention, parse_stack

pairs = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=5)
numbers = st.integers(1, 40)


@st.composite
def interventions(draw) -> Intervention:
    kind = draw(st.sampled_from(("bottom", "top", "random", "all", "given")))
    rule = draw(st.sampled_from(RULES))
    of_maps = {
        "map": draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)),
        "keep_length": draw(st.booleans()),
        "positions": tuple(draw(st.lists(numbers))) if kind == "given" else (),
    }
    assume(rule != "map" or of_maps["map"].strip())
    return Intervention(
        rule=rule,
        layers=tuple(draw(st.lists(st.integers(0, 40), min_size=1, max_size=4))),
        tokens=kind if kind in ("all", "given") else f"{kind}-{draw(numbers)}",
        pairs=tuple(draw(pairs)) if kind == "given" else (),
        path=draw(st.sampled_from(PATHS)),
        measure=draw(st.sampled_from(MEASURES)),
        path_layer=draw(st.none() | st.integers(0, 40)),
        strength=draw(st.floats(0, 1)),
        seed=draw(st.integers(0, 1000)),
        **(of_maps if rule == "map" else {}),
    )


@given(interventions())
def test_json_and_text_give_the_same_intervention_back(it: Intervention) -> None:
    assert Intervention.from_dict(json.loads(json.dumps(it.to_dict()))) == it
    assert Intervention.from_text(it.to_text()) == it
    assert parse_stack(f"{it.to_text()};{it.to_text()}") == (it, it)
    assert parse_stack(json.dumps([it.to_dict()])) == (it,)
    assert hash(Intervention.from_text(it.to_text())) == hash(it)


def test_the_default_is_the_sources() -> None:
    it = Intervention()
    assert (it.rule, it.layers, it.tokens, it.strength) == ("angle", (0,), "bottom-3", 1.0)
    assert it.to_text() == "angle"
    assert it.choice == ("bottom", 3)
    assert set(it.to_dict()) == {  # keys of the cache are hashes of it: they stay
        "rule", "layers", "tokens", "pairs", "path", "measure", "path_layer", "strength", "seed",
    }  # fmt: skip
    assert Intervention(layers=(4, 2, 4)).layers == (2, 4)
    assert Intervention(layers=(2, 4)).source_layer == 2
    assert Intervention(layers=(2, 4), path_layer=0).source_layer == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rule": "angel"}, "rule is one of angle"),
        ({"layers": ()}, "layers is empty"),
        ({"layers": (-1,)}, "layers takes whole numbers"),
        ({"layers": (True,)}, "layers takes whole numbers"),
        ({"layers": 1.5}, "layers is a list"),
        ({"tokens": "bottom-0"}, "tokens is all, given"),
        ({"tokens": "lowest-3"}, "tokens is all, given"),
        ({"tokens": None}, "tokens is all, given"),
        ({"tokens": "all", "pairs": ((1, 2),)}, "pairs go with"),
        ({"tokens": "given", "pairs": ((1, 2, 3),)}, "A pair is"),
        ({"tokens": "given", "pairs": ((-1, 2),)}, "pairs takes whole numbers"),
        ({"path": "dwt"}, "path is one of"),
        ({"rule": "map"}, "needs a map"),
        ({"map": "m"}, "go with the rule map"),
        ({"keep_length": True}, "go with the rule map"),
        ({"positions": (1,)}, "go with the rule map"),
        ({"rule": "map", "map": "m", "positions": (1,)}, "positions go with"),
        ({"rule": "map", "map": "m", "tokens": "given", "positions": (-1,)}, "positions takes"),
        ({"rule": "map", "map": 3}, "map is a name"),
        ({"measure": "dot"}, "measure is one of"),
        ({"strength": 1.01}, "strength is from 0 to 1"),
        ({"strength": float("nan")}, "strength is from 0 to 1"),
        ({"strength": "much"}, "strength is from 0 to 1"),
        ({"seed": -1}, "seed takes whole numbers"),
        ({"path_layer": -1}, "path_layer takes whole numbers"),
    ],
)
def test_what_cannot_be_is_refused(values: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Intervention(**values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("angle,layers", "not of the form"),
        ("angle,layers=a", "cannot be read"),
        ("angle,colour=red", "Unknown field"),
        ("angle,pairs=3", "A pair is"),
        ("angle,strength=x", "cannot be read"),
        ("map,map=m,keep_length=perhaps", "cannot be read"),
        ("{broken", "not valid JSON"),
        ("[1]", "a JSON object"),
    ],
)
def test_texts_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_stack(text)


def test_a_map_needs_no_words() -> None:
    it = Intervention(rule="map", map="m")
    assert (it.tokens, it.needs_words) == ("all", False)
    assert it.to_text() == "map,map=m"
    assert not Intervention(rule="map", map="m", tokens="given", positions=(3,)).needs_words
    assert Intervention(rule="map", map="m", tokens="bottom-3").needs_words
    assert Intervention(tokens="all").needs_words


def test_layers_that_a_model_lacks() -> None:
    Intervention(layers=(7,)).check(8)
    with pytest.raises(SettingsError, match="only a change in one of 0 to 7"):
        Intervention(layers=(8,)).check(8)
    with pytest.raises(SettingsError, match="no layer 9"):
        Intervention(layers=(0,), path_layer=9).check(8)

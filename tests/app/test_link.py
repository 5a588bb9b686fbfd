from __future__ import annotations

import math
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modgap.ui.session import link

MODELS, CLIPS = ["demo", "demo:lora@2"], ["digit-1", "read"]
KEY = "0123456789abcdef" * 4


def parse(**query: list[str]) -> dict:
    return link.parse(query, MODELS, CLIPS)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("run", KEY, KEY),
        ("run", KEY.upper(), None),
        ("run", KEY[:-1], None),
        ("run", KEY + "\n", None),
        ("run", "../" * 20 + "0000", None),
        ("example", "read", "read"),
        ("example", "../read", None),
        ("model", "demo:lora@2", "demo:lora@2"),
        ("model", "/etc/passwd", None),
        ("device", "cpu", "cpu"),
        ("device", "spread", "spread"),
        ("quantize", "4bit", "4bit"),
        ("quantize", "2bit", None),
        ("device", "cuda:9999999", None),
        ("dtype", "bfloat16", "bfloat16"),
        ("dtype", "float8", None),
        ("markers", "drop", "drop"),
        ("markers", "Drop", None),
        ("too_long", "cut", "cut"),
        ("too_long", "half", None),
        ("measure", "euclidean", "euclidean"),
        ("layer", "12", 12),
        ("layer", "-1", None),
        ("layer", "9999", None),
        ("layer", "1e2", None),
        ("layer", "٣", None),
        ("depth", "0.333333", 0.333333),
        ("depth", "0", 0.0),
        ("depth", "1", 1.0),
        ("depth", "1.5", None),
        ("depth", "-0.5", None),
        ("depth", "nan", None),
        ("depth", "1e-1", None),
        ("cell", "12-4", (12, 4)),
        ("cell", "12-", None),
        ("cell", "-1-4", None),
        ("start", "0.5", 0.5),
        ("start", "nan", None),
        ("end", "inf", None),
        ("end", "-1", None),
        ("end", "1" * 40, None),
        ("unknown", "x", None),
    ],
)
def test_values(name: str, given: str, expected: object) -> None:
    assert parse(**{name: [given]}).get(name) == expected


def test_lists_keep_known_entries_once_and_few() -> None:
    found = parse(
        clips=["read", "current", "evil", "read"], models=["demo"] * 9, paths=["dtw", "x"]
    )
    assert found == {"clips": ("read", "current"), "models": ("demo",), "paths": ("dtw",)}
    many = [str(n) for n in range(20)]
    assert len(link.parse({"clips": many}, [], many)["clips"]) == link.MAX_PICKS


def test_the_last_of_repeated_values_counts() -> None:
    assert parse(layer=["3", "5"], run=[KEY, "x"]) == {"layer": 5}
    assert parse(layer=[]) == {}


NAMES = ["run", "example", "model", "device", "dtype", "markers", "measure", "layer"]
NAMES += ["start", "end", "cell", "clips", "models", "paths", "other"]
names = st.sampled_from(NAMES)
values = st.text(max_size=70) | st.sampled_from(["3", "0.5", "demo", "read", KEY, "1-2", "cpu"])


@given(st.dictionaries(names, st.lists(values, max_size=8)))
def test_anything_gives_only_valid_values(query: dict[str, list[str]]) -> None:
    found = link.parse(query, MODELS, CLIPS)
    assert set(found) <= set(query) - {"other"}
    assert found.get("model", "demo") in MODELS
    assert set(found.get("models", ())) <= set(MODELS)
    assert set(found.get("clips", ())) <= {*CLIPS, link.CURRENT_CLIP}
    assert 0 <= found.get("layer", 0) <= 999
    assert len(found.get("run", KEY)) == 64
    for name in ("start", "end"):
        assert math.isfinite(found.get(name, 0.0))
        assert found.get(name, 0.0) >= 0


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "run": st.just(KEY),
            "model": st.sampled_from(MODELS),
            "example": st.sampled_from(CLIPS),
            "layer": st.integers(0, 999),
            "depth": st.tuples(st.integers(0, 40), st.integers(1, 40)).map(
                lambda t: round(min(t) / t[1], 6) if min(t) else 0.0
            ),
            "start": st.integers(0, 600_00).map(lambda n: n / 100),
            "cell": st.tuples(st.integers(0, 99_999), st.integers(0, 99_999)),
            "clips": st.lists(st.sampled_from(CLIPS), min_size=1, unique=True).map(tuple),
        },
    )
)
def test_what_is_written_is_read_back(values: dict) -> None:
    text = link.encode(link.build(values))
    found = link.parse(parse_qs(text, keep_blank_values=True), MODELS, CLIPS)
    assert found == values


def test_an_intervention_that_is_too_long_is_refused_not_cut() -> None:
    for count, known in ((400, True), (4000, False)):
        text = "angle,tokens=given,pairs=" + "+".join(f"{n}:1" for n in range(count))
        found = parse(edit=[text]).get("edit")
        assert (found is not None) == known
        assert found is None or len(found.pairs) == count


def test_what_a_map_is_of() -> None:
    query = {"where": ["pair"], "target": ["six"], "rules": ["mean", "no"], "tokens": ["all"]}
    found = {"where": "pair", "target": "six", "rules": ("mean",), "tokens": ("all",)}
    assert parse(**query) == found
    assert parse(where=["x"], target=["s" * 999], rules=["y"], tokens=["bottom-9"]) == {
        "rules": (), "tokens": (),
    }  # fmt: skip


def test_defaults_and_empty_values_are_not_written() -> None:
    query = link.build(
        {"dtype": "auto", "layer": None, "clips": (), "markers": "drop"}, {"dtype": "auto"}
    )
    assert query == {"markers": ["drop"]}

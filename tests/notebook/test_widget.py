"""The alignment map as a widget: what it sends, believes, and says without anywidget."""

from __future__ import annotations

import builtins
import dataclasses
import sys
from typing import Any

import pytest
from traitlets import TraitError

import modgap
from modgap.core.errors import ModgapError
from modgap.figures.alignment.events import Cell
from modgap.figures.alignment.payload import pack
from modgap.notebook.alignment import AlignmentWidget
from tests.app.align_sample import sample_view
from tests.even_words import even_words

WORDS = "what is two plus three"


@pytest.fixture
def shown():
    return AlignmentWidget(sample_view(5, 40, 12), paths=("argmax", "dtw"))


@pytest.fixture(scope="module")
def analysis(tiny_model, clip):
    return modgap.analyze(tiny_model, clip, WORDS, answers=False)


def browser_says(widget: AlignmentWidget, **content: Any) -> None:
    """A message of the browser's."""
    widget._handle_custom_msg(content, [])


def test_it_sends_the_components_payload_once(shown):
    view = sample_view(5, 40, 12)
    state = shown.get_state()
    assert state["_payload"] == pack(view)
    assert state["layer"] == view.layers[view.index(None)]
    assert state["measure"] == "cosine"
    assert state["paths"] == ["argmax", "dtw"]
    assert state["cell"] is None
    assert state["_words"] is None
    assert state["_marks"] == []


def test_its_script_holds_all_it_needs(shown):
    script = shown.get_state()["_esm"]
    assert "class View" in script
    assert "const MARKUP = " in script
    assert "const STYLE = " in script
    assert script.count("export default") == 1
    for word in ("innerHTML", "eval(", "http"):
        assert word not in script


def test_a_click_reaches_python(shown):
    told: list[Cell] = []
    shown.on_cell(told.append)
    browser_says(shown, event="cell", layer=3, i=7, j=2)
    assert told == [Cell(3, 7, 2)]
    assert shown.cell == Cell(3, 7, 2)
    assert shown.get_state()["cell"] == [3, 7, 2]
    browser_says(shown, event="cell", layer=3, i=7, j=2)
    assert len(told) == 2, "the same cell can be clicked again"
    shown.on_cell(told.append, remove=True)
    browser_says(shown, event="cell", layer=3, i=7, j=3)
    assert len(told) == 2


@pytest.mark.parametrize(
    "content",
    [
        {"event": "cell", "layer": 3, "i": 40, "j": 2},
        {"event": "cell", "layer": 9, "i": 0, "j": 0},
        {"event": "cell", "layer": float("inf"), "i": 0, "j": 0},
        {"event": "cell"},
        {"event": "boom", "layer": 3, "i": 0, "j": 0},
        {},
    ],
)
def test_what_the_browser_says_is_checked(shown, content):
    told: list[Cell] = []
    shown.on_cell(told.append)
    browser_says(shown, **content)
    browser_says(shown)
    shown._handle_custom_msg("boom", [])
    assert told == []
    assert shown.cell is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layer", 9),
        ("layer", "1"),
        ("measure", "manhattan"),
        ("paths", ["argmax", "boom"]),
        ("cell", (40, 0)),
        ("cell", (0, -1)),
        ("cell", "ab"),
        ("cell", 3),
        ("cell", (9, 0, 0)),
    ],
)
def test_what_does_not_fit_is_refused_from_both_sides(shown, name, value):
    before = getattr(shown, name)
    with pytest.raises(TraitError):
        setattr(shown, name, value)
    with pytest.raises(TraitError):
        shown.set_state({name: value})
    assert getattr(shown, name) == before


def test_it_follows_python(shown):
    seen: list[int] = []
    shown.observe(lambda change: seen.append(change["new"]), "layer")
    shown.layer = 1
    shown.cell = (7, 2)
    assert shown.cell == Cell(1, 7, 2)
    shown.set_state({"layer": 3})
    assert seen == [1, 3]
    shown.cell = None
    assert shown.cell is None


def test_an_analysis_with_its_words(analysis):
    words = even_words(WORDS, float(analysis.speech_times[-1, 1]))
    made = modgap.widget(analysis, words=words, layer=1, cell=(0, 1), marks=[(0, 0), (10**6, 0)])
    assert made.layer == 1
    assert made.cell == Cell(1, 0, 1)
    assert made.paths == ["argmax", "dtw", "words"]
    assert len(made.get_state()["_words"]) == len(WORDS.split())
    assert made.get_state()["_marks"] == [[0, 0]]
    assert modgap.widget(analysis).paths == ["argmax", "dtw"]
    assert modgap.widget(analysis, paths=["dtw"]).paths == ["dtw"]
    with pytest.raises(ModgapError, match="another transcript"):
        modgap.widget(dataclasses.replace(analysis, transcript="else"), words=words)


def test_without_anywidget_it_says_what_to_install(analysis, monkeypatch):
    real = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name.split(".")[0] == "anywidget":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.delitem(sys.modules, "modgap.notebook.alignment")
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ModgapError, match=r"pip install 'modgap\[notebook\]'"):
        modgap.widget(analysis)
    assert "<table" in analysis._repr_html_(), "all else is there without it"

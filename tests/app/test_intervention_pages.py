"""The pages that change something, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from modgap.interventions import Intervention
from modgap.ui import edits
from modgap.ui.service import service
from tests.app.conftest import finish, go

Open = Callable[..., AppTest]


@pytest.fixture
def analysed(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """A session with a result; scripts wait for the worker as long as it takes."""
    monkeypatch.setattr(edits, "PATIENCE", 60.0)
    edits.kept.clear()
    at = open_app()
    next(b for b in at.button if b.label == "Analyse").click().run()
    finish(at)
    assert not at.error
    return at


def result() -> Any:
    """The last comparison that was made."""
    return list(edits.kept().results._items.values())[-1][0]


def shown(at: AppTest) -> list[str]:
    return [*(t.value for t in at.text), *(m.value for m in at.markdown)]


def test_empty_pages_say_what_to_do(open_app: Open) -> None:
    at = open_app()
    for page in ("interventions", "decided"):
        go(at, page)
        assert "Load an example" in [b.label for b in at.button]


def test_a_moved_control_is_a_new_answer(analysed: AppTest) -> None:
    at = go(analysed, "interventions")
    assert not at.error
    first = result()
    assert first.interventions == (Intervention(),)
    analysis = service().result(at.session_state["run"])
    assert first.before.text == analysis.answers["speech"].text
    assert first.text.text == analysis.answers["text"].text
    assert (first.before.text.strip() or "(an empty answer)") in shown(at)
    at.segmented_control(key="iv_rule").set_value("patch").run()
    at.segmented_control(key="iv_tokens").set_value("all").run()
    at.select_slider(key="iv_layer").set_value(2).run()
    at.slider(key="iv_strength").set_value(0.5).run()
    assert not at.exception
    made = result()
    assert made.interventions == (
        Intervention(rule="patch", tokens="all", layers=(2,), strength=0.5),
    )
    assert at.query_params["edit"] in (
        made.interventions[0].to_text(), [made.interventions[0].to_text()]
    )  # fmt: skip
    assert len(at.get("plotly_chart")) == 2
    assert len(edits.kept().results) == 5


def test_a_word_is_taken_out_and_the_link_brings_it_back(analysed: AppTest, open_app: Open) -> None:
    at = go(analysed, "interventions")
    marked = dict(at.session_state["iv_marked"][1])
    assert len(marked) <= 3
    gone = min(marked)
    at.session_state["iv_pairs"] = {j: i for j, i in marked.items() if j != gone}
    at.session_state["iv_new_tokens"] = "chosen"
    at.run()
    made = result().interventions[0]
    assert made.tokens == "given"
    assert set(made.pairs) == {(i, j) for j, i in marked.items() if j != gone}
    query = at.query_params["edit"]
    text = query if isinstance(query, str) else query[0]
    assert Intervention.from_text(text) == made
    again = open_app(example="ex0", edit=text)
    finish(again)
    go(again, "interventions")
    assert again.session_state["iv_marked"][1] == dict(made_pairs(made))


def made_pairs(it: Intervention) -> list[tuple[int, int]]:
    return [(j, i) for i, j in it.pairs]


def test_nonsense_in_the_address_is_dropped(open_app: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(edits, "PATIENCE", 60.0)
    at = open_app(example="ex0", edit="angle,layers=999999999;<b>", show="everything")
    finish(at)
    for page in ("interventions", "decided"):
        go(at, page)
        assert not at.error


def test_a_layer_beyond_the_model_is_brought_back(open_app: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(edits, "PATIENCE", 60.0)
    at = open_app(example="ex0", edit="length,layers=80,path_layer=90")
    finish(at)
    go(at, "interventions")
    assert not at.error
    assert result().interventions[0].layers == (3,)


def test_where_the_gap_is_decided(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    assert not at.error
    analysis = service().result(at.session_state["run"])
    made = result()
    assert made.change.shape == (4, len(analysis.pieces))
    assert made.target == analysis.answers["text"].text.strip()
    at.segmented_control(key="wd_view").set_value("sweep").run()
    assert set(result().table["rule"]) == {"angle", "length"}
    assert len(at.get("plotly_chart")) == 1
    at.segmented_control(key="wd_view").set_value("lens").run()
    assert len(at.get("plotly_chart")) == 2
    assert at.dataframe[-1].value["piece"].tolist() == list(analysis.pieces)
    click(at, "lens_speech", 2, 5)
    read, text = result().speech, result().text
    assert at.dataframe[0].value["token"].tolist() == read.tokens[2, 5].tolist()
    j = next(j for j, rows in enumerate(result().segments) if 5 in rows)
    assert at.dataframe[1].value["token"].tolist() == text.tokens[2, j].tolist()
    assert not at.exception
    at.segmented_control(key="wd_view").set_value("patching").run()
    at.text_input(key="wd_target").set_value("five").run()
    assert result().target == "five"


def test_from_a_patched_word_to_the_other_pages(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    at.selectbox(key="wd_layer").set_value(2).run()
    at.selectbox(key="wd_token").set_value(1).run()
    at.button(key="wd_edit").click().run()
    assert not at.exception
    made = result().interventions[0]
    assert (made.rule, made.layers, made.tokens) == ("patch", (2,), "given")
    assert [j for _, j in made.pairs] == [1]


def click(at: AppTest, chart: str, *cell: int) -> None:
    """Say what the browser says when a point of a chart is clicked."""
    point = {"customdata": list(cell)}
    at.session_state[chart] = {
        "selection": {"points": [point], "point_indices": [0], "box": [], "lasso": []}
    }
    at.run()


def test_a_click_on_the_map_chooses_layer_and_word_everywhere(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    click(at, "patching", 1, 3)
    assert not at.exception
    assert (at.selectbox(key="wd_layer").value, at.selectbox(key="wd_token").value) == (3, 1)
    assert at.session_state["alignment"]["layer"] == 3
    assert at.session_state["cell"][2] == 1
    at.selectbox(key="wd_layer").set_value(0).run()
    assert at.selectbox(key="wd_layer").value == 0  # an old click is not a new one


def test_a_click_on_the_sweep_opens_its_intervention(analysed: AppTest) -> None:
    at = go(analysed, "decided")
    at.segmented_control(key="wd_view").set_value("sweep").run()
    table = result().table
    row = sorted(set(zip(table["rule"], table["tokens"], table["strength"], strict=True)))[4]
    click(at, "sweep", 4, 2)
    assert not at.exception
    made = result().interventions[0]
    assert (made.rule, made.tokens, made.strength) == row
    assert made.layers == (2,)


def test_two_sessions_get_their_own_answers(open_app: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(edits, "PATIENCE", 60.0)
    one, two = open_app(example="ex0"), open_app(example="ex2")
    finish(one)
    finish(two)
    for at in (one, two):
        go(at, "interventions")
    one.segmented_control(key="iv_rule").set_value("patch").run()
    two.segmented_control(key="iv_rule").set_value("length").run()
    words = {at: service().result(at.session_state["run"]).transcript for at in (one, two)}
    for at, rule in ((one, "patch"), (two, "length")):
        found = next(
            c for c, _ in edits.kept().results._items.values()
            if c.transcript == words[at] and c.interventions[0].rule == rule
        )  # fmt: skip
        assert (found.text.text.strip() or "(an empty answer)") in shown(at)

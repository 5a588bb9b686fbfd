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
    assert at.dataframe[0].value["piece"].tolist() == list(analysis.pieces)
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

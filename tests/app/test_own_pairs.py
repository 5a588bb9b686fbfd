"""Words that the user takes in and out on the Interventions page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from modgap.ui.server.requests import EditRequest
from modgap.ui.session import asking, link
from tests.app.conftest import click_words, data_of, finish, go, happen, result, visit_of

Open = Callable[..., AppTest]


def pressed(at: AppTest) -> list[int]:
    return data_of(at, "iv_words")["chosen"]


def empty_choice(at: AppTest) -> AppTest:
    at.segmented_control(key="iv_tokens").set_value("chosen").run()
    assert pressed(at) == []
    return at


def test_words_are_kept_while_their_answer_is_pending(
    analysed: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = go(analysed, "interventions")
    begun = pressed(at)
    assert len(begun) == 3
    free, make = threading.Event(), EditRequest.make

    def held_back(*given: Any) -> Any:
        free.wait(60)
        return make(*given)

    monkeypatch.setattr(EditRequest, "make", held_back)
    monkeypatch.setattr(asking, "PATIENCE", 0.2)
    wanted = set(begun)
    for j in (0, 2):
        click_words(at, j)
        wanted ^= {j}
        assert pressed(at) == sorted(wanted)  # at once, without an answer
        assert "…" in [t.value for t in at.text]
    free.set()
    finish(at)
    assert {j for _, j in result().interventions[0].pairs} == wanted
    assert pressed(at) == sorted(wanted)


def test_clicks_that_come_together_all_count(analysed: AppTest) -> None:
    at = go(analysed, "interventions")
    begun = set(pressed(at))
    click_words(at, 0, 2, 1, 2)  # of the four the server sees the last alone
    assert pressed(at) == sorted(begun ^ {0, 1})
    click_words(at, 2)
    assert pressed(at) == sorted(begun ^ {0, 1, 2})


def test_a_chosen_word_without_effect_stays_chosen(analysed: AppTest) -> None:
    at = empty_choice(go(analysed, "interventions"))
    for j in (0, 1):
        happen(at, "iv_align", "cell", {"layer": 0, "i": 5, "j": j})
    assert result().pairs["used"].tolist().count(False) == 1
    assert pressed(at) == [0, 1]
    assert any("without effect" in c.value for c in at.caption)
    click_words(at, 3)
    assert pressed(at) == [0, 1, 3]
    assert {(5, 0), (5, 1)} < set(result().interventions[0].pairs)


def test_a_word_may_have_several_positions(analysed: AppTest) -> None:
    at = empty_choice(go(analysed, "interventions"))
    for i in (4, 5, 6):
        happen(at, "iv_align", "cell", {"layer": 0, "i": i, "j": 1})
    happen(at, "iv_align", "cell", {"layer": 0, "i": 5, "j": 1})
    assert result().interventions[0].pairs == ((4, 1), (6, 1))
    click_words(at, 1)  # the word with all of them
    assert result().interventions[0].pairs == ()


def test_pairs_stay_with_their_clip(analysed: AppTest) -> None:
    at = empty_choice(go(analysed, "interventions"))
    click_words(at, 1)
    assert result().interventions[0].tokens == "given"
    go(at, "clip")
    load(at, "ex1")
    go(at, "interventions")
    assert result().interventions[0].tokens == "bottom-3"
    assert at.segmented_control(key="iv_tokens").value == "bottom-3"
    empty_choice(at)
    assert result().interventions[0].pairs == ()


def load(at: AppTest, id: str) -> AppTest:
    """Another clip, analysed."""
    at.button(key=f"use_{id}").click().run()
    return finish(at)


def test_a_links_pairs_are_those_of_the_clip_it_names(open_app: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    at = open_app(example="ex0", edit="angle,tokens=given,pairs=3:1+4:1+9999:2")
    finish(at)
    go(at, "interventions")
    assert result().interventions[0].pairs == ((3, 1), (4, 1))  # the last one is of no such clip
    go(at, "clip")
    load(at, "ex1")
    go(at, "interventions")
    assert result().interventions[0].pairs == ()


@pytest.mark.parametrize("page", ["interventions", "decided"])
def test_a_part_that_cannot_be_used_is_no_crash(analysed: AppTest, page: str) -> None:
    analysed.session_state["trim"] = (0.0, 0.01)
    at = go(analysed, page)
    assert any("inputs have changed" in c.value for c in at.caption)


def test_a_link_to_a_result_with_such_a_part_is_no_crash(analysed: AppTest, open_app: Open) -> None:
    key = visit_of(analysed).shown.key
    at = open_app(example="ex0", start="0.5", end="0.51", run=key)
    assert visit_of(at).shown.key == key


def test_what_has_no_room_in_a_link_is_told(analysed: AppTest, monkeypatch: Any) -> None:
    at = empty_choice(go(analysed, "interventions"))
    monkeypatch.setattr(link, "MAX_EDIT", 30)
    for i in (4, 5, 6):
        happen(at, "iv_align", "cell", {"layer": 0, "i": i, "j": 1})
    assert len(result().interventions[0].pairs) == 3
    assert "edit" not in at.query_params
    assert any("no room in a link" in c.value for c in at.caption)

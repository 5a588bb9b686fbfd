"""A fitted map on the Interventions page, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from streamlit.testing.v1 import AppTest

from modgap.interventions.intervention import Intervention
from modgap.interventions.maps.affine import FittedMap
from modgap.interventions.maps.files import save_map
from modgap.ui.server.service import service
from tests.app.conftest import click, finish, go, result, visit_of
from tests.app.test_pages import address


def a_map(width: int = 32) -> FittedMap:
    noise = torch.Generator().manual_seed(0)
    card = {
        "model": {"name": "tiny"}, "data": {"name": "m.csv"}, "clips": {"fit": 9}, "pairs": 70,
        "held_out": {"pairs": 7, "explained": 0.625, "explained_plain": -0.5, "opened": 1.0},
    }  # fmt: skip
    return FittedMap("shift", 2, torch.zeros(width), torch.randn(width, generator=noise) * 3,
                     torch.ones(width), card=card)  # fmt: skip


def made() -> list[Any]:
    return [found for found, _ in service()._made._items.values()]


def captions(at: AppTest) -> str:
    return " ".join(c.value for c in at.caption)


def test_a_map_is_offered_applied_and_in_the_link(
    analysed: AppTest, open_app: Callable[..., AppTest]
) -> None:
    at = go(analysed, "interventions")
    assert "Fitted map" not in at.segmented_control(key="iv_rule").options
    save_map(a_map(), "mine")
    save_map(a_map(8), "of another model")
    at.run()
    at.segmented_control(key="iv_rule").set_value("map").run()
    assert not at.exception
    assert not at.error
    assert at.selectbox(key="iv_map").options == ["mine"]
    told = f"mine@{a_map().identity[:16]}"
    ours = Intervention(rule="map", map=told, layers=(2,))
    beside = Intervention(tokens="all", layers=(2,))
    assert [c.interventions for c in made()[-2:]] == [(ours,), (beside,)]
    assert "Angle projection (needs the transcript)" in captions(at)
    assert "shift of layer 2" in captions(at).replace("*", "")
    assert "0.625" in captions(at)
    at.toggle(key="iv_keep_length").set_value(True).run()
    assert any(c.interventions[0].keep_length for c in made())
    at.select_slider(key="iv_layer").set_value(1).run()
    assert "was fitted on layer 2" in captions(at)
    (text,) = address(at)["edit"]
    again = finish(open_app(example="ex0", edit=text))
    go(again, "interventions")
    assert again.segmented_control(key="iv_rule").value == "map"
    assert again.select_slider(key="iv_layer").value == 1
    assert again.toggle(key="iv_keep_length").value


def test_a_map_is_swept_beside_the_rules_that_need_the_transcript(
    analysed: AppTest, open_app: Callable[..., AppTest], monkeypatch: Any
) -> None:
    from modgap.ui.session import asking

    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    at = go(analysed, "decided")
    at.segmented_control(key="wd_show").set_value("sweep").run()
    assert [b.key for b in at.selectbox if b.key == "wd_fitted"] == []
    save_map(a_map(), "mine")
    again = finish(open_app(example="ex0", show="sweep", rules=["angle", "map"], tokens=["all"],
                            fitted="mine"))  # fmt: skip
    go(again, "decided")
    assert not again.error
    assert again.selectbox(key="wd_fitted").value == "mine"
    swept = result().table
    assert set(swept["rule"]) == {"angle", "map"}
    assert swept.query("rule == 'map'")["change"].abs().max() > 0
    row = sorted(set(zip(swept["rule"], swept["tokens"], swept["strength"], strict=True)))
    click(again, "sweep", row.index(("map", "all", 1.0)), 2)
    assert not again.exception
    first = next(c for c in reversed(made()) if c.interventions[0].rule == "map")
    told = f"mine@{a_map().identity[:16]}"
    assert first.interventions == (Intervention(rule="map", map=told, layers=(2,), tokens="all"),)


def test_a_link_names_no_folder_of_the_server(
    open_app: Callable[..., AppTest], tmp_path: Any, monkeypatch: Any
) -> None:
    from modgap.ui.session import asking

    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    save_map(a_map(), tmp_path / "secret")
    for name in (str(tmp_path / "secret"), "none"):
        text = Intervention(rule="map", map=name).to_text()
        at = finish(open_app(example="ex0", edit=text))
        assert "edit" not in visit_of(at).link
        go(at, "interventions")
        assert at.segmented_control(key="iv_rule").value == "angle"

"""The Compare page in Chromium: two models, one slider, both maps and answers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from benchmarks.browser import serving
from modgap.analysis.examples import examples
from tests.app.visitor import Visitor

pytestmark = pytest.mark.browser
CLIP = "capital-Greece-open"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("compare")
    cache = {"MODGAP_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    with serving("app.py", cache, folder / "log.txt") as url:
        yield url


def opened(v: Visitor, **query: str) -> Any:
    page = v.open("/compare", example=CLIP, **query)
    page.locator(".st-key-cm_maps .heatmaplayer image").nth(1).wait_for()  # both maps
    v.settle()
    return page


def texts(found: Any) -> list[str]:
    """What is written there, without the invisible joiners of literal names."""
    return [text.replace("\u2060", "") for text in found.all_inner_texts()]


def headings(page: Any) -> list[str]:
    return texts(page.locator(".st-key-cm_maps [data-testid=stMarkdown]"))


def pictures(page: Any) -> list[str]:
    """What the two heatmaps show, as the images that Plotly makes of them."""
    images = page.locator(".st-key-cm_maps .heatmaplayer image")
    return [images.nth(n).get_attribute("href") or "" for n in range(images.count())]


def answers(page: Any) -> list[str]:
    return texts(page.locator(".st-key-cm_answers [data-testid=stColumn]"))


def download(page: Any, label: str) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label, exact=True).click()
    return Path(waiting.value.path())


def test_two_models_are_chosen_and_the_slider_moves_both_maps(visit: Callable) -> None:
    v = visit()
    page = opened(v)
    assert headings(page) == ["demo, layer 4 of 8 (50%)", "demo:adapter, layer 4 of 8 (50%)"]
    # Another model is chosen by hand: the last one goes, a snapshot comes.
    chosen = page.locator(".st-key-cm_models")
    chosen.get_by_role("combobox").press("Backspace")
    v.settle()
    expect(page.get_by_text("Choose at least two models.")).to_have_count(1)
    chosen.get_by_role("combobox").fill("lora@1")
    page.get_by_role("option", name="demo:lora@1", exact=True).click()
    page.keyboard.press("Escape")
    v.settle()
    assert headings(page) == ["demo, layer 4 of 8 (50%)", "demo:lora@1, layer 4 of 8 (50%)"]
    both = answers(page)
    assert [text.splitlines()[0] for text in both] == ["demo", "demo:lora@1"]
    for text in both:
        assert "\nText\n" in text
        assert "\nSpeech\n" in text
        assert ("right" in text) or ("wrong" in text)
    before = pictures(page)
    assert len(before) == 2
    assert before[0] != before[1]
    slider = page.locator(".st-key-cm_depth").get_by_role("slider")
    for _ in range(2):
        slider.press("ArrowRight")
    page.get_by_text("layer 6 of 8").first.wait_for()
    v.settle()
    assert headings(page) == ["demo, layer 6 of 8 (75%)", "demo:lora@1, layer 6 of 8 (75%)"]
    after = pictures(page)
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert answers(page) == both
    # The place of the slider is marked in every curve, and the axis of 0 is drawn.
    for n in range(3):
        shapes = (
            page.locator(".st-key-cm_curves .js-plotly-plot").nth(n).locator(".shapelayer path")
        )
        expect(shapes).to_have_count(2)
    v.shot("compare")
    link = page.url
    with download(page, "Curves (CSV)").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {r["model"] for r in rows} == {"demo", "demo:lora@1"}
    assert len(rows) == 18
    settings = json.loads(download(page, "Settings (JSON)").read_text("utf-8"))
    assert settings["demo"]["model"]["identity"] != settings["demo:lora@1"]["model"]["identity"]
    v.check()
    again = visit()
    again.page.goto(link)
    again.page.locator(".st-key-cm_maps .heatmaplayer image").first.wait_for()
    again.settle()
    assert headings(again.page) == headings(page)
    assert pictures(again.page) == after
    assert answers(again.page) == both
    again.check()


def test_the_consistency_over_the_examples(visit: Callable) -> None:
    v = visit()
    page = opened(v)
    clips = len(examples())
    page.get_by_role("button", name=f"Measure {clips} examples in 2 models").click()
    page.locator(".st-key-cm_points_aps_cos .js-plotly-plot").first.wait_for()
    v.settle()
    for key in ("aps_cos", "monotonicity"):
        plots = page.locator(f".st-key-cm_points_{key} .js-plotly-plot")
        expect(plots).to_have_count(3)
        expect(
            plots.first.locator(".scatterlayer .trace"), "a point and an interval"
        ).to_have_count(4)
    with download(page, "Statistics (CSV)").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert {r["clips"] for r in rows} == {str(clips)}
    page.locator(".st-key-cm_points_monotonicity").scroll_into_view_if_needed()
    v.shot("compare-consistency")
    v.check()


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (390, 844)])
def test_narrow_windows(visit: Callable, width: int, height: int) -> None:
    v = visit(viewport={"width": width, "height": height})
    v.page.goto(
        f"{v.server}/compare?example={CLIP}&models=demo:adapter&models=demo"
        "&models=demo:lora@1&models=demo:lora@2&measure=euclidean"
    )
    v.page.locator(".st-key-cm_maps .heatmaplayer image").nth(3).wait_for()
    v.settle()
    plots = v.page.locator(".st-key-cm_maps .js-plotly-plot")
    expect(plots).to_have_count(4)
    for n in range(4):
        assert plots.nth(n).bounding_box()["width"] >= 200
    v.shot(f"compare-{width}")
    v.check()

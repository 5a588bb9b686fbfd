"""Finding one's way in Chromium: Back, tab titles, the row of pages, missing runs, code to copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from benchmarks.browser import READY
from tests.app.conftest import PAGES

pytestmark = pytest.mark.browser
EXAMPLE = "sphinx-clubs"
TITLES = ("Clip", "Layers", "Alignment", "Interventions", "Localize", "Compare", "Modality gap",
          "Similarity vs gap")  # fmt: skip


def path(page: Any) -> str:
    return urlsplit(page.url).path


def test_back_takes_one_press_a_page(visit: Any, tiny_folder: Path) -> None:
    v = visit()
    page = v.open(example=EXAMPLE, model=tiny_folder.name)
    expect(page).to_have_title("Clip · modgap")
    entries = page.evaluate("history.length")
    v.go("Layers")
    expect(page).to_have_title("Layers · modgap")
    v.go("Alignment")
    page.wait_for_selector(READY)
    for _ in range(3):  # each writes another layer into the address
        page.locator(".mg .slider").press("ArrowLeft")
        v.settle()
    v.wait_for_address("layer=")
    layer = page.locator(".lv").inner_text()
    assert page.evaluate("history.length") == entries + 2
    page.go_back()
    v.settle()
    assert path(page) == "/layers"
    expect(page).to_have_title("Layers · modgap")
    page.go_back()
    v.settle()
    assert path(page) == "/"
    for _ in range(2):
        page.go_forward()
        v.settle()
    assert path(page) == "/alignment"
    page.wait_for_selector(READY)
    v.wait_for_address("layer=")
    expect(page.locator(".lv")).to_have_text(layer)
    assert page.evaluate("history.length") == entries + 2
    v.check()


@pytest.mark.parametrize("width", [420, 1024, 1440])
def test_all_pages_are_in_view(visit: Any, width: int) -> None:
    v = visit(viewport={"width": width, "height": 800})
    page = v.open()
    for title in TITLES:
        link = page.locator(".st-key-pages").get_by_role("link", name=title, exact=True)
        box = link.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] < 200
    v.shot(f"pages-{width}")
    v.go("Similarity vs gap")
    assert path(page) == "/correlation"
    assert len(TITLES) == len(PAGES)
    v.shot(f"pages-correlation-{width}")
    v.check()


def test_a_link_to_a_run_that_is_not_here_says_so(visit: Any) -> None:
    v = visit()
    page = v.open("/gap", set="nowhere")
    expect(page.get_by_text("The run nowhere of this link is not on this server")).to_be_visible()
    v.shot("gap-missing-run")


def test_help_covers_nothing_and_code_can_be_copied(visit: Any, tiny_folder: Path) -> None:
    v = visit()
    page = v.open(example=EXAMPLE, model=tiny_folder.name)
    page.get_by_text("Computed in").or_(page.get_by_text("From the cache")).first.wait_for()
    figure = page.locator(".st-key-sound, .js-plotly-plot").first
    before = figure.bounding_box()["y"]
    page.get_by_text("How to read this page").click()
    expect(page.locator(".st-key-page_help .katex").first).to_be_visible()
    page.wait_for_timeout(500)
    text = page.locator(".st-key-page_help").bounding_box()
    assert figure.bounding_box()["y"] >= text["y"] + text["height"]
    assert figure.bounding_box()["y"] > before
    v.shot("help-open")
    page.get_by_text("How to read this page").click()
    page.get_by_role("button", name="Copy as code").click()
    code = page.locator("[data-testid=stPopoverBody] pre")
    expect(code.first).to_contain_text("modgap.Session(", use_inner_text=True)
    expect(code.last).to_contain_text(f"modgap analyze example:{EXAMPLE}", use_inner_text=True)
    v.shot("copy-as-code")

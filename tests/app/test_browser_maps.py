"""In Chromium: a fitted map repairs a clip live, beside the rule that knows the words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from modgap.interventions.maps.files import save_map
from tests.app.test_map_page import a_map

pytestmark = pytest.mark.browser
EXAMPLE = "sphinx-clubs"


@pytest.fixture(scope="module")
def stock() -> Callable[[Path], object]:
    """One fitted map of the tiny model's layer 2."""
    return lambda cache: save_map(a_map(), cache / "maps" / "mine")


def test_a_map_is_tried_live_and_swept(visit: Callable, tiny_folder: Path) -> None:
    v = visit()
    page = v.open("/interventions", example=EXAMPLE, model=tiny_folder.name)
    page.get_by_role("radio", name="Fitted map").click()
    v.settle()
    expect(page.get_by_text("Fitted map, needs no transcript:")).to_be_visible()
    expect(page.get_by_text("Angle projection (needs the transcript)")).to_be_visible()
    # Its own layer, all positions, and the address of what is shown.
    v.wait_for_address("map")
    before = page.locator(".st-key-iv_after").inner_text()
    assert "KL from the text run" in before
    v.shot("map-live")
    page.get_by_text("Keep lengths").click()
    v.settle()
    expect(page.locator(".st-key-iv_after")).not_to_have_text(before)
    v.go("Localize")
    page.get_by_role("radio", name="Sweep: layer × intervention").click()
    v.settle()
    page.locator(".st-key-wd_rules").get_by_role("button", name="map").click()
    v.settle()
    expect(page.locator(".st-key-wd_fitted")).to_be_visible()
    page.locator(".st-key-sweep .js-plotly-plot").wait_for()
    v.shot("map-sweep")
    v.check()

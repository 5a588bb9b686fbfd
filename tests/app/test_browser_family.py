"""A folder of another family in Chromium: from the clip to an intervention."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.browser import READY, serving
from examples.families.test_own_forward import FILE, make
from tests.ears import put_ears

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(family_folder: Callable[[str], Path]) -> Path:
    return family_folder("granite_speech")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a family that is not modgap's."""
    return make(tmp_path_factory.mktemp("own") / "own-model")


@pytest.fixture(scope="module")
def server(
    folder: Path, own: Path, ears_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    place = tmp_path_factory.mktemp("family")
    put_ears(ears_folder, place / "cache")
    settings = {
        "MODGAP_CACHE": str(place / "cache"),
        "MODGAP_MODELS": json.dumps([str(folder), str(own)]),
        "MODGAP_FAMILIES": json.dumps([str(FILE)]),
        "HF_HUB_OFFLINE": "1",
    }
    with serving("app.py", settings, place / "log.txt") as url:
        yield url


def test_a_folder_of_another_family_serves_every_page(visit: Callable, folder: Path) -> None:
    v = visit()
    page = v.open("/", model=folder.name, example="capital-Greece-open")
    page.wait_for_url(lambda url: "run=" in url)
    v.settle()
    v.shot("family-clip")
    v.go("Layers")
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    v.go("Alignment")
    page.locator(READY).wait_for()
    v.settle()
    v.shot("family-alignment")
    v.go("Interventions")
    page.locator(READY).wait_for()
    v.settle()
    page.get_by_role("radio", name="Patch").click()
    v.settle()
    assert page.locator(".st-key-iv_after").inner_text().strip()
    v.go("Localize")
    page.get_by_text("Log-probability of").wait_for()
    v.settle()
    v.shot("family-decided")
    v.check()


def test_a_family_of_ones_own(visit: Callable, own: Path) -> None:
    v = visit()
    page = v.open("/", model=own.name, example="capital-Greece-open")
    page.wait_for_url(lambda url: "run=" in url)
    v.settle()
    v.go("Alignment")
    page.locator(READY).wait_for()
    v.settle()
    v.go("Interventions")
    page.locator(READY).wait_for()
    v.settle()
    page.get_by_role("radio", name="Patch").click()
    v.settle()
    assert page.locator(".st-key-iv_after").inner_text().strip()
    v.shot("own-family")
    v.check()

"""In Chromium: a zip of own clips becomes a run that is shown; two clips compared; the prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from benchmarks.browser import serving
from modgap.analysis.examples import examples
from tests.evaluation.test_uploaded import LOOSE, zipped

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("batch")
    environment = {"MODGAP_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1",
                   "MODGAP_MODELS": json.dumps([str(tiny_folder)])}  # fmt: skip
    with serving("app.py", environment, folder / "log.txt") as url:
        yield url


def test_a_zip_becomes_a_run(visit: Callable, tiny_folder: Path, tmp_path: Path) -> None:
    v = visit()
    page = v.open("/gap", model=tiny_folder.name)
    page.get_by_text("New run of your own files").click()
    file = {"name": "own.zip", "mimeType": "application/zip", "buffer": zipped(*LOOSE)}
    page.locator(".st-key-batch_files input[type=file]").set_input_files(file)
    page.locator(".st-key-batch_start button:not([disabled])").wait_for()
    v.settle()
    v.shot("batch")
    page.locator(".st-key-batch_start button").click()
    page.get_by_text("The run questions is whole").wait_for()
    v.settle()
    expect(page.locator(".st-key-gap_run input")).to_have_value("questions")
    page.locator(".st-key-gap_bars .js-plotly-plot").wait_for()
    v.wait_for_address("set=questions")
    v.shot("batch-run")
    v.check()


def test_two_clips_and_the_prompts(visit: Callable, tiny_folder: Path) -> None:
    v = visit()
    page = v.open("/compare", model=tiny_folder.name, example=examples()[0].id, what="clips")
    page.locator(".st-key-ab_tokens .js-plotly-plot").wait_for()
    v.settle()
    expect(page.locator(".st-key-ab_curves .js-plotly-plot")).to_have_count(5)
    v.shot("two-clips")
    v.check()
    v.go("Clip")
    page.get_by_text("Prompts, token by token").click()
    expect(page.locator(".tokens li.content").last).to_contain_text("×")
    v.settle()
    page.locator(".st-key-prompts").scroll_into_view_if_needed()
    v.shot("prompts")
    v.check()

"""The pages of the gap in Chromium: bars, a clip opened from its row, points, links, widths."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from benchmarks.browser import READY, serving
from modgap.demo.questions.stored import spoken
from tests.app.visitor import Visitor
from tests.gap.made import answer, write_run

pytestmark = pytest.mark.browser

N = 40


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real questions of the embedded family; answers by rule: checkpoint k is right on k of 5."""
    plan = list(islice(spoken("clean"), N))
    asked = [
        {"question": s.id, "dataset": "demo", "subset": "open", "transcript": s.text,
         "reference": s.answers[0], "scorer": "reference", "choices": [],
         "seconds": 2.0, "groups": [("topic", s.topic), ("voice", s.voice)]}
        for s in plan
    ]  # fmt: skip
    names = ["demo:lora", *(f"demo:lora@{k}" for k in range(1, 5))]
    rows, layers = [], []
    for k, name in enumerate(names, start=1):
        for n, spec in enumerate(plan):
            rows += [answer(name, spec.id, kind, True) for kind in ("base", "text", "pipeline")]
            rows.append(
                answer(name, spec.id, "speech", n % 6 < k, heard="words", wer=0.1 * (n % 4))
            )
            layers += [
                {"model": name, "question": spec.id, "layer": layer, "cosine": 0.1 * k,
                 "euclidean": 9.0 - k, "aps_cos": 0.1 * k + 0.02 * (k % 2) * layer + 0.001 * n,
                 "aps_euc": 9.0 - k, "monotonicity": 0.5}
                for layer in range(9)
            ]  # fmt: skip
    protocol = {"data": {"name": "demo"}, "models": {m: {} for m in names}}
    return write_run(tmp_path_factory.mktemp("runs") / "browsed", asked,
                     {"answers": [rows], "layers": [layers]}, protocol)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, run_folder: Path) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gap")
    environment = {"MODGAP_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1",
                   "MODGAP_RUNS": json.dumps([str(run_folder)])}  # fmt: skip
    with serving("app.py", environment, folder / "log.txt") as url:
        yield url


def open_page(v: Visitor, page: str, **query: str) -> Any:
    made = v.open(f"/{page}", set="browsed", **query)
    made.locator(".js-plotly-plot").first.wait_for()
    v.settle()
    return made


def test_a_row_opens_its_clip(visit: Callable) -> None:
    v = visit()
    page = open_page(v, "gap")
    page.locator(".st-key-gap_bars .bars path").nth(3).wait_for(state="attached")
    v.shot("gap")
    # Row 1 of the table: it is drawn on a canvas, so the click is by place.
    table = page.locator(".st-key-clips_table canvas").first
    table.scroll_into_view_if_needed()
    page.wait_for_timeout(500)

    def click() -> None:
        box = table.bounding_box()
        page.mouse.click(box["x"] + 90, box["y"] + 35 * 1.5)

    v.click_until(click, page.locator(".st-key-clip_details audio"))
    v.settle()
    words = page.locator(".st-key-clip_details [data-testid=stText]").inner_text()
    expect(page.locator(".st-key-clip_in_use")).to_contain_text(words, use_inner_text=True)
    v.shot("gap-clip")
    page.get_by_role("button", name="Open on Alignment").click()
    page.locator(READY).wait_for()
    v.settle()
    v.wait_for_address("run=")
    # demo:lora is what demo stands for: the model that is in use anyway.
    expect(page.get_by_role("combobox", name="Model")).to_have_value("demo")
    v.go("Layers")
    page.locator(".js-plotly-plot").first.wait_for()
    v.go("Clip")
    expect(page.locator("textarea").first).to_have_value(words)
    expect(page.get_by_text("Reference answer:")).to_have_count(1)
    v.check()


def test_the_view_is_in_the_address(visit: Callable) -> None:
    v = visit()
    page = open_page(v, "gap", by="topic", become="FIXED", only="topic:capital")
    expect(page.get_by_text("No such clip.")).to_have_count(1)
    labels = page.locator(".st-key-gap_bars .xtick text").all_text_contents()
    assert labels == ["capital"]
    v.wait_for_address("only=topic%3Acapital")
    again = visit()
    again.page.goto(page.url)
    again.settle()
    again.page.locator(".st-key-gap_bars .xtick text").first.wait_for()
    expect(again.page.locator(".st-key-gap_bars .xtick text")).to_have_text(labels)
    v.check()


def test_points_and_layers_are_clicked(visit: Callable) -> None:
    v = visit()
    page = open_page(v, "correlation")
    scatter = page.locator(".st-key-co_scatter")
    points = scatter.locator(".scatterlayer .points path")
    expect(points).to_have_count(5)
    v.shot("correlation")
    box = points.nth(2).bounding_box()
    at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*at)
    hover = page.locator(".hoverlayer .hovertext")
    hover.first.wait_for()
    expect(hover.first).to_contain_text("demo:lora@2")
    page.mouse.click(*at)
    page.locator(".st-key-co_checkpoint").wait_for()
    v.settle()
    expect(page.locator(".st-key-co_checkpoint")).to_contain_text(
        "demo:lora@2: gap", use_inner_text=True
    )
    v.wait_for_address("model=demo%3Alora%402")
    v.shot("correlation-point")
    curve = page.locator(".st-key-co_curve .scatterlayer .points path")
    box = curve.nth(3).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    v.settle()
    page.wait_for_url("**layer=3*")
    page.get_by_role("button", name="Its clips on the Modality gap page").click()
    page.locator(".st-key-clips_table").wait_for()
    v.settle()
    v.wait_for_address("/gap")
    v.wait_for_address("checkpoints=demo%3Alora%402")
    v.check()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (1024, "light"), (390, "light")])
def test_every_width_and_theme(visit: Callable, width: int, scheme: str) -> None:
    v = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for page in ("gap", "correlation"):
        open_page(v, page)
        v.shot(f"{page}-{width}-{scheme}")
        v.check()


def test_a_run_opens_by_its_path_and_downloads(visit: Callable, run_folder: Path) -> None:
    v = visit()
    page = open_page(v, "gap")
    page.get_by_role("button", name="By path").click()
    box = page.get_by_label("Folder of a run")
    box.fill(str(run_folder.parent))
    page.locator(".st-key-run_open button").click()
    page.get_by_text("it has no run.json").wait_for()
    v.settle()
    with page.expect_download() as download:
        page.get_by_role("button", name="Numbers (CSV)").click()
    assert Path(download.value.path()).read_text().startswith("model,part,quantity,value")
    with page.expect_download() as download:
        page.get_by_role("button", name="Accuracies (HTML)").click()
    assert "plotly" in Path(download.value.path()).read_text()
    v.check()


@pytest.mark.parametrize("run", ["demo"])
def test_shipped_runs_fill_both_pages(visit: Callable, run: str) -> None:
    v = visit()
    page = v.open("/gap", set=run)
    page.locator(".st-key-gap_bars .bars path").first.wait_for()
    v.settle()
    page.locator(".st-key-gap_reasons .bars path").nth(1).wait_for(state="attached")
    page.locator(".st-key-clips_table canvas").first.wait_for()
    v.shot(f"gap-{run}")
    page = v.open("/correlation", set=run)
    page.locator(".st-key-co_scatter .scatterlayer").wait_for()
    v.settle()
    if run == "demo":
        expect(page.locator(".st-key-co_cka .heatmaplayer image")).to_have_count(1)
        page.locator(".st-key-co_against .scatterlayer .js-line").nth(2).wait_for(state="attached")
    v.shot(f"correlation-{run}")
    v.check()

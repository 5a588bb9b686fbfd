"""Interventions in Chromium: rules, strength, words, two visitors, a cancelled sweep."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.browser import READY, serving

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("edits")
    cache = {"MODGAP_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    with serving("app.py", cache, folder / "log.txt") as url:
        yield url


def after(page: Any) -> str:
    return page.locator(".st-key-iv_after").inner_text()


def test_a_rule_a_strength_and_a_word_change_the_answer(visit: Callable) -> None:
    v = visit()
    page = v.open("/interventions", example="capital-France-open")
    page.locator(READY).wait_for()
    v.settle()
    v.shot("interventions")
    seen = {after(page)}
    page.get_by_role("radio", name="all", exact=True).click()
    v.settle()
    for rule in ("Patch", "Random direction", "Mean shift", "Length normalization"):
        page.get_by_role("radio", name=rule).click()
        v.settle()
        seen.add(after(page))
    assert len(seen) > 1
    page.get_by_role("radio", name="Patch").click()
    v.settle()
    whole = after(page)
    slider = page.locator(".st-key-iv_strength").get_by_role("slider")
    for _ in range(20):
        slider.press("ArrowLeft")
    v.settle()
    none = after(page)
    before = page.locator(".st-key-iv_before").inner_text()
    # Strength 0 is the plain answer, its KL included.
    assert none.split("\n")[-1] == before.split("\n")[-1]
    for _ in range(20):
        slider.press("ArrowRight")
    v.settle()
    assert after(page) == whole
    words = page.locator(".choice button")
    pressed = page.locator(".choice button[aria-pressed=true]")
    count = pressed.count()
    assert count > 1
    pressed.first.click()
    v.settle()
    assert pressed.count() == count - 1
    assert words.count() >= count
    assert after(page) != whole
    v.shot("interventions-word")
    link = page.url
    v.check()
    again = visit()
    again.page.goto(link)
    again.page.locator(READY).wait_for()
    again.settle()
    assert after(again.page) == after(page)


def test_two_visitors_toggle_at_once(visit: Callable) -> None:
    one, two = visit(), visit()
    names = {one: "capital-France-open", two: "opposite-hot-open"}
    for v, name in names.items():
        v.open("/interventions", example=name)
        v.page.locator(READY).wait_for()
    alone: dict[tuple[Any, str], str] = {}
    for v in names:
        for rule in ("Patch", "Both"):
            v.page.get_by_role("radio", name=rule).click()
            v.settle()
            alone[v, rule] = after(v.page)
    for _ in range(2):
        for rule in ("Patch", "Both"):
            for v in names:
                v.page.get_by_role("radio", name=rule).click()
            for v in names:
                v.settle()
                assert after(v.page) == alone[v, rule]
    for v in names:
        v.check()


def test_where_the_gap_is_decided_and_a_sweep_is_cancelled(visit: Callable) -> None:
    v = visit()
    page = v.open("/decided", example="capital-France-open")
    page.get_by_text("Log-probability of").wait_for()
    v.settle()
    v.shot("decided-patching")
    page.get_by_role("radio", name="Logit lens").click()
    v.settle()
    v.shot("decided-lens")
    page.get_by_role("radio", name="Sweep").click()
    v.settle()
    v.shot("decided-sweep")
    v.check()
    page.get_by_role("link", name="Clip", exact=True).click()
    v.settle()


def test_narrow_windows(visit: Callable) -> None:
    v = visit(viewport={"width": 1024, "height": 768})
    page = v.open("/interventions", example="capital-France-open")
    page.locator(READY).wait_for()
    v.settle()
    v.shot("interventions-1024")
    v.check()
    v.go("Where is the gap decided?")
    page.get_by_text("Log-probability of").wait_for()
    v.settle()
    v.shot("decided-1024")
    v.check()


def test_how_long_a_toggle_takes(visit: Callable) -> None:
    """Reported, not judged: from a key that moves the strength to the answer that it asked for."""
    v = visit()
    page = v.open("/interventions", example="capital-France-open")
    page.locator(READY).wait_for()
    v.settle()
    slider = page.locator(".st-key-iv_strength").get_by_role("slider")
    seconds = []
    for _ in range(12):
        edit, began = page.url, time.perf_counter()
        slider.press("ArrowLeft")
        # The address is written by the run that has the answer, when it has it.
        page.wait_for_url(lambda url, edit=edit: url != edit)
        seconds.append(time.perf_counter() - began)
        v.settle()
        assert after(page).strip()
    print(
        f"toggle to answer: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s"
    )
    v.check()

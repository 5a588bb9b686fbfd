"""Progress, cancelling and closed tabs in Chromium: polling fragments run nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import ROOT, serving
from tests.app.visitor import Visitor

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slow") / "log.txt"


@pytest.fixture(scope="module")
def server(log: Path) -> Iterator[str]:
    cache = {"MODGAP_CACHE": str(log.parent / "cache")}
    with serving(str(ROOT / "tests" / "app" / "slow_app.py"), cache, log) as url:
        yield url


def begin(v: Visitor) -> Any:
    """Choose the first example and wait for its progress bar."""
    page = v.open()
    page.get_by_role("button", name="Analyse").first.click()
    bar = page.locator(".st-key-progress")
    bar.wait_for()
    bar.get_by_text("Slow work").wait_for()
    return page


def test_progress_follows_to_other_pages_and_can_be_cancelled(visit: Callable) -> None:
    v = visit()
    page = begin(v)
    page.get_by_role("link", name="Layers", exact=True).click()
    page.get_by_role("heading", name="Layers").wait_for()
    bar = page.locator(".st-key-progress")
    bar.wait_for()
    v.shot("progress")
    bar.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled.").first.wait_for()
    v.settle()
    assert not bar.count()
    v.check()


@pytest.mark.slow
def test_a_closed_tab_stops_its_job_and_an_open_one_keeps_it(visit: Callable, log: Path) -> None:
    stays, leaves = visit(), visit()
    begin(stays), begin(leaves)  # equal jobs: one run, two that wait for it
    leaves.context.close()
    time.sleep(20)
    assert stays.page.locator(".st-key-progress").count() == 1
    assert "nobody waits" not in log.read_text()
    stays.context.close()
    limit = time.monotonic() + 120
    while "nobody waits" not in log.read_text():
        assert time.monotonic() < limit, "the job still runs"
        time.sleep(0.5)

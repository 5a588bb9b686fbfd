"""Make the README's screenshots with the embedded model: ``make screenshots``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page  # noqa: E402

from benchmarks.browser import READY, chromium, serving  # noqa: E402

IMAGES = ROOT / "docs" / "images"
PAGES = ("clip", "layers", "alignment", "interventions", "compare", "gap", "correlation")
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"


def settle(page: Page) -> None:
    """Wait until the script has run and the charts are drawn."""
    page.wait_for_timeout(600)
    page.wait_for_selector(SETTLED, timeout=60_000)
    # Not wait_for_function: it evaluates a string in the page, which the page's policy forbids.
    while page.locator("[data-stale=true], [data-testid=stSkeleton]").count():
        page.wait_for_timeout(100)
    page.wait_for_timeout(1_200)


def main() -> None:
    from modgap.analysis.examples import examples

    IMAGES.mkdir(parents=True, exist_ok=True)
    example = examples()[0].id
    with (
        tempfile.TemporaryDirectory() as cache,
        serving(environment={"MODGAP_CACHE": cache}) as url,
        chromium() as browser,
    ):
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
            page.goto(f"{url}/?example={example}")
            page.wait_for_url("**run=*", timeout=180_000)
            query = page.url.partition("?")[2]
            for name in PAGES:
                if scheme == "dark" and name != "alignment":
                    continue
                path = "" if name == "clip" else name
                page.goto(f"{url}/{path}?{query}")
                if name in ("alignment", "interventions"):
                    page.wait_for_selector(READY, timeout=60_000)
                if name == "compare":
                    maps = page.locator(".st-key-cm_maps .heatmaplayer image")
                    maps.nth(1).wait_for(timeout=60_000)
                settle(page)
                stem = name if scheme == "light" else f"{name}-dark"
                page.screenshot(path=IMAGES / f"{stem}.png")
                print(f"docs/images/{stem}.png")
            page.close()


if __name__ == "__main__":
    main()

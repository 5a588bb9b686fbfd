"""Make the README's screenshots with the embedded model: ``make screenshots``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page  # noqa: E402

from benchmarks.browser import READY, chromium, jupyterlab, serving  # noqa: E402

IMAGES = ROOT / "docs" / "images"
PAGES = ("clip", "layers", "alignment", "interventions", "compare", "gap", "correlation")
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"


def settle(page: Page) -> None:
    """Wait until the script has run and the charts are drawn."""
    page.wait_for_timeout(600)
    page.wait_for_selector(SETTLED, timeout=200_000)
    # Not wait_for_function: it evaluates a string in the page, which the page's policy forbids.
    while page.locator("[data-stale=true], [data-testid=stSkeleton]").count():
        page.wait_for_timeout(100)
    while page.get_by_role("button", name="Cancel", exact=True).count():  # a job still runs
        page.wait_for_timeout(200)
    page.wait_for_timeout(1_200)


def notebook_picture() -> None:
    """The map in a JupyterLab: of docs/notebook.ipynb, the cells that lead to it."""
    import nbformat

    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    code = [c.source for c in notebook.cells if c.cell_type == "code"]
    first = next(c for c in code if "load_model" in c).removesuffix("\nanalysis")
    last = next(c for c in code if "modgap.widget" in c)
    words = "words = modgap.word_times(clip, example.transcript)\n"
    notebook.cells = [nbformat.v4.new_code_cell(c) for c in (first, words + last)]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        nbformat.write(notebook, Path(folder) / "modgap.ipynb")
        with jupyterlab(Path(folder), {"MODGAP_CACHE": str(ROOT / "cache")}) as url:
            page = browser.new_page(viewport={"width": 1180, "height": 980}, color_scheme="light")
            page.set_default_timeout(600_000)
            page.goto(f"{url}/lab/tree/modgap.ipynb?reset")
            kernel = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
            page.wait_for_function(f"{kernel}?.status === 'idle'")
            for command in ("application:toggle-left-area", "notebook:run-all-cells"):
                page.evaluate(f"window.jupyterapp.commands.execute('{command}')")
            page.locator(READY).wait_for()
            page.locator(".jp-OutputArea-output .scores").scroll_into_view_if_needed()
            box = page.locator(f"{READY} .stack").bounding_box()
            page.mouse.click(box["x"] + 0.45 * box["width"], box["y"] + 0.4 * box["height"])
            page.mouse.move(5, 5)
            page.wait_for_timeout(3_000)
            page.screenshot(path=IMAGES / "notebook.png")
            print("docs/images/notebook.png")


def main() -> None:
    from modgap.analysis.examples import examples

    IMAGES.mkdir(parents=True, exist_ok=True)
    example = examples()[0].id
    with tempfile.TemporaryDirectory() as cache:
        # The base models, where they are here, are not fetched for each set of pictures.
        if (ROOT / "cache" / "models").is_dir():
            (Path(cache) / "models").symlink_to(ROOT / "cache" / "models")
        pages(cache, example)
    notebook_picture()


def pages(cache: str, example: str) -> None:
    """The pages of the explorer with an empty cache but for the base models."""
    with (
        serving(environment={"MODGAP_CACHE": cache}) as url,
        chromium() as browser,
    ):
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
            page.goto(f"{url}/?example={example}")
            page.wait_for_url("**run=*", timeout=400_000)
            query = page.url.partition("?")[2]
            for name in PAGES:
                if scheme == "dark" and name != "alignment":
                    continue
                path = "" if name == "clip" else name
                page.goto(f"{url}/{path}?{query}")
                if name in ("alignment", "interventions"):
                    page.wait_for_selector(READY, timeout=200_000)
                if name == "compare":
                    maps = page.locator(".st-key-cm_maps .heatmaplayer image")
                    maps.nth(1).wait_for(timeout=200_000)
                settle(page)
                stem = name if scheme == "light" else f"{name}-dark"
                page.screenshot(path=IMAGES / f"{stem}.png")
                print(f"docs/images/{stem}.png")
            page.close()


if __name__ == "__main__":
    main()

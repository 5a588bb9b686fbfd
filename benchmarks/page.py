"""From navigation to the first painted heatmap of a cached analysis, and from key to layer.

    python -m benchmarks.page
    python -m benchmarks.page --example jfk --repeats 9

Starts the explorer on a cache of its own, analyses one example, then opens its permalink on the
Alignment page: in fresh browser contexts (nothing cached in the browser), and again and again in
one context, whose first visits count for nothing (the browser has the files then, and has compiled
them). The page's own clock, which starts at navigation, is read once the component says it is
ready and a frame has passed, and once more when the chart below it is drawn.
A layer change is timed in the page, from the slider's input event to the changed canvas.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.browser import READY, chromium, serving

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

CHART = ".js-plotly-plot .scatterlayer .trace"
WARM_UP = 3  # visits before the browser keeps compiled scripts

# Looks in every frame and notes when the one after it comes: by then the map has been painted. From
# outside, the question would have to wait for what the page does next.
_WATCH = """() => {
  const held = (root) => root.querySelector('.mg[data-ready=yes]');
  const ready = () => [...document.querySelectorAll('*')].some(
    (e) => e.shadowRoot && held(e.shadowRoot)) || held(document);
  const look = () => requestAnimationFrame(
    ready() ? () => { window.painted = performance.now(); } : look);
  look();
}"""

_CHANGE = """async (slider) => {
  const canvas = slider.closest('.mg').querySelector('canvas.base');
  const look = () => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    .reduce((sum, v, n) => (sum + v * (n % 251 + 1)) % 1000003, 0);
  const frame = () => new Promise(requestAnimationFrame);
  const out = [];
  for (let n = 0; n <= +slider.max; n++) {
    slider.value = n; slider.dispatchEvent(new Event('input'));
    await frame(); await frame();
    const next = (n + 1) % (+slider.max + 1), before = look();
    await frame();
    slider.value = next;
    const start = performance.now();
    slider.dispatchEvent(new Event('input'));
    const ms = performance.now() - start;
    let frames = 0;
    while (look() === before && frames < 60) { await frame(); frames++; }
    out.push([ms, frames]);
  }
  return out;
}"""


@dataclass(frozen=True)
class PageTimes:
    """Milliseconds from navigation and of layer changes, with the frames that these took.

    Attributes
    ----------
    fresh, warm : tuple of float
        To the first heatmap: in new contexts, and in one that knows the page.
    fresh_chart, warm_chart : tuple of float
        To the chart below it.
    """

    example: str
    fresh: tuple[float, ...]
    fresh_chart: tuple[float, ...]
    warm: tuple[float, ...]
    warm_chart: tuple[float, ...]
    change: tuple[float, ...]
    frames: tuple[int, ...]

    def table(self) -> str:
        """The numbers as a Markdown table."""
        visits = {
            "first heatmap painted, new browser": self.fresh,
            "first heatmap painted, files in the browser's cache": self.warm,
            "the chart below drawn, new browser": self.fresh_chart,
            "the chart below drawn, files in the browser's cache": self.warm_chart,
        }
        return "\n".join(
            [
                f"| cached analysis of `{self.example}`, headless Chromium | median | worst | n |",
                "|---|---:|---:|---:|",
                *(
                    f"| navigation to {what} | {statistics.median(ms):.0f} ms | {max(ms):.0f} ms "
                    f"| {len(ms)} |"
                    for what, ms in visits.items()
                ),
                f"| layer change: handler until drawn | {statistics.median(self.change):.1f} ms | "
                f"{max(self.change):.1f} ms | {len(self.change)} |",
                f"| layer change: frames waited for after the handler | "
                f"{statistics.median(self.frames):.0f} | {max(self.frames)} | {len(self.frames)} |",
                "",
                "Targets: under 1,500 ms; within two frames.",
            ]
        )


def measure(example: str, repeats: int = 7) -> PageTimes:
    """Measure one shipped example.

    Parameters
    ----------
    example : str
        Its id in ``modgap/demo/examples/examples.json``.
    repeats : int
        Fresh browser contexts, and visits in a context that knows the page.
    """

    def visit(context: BrowserContext) -> tuple[Page, float, float]:
        page = context.new_page()
        page.add_init_script(f"({_WATCH})()")
        page.goto(f"{url}/alignment?{query}", wait_until="commit")
        page.wait_for_selector(READY, timeout=60_000)
        page.wait_for_selector(CHART, timeout=60_000)
        return page, *page.evaluate("[painted, performance.now()]")

    with (
        tempfile.TemporaryDirectory() as cache,
        serving(environment={"MODGAP_CACHE": cache}) as url,
        chromium() as browser,
    ):
        size = {"width": 1440, "height": 900}
        page = browser.new_page(viewport=size)  # type: ignore[arg-type]
        page.goto(f"{url}/?example={example}")
        page.wait_for_url("**run=*", timeout=180_000)
        query = page.url.partition("?")[2]
        page.close()
        times: dict[str, list[tuple[float, float]]] = {"fresh": [], "warm": []}
        for _ in range(repeats):
            context = browser.new_context(viewport=size)  # type: ignore[arg-type]
            times["fresh"].append(visit(context)[1:])
            context.close()
        context = browser.new_context(viewport=size)  # type: ignore[arg-type]
        for n in range(WARM_UP + repeats):
            page, *spent = visit(context)
            if n >= WARM_UP:
                times["warm"].append(tuple(spent))
            if n == WARM_UP + repeats - 1:
                page.wait_for_timeout(2_000)
                changes = page.locator(".mg .slider").evaluate(_CHANGE)
            page.close()
    fresh, warm = (tuple(zip(*times[name], strict=True)) for name in ("fresh", "warm"))
    return PageTimes(
        example, *fresh, *warm, tuple(c[0] for c in changes), tuple(int(c[1]) for c in changes)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the Alignment page in Chromium.")
    parser.add_argument("--example", help="id of a shipped example; the first by default")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    name = args.example
    if name is None:
        from modgap.analysis.examples import examples

        name = examples()[0].id
    print(measure(name, args.repeats).table())


if __name__ == "__main__":
    main()

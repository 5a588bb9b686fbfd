"""From navigation to the first painted heatmap of a cached analysis, and from key to layer.

    python -m benchmarks.page
    python -m benchmarks.page --example jfk --repeats 9

Starts the explorer on a cache of its own, analyses one example, then opens its permalink on the
Alignment page in fresh browser contexts (nothing cached in the browser) and reads the page's own
clock, which starts at navigation, once the component says it is ready and a frame has passed.
A layer change is timed in the page, from the slider's input event to the changed canvas.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass

from benchmarks.browser import READY, chromium, serving

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
    """Milliseconds to the first heatmap, and of layer changes with the frames that they took."""

    example: str
    first: tuple[float, ...]
    change: tuple[float, ...]
    frames: tuple[int, ...]

    def table(self) -> str:
        """The numbers as a Markdown table."""
        first, change = statistics.median(self.first), statistics.median(self.change)
        return "\n".join(
            [
                f"| cached analysis of `{self.example}`, headless Chromium | median | worst | n |",
                "|---|---:|---:|---:|",
                "| navigation to first heatmap painted, Alignment page | "
                f"{first:.0f} ms | {max(self.first):.0f} ms | {len(self.first)} |",
                f"| layer change: handler until drawn | {change:.1f} ms | "
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
        Fresh browser contexts.
    """
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
        first: list[float] = []
        changes: list[list[float]] = []
        for _ in range(repeats):
            context = browser.new_context(viewport=size)  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(f"{url}/alignment?{query}", wait_until="commit")
            page.wait_for_selector(READY, timeout=60_000)
            first.append(page.evaluate("new Promise(f => requestAnimationFrame(f))"))
            if not changes:
                page.wait_for_timeout(2_000)
                changes = page.locator(".mg .slider").evaluate(_CHANGE)
            context.close()
    return PageTimes(
        example, tuple(first), tuple(c[0] for c in changes), tuple(int(c[1]) for c in changes)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the Alignment page in Chromium.")
    parser.add_argument("--example", help="id of a shipped example; the first by default")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    name = args.example
    if name is None:
        from modgap.ui.examples import examples

        name = examples()[0].id
    print(measure(name, args.repeats).table())


if __name__ == "__main__":
    main()

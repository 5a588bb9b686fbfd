"""The alignment component in Chromium, on a page of its own (align_app.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import READY, serving
from tests.app.align_sample import sample_view
from tests.app.visitor import ARTEFACTS

pytestmark = pytest.mark.browser
HERE = Path(__file__).parent
SHOTS = ARTEFACTS / "align"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(HERE / "align_app.py") as url:
        yield url


class Watched:
    """A page of the component with what went wrong and what left it."""

    def __init__(self, browser: Any, **context: Any) -> None:
        self.context = browser.new_context(accept_downloads=True, **context)
        self.context.set_default_timeout(120_000)  # of a machine that is busy with other work
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.sent = 0
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("websocket", lambda ws: ws.on("framesent", self._frame))

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _frame(self, _: Any) -> None:
        self.sent += 1

    def open(self, url: str) -> Any:
        self.page.goto(url)
        self.page.wait_for_selector(READY)
        self.page.wait_for_timeout(600)
        return self.page


PIXELS = """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let h = 0;
  for (let i = 0; i < d.length; i += 4) h = (h * 31 + d[i] + 7 * d[i + 1] + d[i + 2]) | 0;
  return h; }"""


def pixels(page: Any) -> int:
    """A hash of what the map shows."""
    return page.locator(".base").evaluate(PIXELS)


@pytest.fixture
def watched(chromium, server) -> Iterator[Watched]:
    w = Watched(chromium, viewport={"width": 1440, "height": 900}, color_scheme="light")
    yield w
    w.context.close()


def test_layers_change_without_the_server(watched, server):
    page = watched.open(server + "/?layer=4")
    before, sent = pixels(page), watched.sent
    slider = page.locator(".slider")
    slider.evaluate(
        "s => { for (const v of [5, 6, 7]) { s.value = v; s.dispatchEvent(new Event('input')); } }"
    )
    assert pixels(page) != before
    assert page.locator(".lv").inner_text() == "7 / 8"
    page.wait_for_timeout(400)
    assert watched.sent == sent, "dragging the slider must not reach the server"
    slider.dispatch_event("change")
    page.get_by_text("python: layer=7 measure=cosine").wait_for()
    page.locator(".stack").focus()
    at = pixels(page)
    page.keyboard.press("[")
    assert pixels(page) != at
    page.get_by_text("python: layer=6 measure=cosine").wait_for()
    page.locator(".thumbs button").nth(1).click()
    page.get_by_text("python: layer=1 measure=cosine").wait_for()
    assert watched.errors == []


def test_a_click_plays_names_the_pair_and_reaches_python(watched, server):
    page = watched.open(server)
    SHOTS.mkdir(parents=True, exist_ok=True)
    box = page.locator(".stack").bounding_box()
    page.mouse.click(box["x"] + 600, box["y"] + 250)
    page.get_by_text("cell: Cell(layer=4").wait_for()
    status = page.locator("[role=status].status").inner_text()
    assert "s ↔ “" in status
    assert "S " in status
    assert "layer 4" in status
    text = page.get_by_text("cell: Cell(").inner_text()
    i = int(text.split("i=")[1].split(",")[0])
    assert status.startswith(f"{i * 0.04:.2f}–{(i + 1) * 0.04:.2f} s")
    end, audio = (i + 1) * 0.04 + 0.4, page.locator("audio")
    for _ in range(600):
        page.wait_for_timeout(100)
        at, paused = audio.evaluate("a => [a.currentTime, a.paused]")
        if paused and at >= end - 0.05:
            break
    assert paused, "a chosen moment must end by itself"
    assert end - 0.05 <= at < end + 2, (
        "at the token's end and 0.4 s, or a busy machine's little more"
    )
    page.screenshot(path=SHOTS / "click.png")
    assert watched.errors == []


def test_keys_move_zoom_and_toggle(watched, server):
    page = watched.open(server)
    page.locator(".stack").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator(".status").inner_text()
    assert "(token 0)" in first
    assert "S = " in first, "the first cell is the path's pair, whose value is exact"
    page.keyboard.press("ArrowDown")
    assert "(token 1)" in page.locator(".status").inner_text()
    page.keyboard.press("End")
    assert page.locator(".status").inner_text().startswith("4.76–4.80 s")
    whole = pixels(page)
    page.keyboard.press("+")
    assert pixels(page) != whole
    page.keyboard.press("0")
    assert pixels(page) == whole
    page.keyboard.press("m")
    page.get_by_text("measure=euclidean").wait_for()
    page.keyboard.press("a")
    page.get_by_text("paths=dtw").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("cell: Cell(layer=4, i=119, j=1)").wait_for()
    assert page.locator(".stack").evaluate("e => e.matches(':focus-visible')")
    assert watched.errors == []


def test_tokens_are_text_and_nothing_leaves_the_machine(watched, server):
    page = watched.open(server)
    box = page.locator(".stack").bounding_box()
    row = next(j for j, p in enumerate(sample_view().pieces) if "<s>" in p)
    page.mouse.move(box["x"] + 300, box["y"] + 54 + 15 * row + 7)
    assert "“ <s>”" in page.locator(".point").inner_text()
    with page.expect_download() as download:
        page.locator(".png").click()
    assert download.value.suggested_filename == "sample-layer4-cosine.png"
    assert Path(download.value.path()).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    foreign = [u for u in watched.requests if not u.startswith((server, "blob:", "data:"))]
    assert foreign == []
    assert watched.errors == []


def test_a_run_without_sound_says_so(watched, server):
    page = watched.open(server + "/?audio=0")
    assert page.locator(".play").is_disabled()
    assert "no sound" in page.locator(".clock").inner_text()
    page.locator(".stack").click(position={"x": 600, "y": 200})
    page.get_by_text("cell: Cell(").wait_for()
    assert watched.errors == []


OVERFLOW = """m => [...m.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right >
  m.getBoundingClientRect().right + 1).map(e => e.className)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_at_any_width(chromium, server, scheme):
    w = Watched(chromium, viewport={"width": 1800, "height": 900}, color_scheme=scheme)
    page = w.open(server + "/?layer=6")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for width in (1800, 1440, 1024, 700):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        page.screenshot(path=SHOTS / f"{scheme}-{width}.png")
        assert page.locator(".mg").evaluate(OVERFLOW) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sharp = page.locator(".base").evaluate("c => c.width / c.getBoundingClientRect().width")
        assert sharp == pytest.approx(1, abs=0.01)
    assert w.errors == []
    w.context.close()


CYAN = """c => { const { width: w, height: h } = c;
  const d = c.getContext('2d').getImageData(0, 0, w, h).data;
  const rows = new Map();
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const p = 4 * (y * w + x);
    if (d[p] === 57 && d[p + 1] === 208 && d[p + 2] === 255) rows.set(y, (rows.get(y) || 0) + 1);
  }
  return [...rows.entries()]; }"""


def test_words_are_drawn_where_they_are_said(watched, server):
    page = watched.open(server + "/?words=known")
    switch = page.locator("[data-path=words]")
    assert switch.get_attribute("aria-pressed") == "false"
    assert page.locator(".base").evaluate(CYAN) == []
    switch.click()
    assert switch.get_attribute("aria-pressed") == "true"
    # Two boxes have four level sides. How wide they are: 0.4 and 0.6 s.
    widths = sorted({n for _, n in page.locator(".base").evaluate(CYAN) if n > 20})
    assert widths
    assert widths[-1] / widths[0] == pytest.approx(1.5, rel=0.1)
    page.wait_for_selector("text=paths=argmax,dtw,words")
    page.locator(".stack").press("w")
    assert page.locator(".base").evaluate(CYAN) == []
    page.wait_for_selector("text=paths=argmax,dtw >> visible=true")
    assert watched.errors == []


def test_the_switch_is_there_only_where_words_are_offered(watched, server):
    page = watched.open(server + "/?words=none")
    assert not page.locator("[data-path=words]").is_visible()
    page.locator(".stack").press("w")
    page.wait_for_timeout(500)
    assert page.locator("text=paths=argmax,dtw").is_visible()
    page = watched.open(server + "/?words=later")
    page.locator("[data-path=words]").click()
    page.wait_for_selector("text=paths=argmax,dtw,words")
    assert page.locator(".base").evaluate(CYAN) == []
    assert watched.errors == []

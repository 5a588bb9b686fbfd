"""A visitor of the explorer in Chromium."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import TimeoutError, expect

from benchmarks.browser import ROOT

ARTEFACTS = Path(os.environ.get("MODGAP_ARTEFACTS", ROOT / "artifacts"))
SHOTS = ARTEFACTS / "pages"
PATIENCE = 240_000  # ms; of a machine that is busy with other work
expect.set_options(timeout=PATIENCE)
IDLE = (
    "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
)
#: What the pages estimate to take long is begun by these.
STARTS = ".st-key-wd_start button, .st-key-align_others_start button"


class Visitor:
    """A browser of its own: its page, and what went wrong in it or left it."""

    def __init__(self, browser: Any, server: str, **context: Any) -> None:
        context.setdefault("viewport", {"width": 1440, "height": 900})
        self.context = browser.new_context(
            accept_downloads=True, permissions=["microphone"], **context
        )
        self.context.set_default_timeout(PATIENCE)
        self.server, self.page = server, self.context.new_page()
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", self._request)
        self.page.on("response", self._response)

    def _console(self, message: Any) -> None:
        # A failed load is judged by its response, which names it.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.server, "blob:", "data:")):
            self.foreign.append(request.url)

    def _response(self, response: Any) -> None:
        # Opened at /layers, Streamlit's client looks for its server under that path first.
        probe = re.search(r"/\w+/_stcore/(health|host-config)$", response.url)
        if response.status >= 400 and not probe:
            self.errors.append(f"{response.status} {response.url}")

    def open(self, path: str = "/", **query: str) -> Any:
        """Open a page of the explorer."""
        text = "&".join(f"{k}={v}" for k, v in query.items())
        self.page.goto(f"{self.server}{path}?{text}")
        self.settle()
        return self.page

    def go(self, name: str) -> None:
        """Open another page by its link."""
        self.page.get_by_role("link", name=name, exact=True).click()
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run, its elements are drawn and no job is left."""
        calm = 0
        for _ in range(PATIENCE // 500):
            self.page.wait_for_timeout(150)
            self.page.wait_for_selector(IDLE)
            busy = "[data-stale=true], [data-testid=stSkeleton], .st-key-progress"
            # One look may fall between an event and the run that it asks for.
            calm = 0 if self.page.locator(busy).count() else calm + 1
            if calm == 3 and not self._begin():
                return
            calm %= 3
        raise AssertionError("the page did not come to rest")

    def _begin(self) -> bool:
        """Begin what waits for a click, if anything: on a busy machine more is estimated so."""
        start = self.page.locator(STARTS)
        if waits := start.count() > 0:
            start.first.click()
        return waits

    def wait_for_address(self, part: str) -> None:
        """Wait until the page's address holds `part`."""
        expect(self.page).to_have_url(re.compile(re.escape(part)))

    def click_until(self, click: Callable[[], None], seen: Any) -> None:
        """Click, again if nothing came of it: a canvas does not say when it can be clicked."""
        for _ in range(6):
            click()
            try:
                seen.wait_for(timeout=PATIENCE / 8)
            except TimeoutError:
                continue
            return
        raise AssertionError("no click was answered")

    def shot(self, name: str) -> None:
        """Keep a picture."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def tell(self, name: str) -> None:
        """Say what the page shows, and keep a picture: of a test that has failed."""
        print(f"{self.page.url}\n{self.page.locator('body').inner_text()[:4000]}")
        print(*self.errors, sep="\n")
        self.shot(re.sub(r"[^\w.-]", "_", name))

    def check(self) -> None:
        """Nothing went wrong, nothing left the machine, nothing is wider than the window."""
        assert self.errors == []
        assert self.foreign == []
        width = self.page.viewport_size["width"]
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width
        wider = self.page.evaluate(WIDER)
        assert not wider, wider


WIDER = """() => {
  const main = document.querySelector('[data-testid=stMainBlockContainer]')
  const edge = main.getBoundingClientRect().right + 1
  return [...main.querySelectorAll('[data-testid]')]
    .filter(e => e.getBoundingClientRect().right > edge && e.offsetParent)
    .map(e => e.dataset.testid)
}"""

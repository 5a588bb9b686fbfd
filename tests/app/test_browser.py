"""The real server and the real pages in Chromium, on a tiny model and the shipped examples."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.chromium import find_chromium

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
SHOTS = Path(os.environ.get("MODGAP_ARTEFACTS", ROOT / "artifacts")) / "pages"
EXAMPLES = ROOT / "modgap" / "demo" / "examples"
REAL = EXAMPLES / "ls-3005-163389-0007.flac"
PATIENCE = 240_000  # ms; of a machine that is busy with other work
IDLE = (
    "[data-testid=stApp][data-test-script-state=notRunning][data-test-connection-state=CONNECTED]"
)
NASTY = "<b>a</b> $x$ ![](http://127.0.0.2/x.png) :red[y].flac".replace("/", "_")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[str]:
    """`streamlit run app.py` on a free port, with an empty cache."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment = os.environ | {
        "MODGAP_CACHE": str(tmp_path_factory.mktemp("cache")),
        "MODGAP_MODELS": json.dumps([str(tiny_folder)]),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(url + "/_stcore/health", timeout=2)
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        arguments += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


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
        probe = re.search(r"/(layers|alignment)/_stcore/(health|host-config)$", response.url)
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
        for _ in range(PATIENCE // 500):
            self.page.wait_for_timeout(400)
            self.page.wait_for_selector(IDLE)
            busy = "[data-stale=true], [data-testid=stSkeleton], .st-key-progress"
            if not self.page.locator(busy).count():
                return
        raise AssertionError("the page did not come to rest")

    def shot(self, name: str) -> None:
        """Keep a picture."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def check(self) -> None:
        """Nothing went wrong, nothing left the machine, nothing is wider than the window."""
        assert self.errors == []
        assert self.foreign == []
        width = self.page.viewport_size["width"]
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width
        assert self.page.evaluate(WIDER) == []


WIDER = """() => {
  const main = document.querySelector('[data-testid=stMainBlockContainer]')
  const edge = main.getBoundingClientRect().right + 1
  return [...main.querySelectorAll('[data-testid]')]
    .filter(e => e.getBoundingClientRect().right > edge && e.offsetParent)
    .map(e => e.dataset.testid)
}"""


@pytest.fixture
def visit(chromium: Any, server: str) -> Iterator[Any]:
    """`visit(**context)`: another browser."""
    visitors: list[Visitor] = []

    def make(**context: Any) -> Visitor:
        visitors.append(Visitor(chromium, server, **context))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()


def test_a_clip_of_ones_own_from_upload_to_a_clicked_cell(visit: Any, tiny_folder: Path) -> None:
    v = visit()
    page = v.open(model=tiny_folder.name)
    v.shot("clip-empty")
    page.get_by_role("radio", name="Upload").or_(
        page.get_by_text("Upload", exact=True)
    ).first.click()
    v.settle()
    file = {"name": NASTY, "mimeType": "audio/flac", "buffer": REAL.read_bytes()}
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(file)
    v.settle()
    assert page.locator("[data-testid=stSidebar]").get_by_text(NASTY, exact=True).is_visible()
    words = "<s> the bones of $x$ **fish**"
    page.get_by_label("Transcript: the words that are said").fill(words)
    page.get_by_label("Transcript: the words that are said").press("Control+Enter")
    v.settle()
    page.locator(".st-key-analyse button").click()
    v.settle()
    page.get_by_text("Computed in").wait_for()
    assert page.locator("[data-testid=stSidebar]").get_by_text(words, exact=True).is_visible()
    assert page.locator(".tokens li").first.inner_text() != ""
    v.shot("clip-upload")
    v.check()

    v.go("Layers")
    curves = page.locator(".js-plotly-plot .scatterlayer .trace")
    curves.first.wait_for()
    assert page.locator(".js-plotly-plot").count() == 4
    v.shot("layers-upload")
    v.check()

    v.go("Alignment")
    page.wait_for_selector(".mg[data-ready=yes]")
    before = page.locator(".lv").inner_text()
    page.locator(".mg .slider").press("ArrowRight")
    v.settle()
    assert page.locator(".lv").inner_text() != before
    layer = int(page.locator(".lv").inner_text().split("/")[0])
    assert f"layer={layer}" in page.url
    assert f"Text tokens in layer {layer}" in page.locator(".stMain").inner_text()
    box = page.locator(".stack").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url(re.compile(r"cell=\d+-\d+"))
    v.settle()
    assert "speech token" in page.locator(".st-key-cell").inner_text()
    v.shot("alignment-upload")
    v.check()

    with page.expect_download() as download:
        page.get_by_role("button", name="Settings (JSON)").click()
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved["transcript"] == words
    again = visit()
    again.page.goto(page.url)
    again.page.wait_for_selector(".mg[data-ready=yes]")
    again.settle()
    assert again.page.locator(".lv").inner_text() == page.locator(".lv").inner_text()
    assert "speech token" in again.page.locator(".st-key-cell").inner_text()
    again.check()


def test_two_browsers_get_their_own_results(visit: Any, tiny_folder: Path) -> None:
    one, two = visit(), visit()
    for v, example in ((one, 0), (two, 1)):
        v.open(model=tiny_folder.name)
        v.page.get_by_role("button", name="Analyse").nth(example).click()
    rows = json.loads((EXAMPLES / "examples.json").read_text("utf-8"))
    for v, example in ((one, 0), (two, 1)):
        v.page.wait_for_url(re.compile(r"run=[0-9a-f]{64}"))
        v.settle()
        assert rows[example]["transcript"] in v.page.locator("[data-testid=stSidebar]").inner_text()
        v.check()
    assert one.page.url.split("run=")[1][:64] != two.page.url.split("run=")[1][:64]
    # The same again, elsewhere: from the cache.
    three = visit()
    three.open(model=tiny_folder.name, example=rows[0]["id"])
    three.page.get_by_text("From the cache").wait_for()
    three.check()


def test_a_recording_from_the_microphone(visit: Any, tiny_folder: Path) -> None:
    v = visit()
    page = v.open(model=tiny_folder.name)
    page.get_by_text("Microphone", exact=True).click()
    v.settle()
    microphone = page.locator("[data-testid=stAudioInput]")
    microphone.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(2500)
    microphone.get_by_role("button", name="Stop recording").click()
    page.locator("[data-testid=stSidebar]").get_by_text("recording.wav").wait_for()
    v.settle()
    assert page.locator(".js-plotly-plot").count() == 1, "the sound is drawn before any analysis"
    v.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_look_right(visit: Any, tiny_folder: Path, scheme: str) -> None:
    v = visit(color_scheme=scheme)
    rows = json.loads((EXAMPLES / "examples.json").read_text("utf-8"))
    v.open(model=tiny_folder.name, example=rows[0]["id"])
    v.page.wait_for_url(re.compile(r"run=[0-9a-f]{64}"))
    for name in ("Clip", "Layers", "Alignment"):
        v.go(name)
        for width in (1440, 1024):
            v.page.set_viewport_size({"width": width, "height": 900})
            v.page.wait_for_timeout(1500)
            v.shot(f"{name.lower()}-{scheme}-{width}")
            v.check()


def test_the_server_guards_itself(server: str) -> None:
    with urllib.request.urlopen(server + "/") as response:
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    host, port = server.removeprefix("http://").split(":")
    handshake = (
        "GET /_stcore/stream HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(handshake.encode())
        assert b" 403 " in connection.recv(200), "another site's name reaches the server"
    upload = urllib.request.Request(f"{server}/_stcore/upload_file/x/y", data=b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(upload)
    assert refused.value.code in (400, 403)

"""The real server and the real pages in Chromium, on a tiny model and the shipped examples."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from benchmarks.browser import READY, ROOT

pytestmark = pytest.mark.browser
EXAMPLES = ROOT / "modgap" / "demo" / "examples"
REAL = EXAMPLES / "austen-0880.flac"
NASTY = "<b>a</b> $x$ ![](http://127.0.0.2/x.png) :red[y].flac".replace("/", "_")


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
    expect(page.locator("[data-testid=stSidebar]").get_by_text(NASTY, exact=True)).to_be_visible()
    words = "<s> the bones of $x$ **fish**"
    page.get_by_label("Transcript: the words that are said").fill(words)
    page.get_by_label("Transcript: the words that are said").press("Control+Enter")
    v.settle()
    page.locator(".st-key-analyse button").click()
    v.settle()
    page.get_by_text("Computed in").wait_for()
    expect(page.locator("[data-testid=stSidebar]").get_by_text(words, exact=True)).to_be_visible()
    assert page.locator(".tokens li").first.inner_text() != ""
    v.shot("clip-upload")
    v.check()

    v.go("Layers")
    curves = page.locator(".js-plotly-plot .scatterlayer .trace")
    curves.first.wait_for()
    expect(page.locator(".js-plotly-plot")).to_have_count(4)
    v.shot("layers-upload")
    v.check()

    v.go("Alignment")
    page.wait_for_selector(READY)
    before = page.locator(".lv").inner_text()
    page.locator(".mg .slider").press("ArrowLeft")
    v.settle()
    assert page.locator(".lv").inner_text() != before
    layer = int(page.locator(".lv").inner_text().split("/")[0])
    v.wait_for_address(f"layer={layer}")
    expect(page.locator(".stMain")).to_contain_text(
        f"Text tokens in layer {layer}", use_inner_text=True
    )
    box = page.locator(".stack").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url(re.compile(r"cell=\d+-\d+"))
    v.settle()
    expect(page.locator(".st-key-cell")).to_contain_text("speech token", use_inner_text=True)
    v.shot("alignment-upload")
    v.check()

    with page.expect_download() as download:
        page.get_by_role("button", name="Settings (JSON)").click()
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved["transcript"] == words
    again = visit()
    again.page.goto(page.url)
    again.page.wait_for_selector(READY)
    again.settle()
    assert again.page.locator(".lv").inner_text() == page.locator(".lv").inner_text()
    expect(again.page.locator(".st-key-cell")).to_contain_text("speech token", use_inner_text=True)
    again.check()


MOVES = """() => {
  const places = window.places = [];
  const look = () => {
    const e = document.querySelector('.st-key-downloads_alignment');
    const map = [...document.querySelectorAll('*')].some(
      h => h.shadowRoot && h.shadowRoot.querySelector('.mg[data-ready=yes]'));
    const y = map && e ? Math.round(e.getBoundingClientRect().top) : null;
    if (y !== null && y !== places.at(-1)) places.push(y);
    requestAnimationFrame(look);
  };
  look();
}"""


def test_the_map_comes_first_and_nothing_moves_then(visit: Any, tiny_folder: Path) -> None:
    rows = json.loads((EXAMPLES / "examples.json").read_text("utf-8"))
    first = visit()
    first.open(model=tiny_folder.name, example=rows[0]["id"])
    first.page.wait_for_url(re.compile(r"run=[0-9a-f]{64}"))
    v = visit()
    v.page.add_init_script(f"({MOVES})()")
    v.page.goto(first.page.url.replace("/?", "/alignment?"))
    v.page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    v.settle()
    files = v.page.evaluate(
        "performance.getEntriesByType('resource').map(e => [e.name, e.startTime, e.responseEnd])"
    )
    (here,) = [end for name, _, end in files if "/BidiComponent." in name]
    # Scripts and, of the table, a style sheet.
    asked = [(m[1], at) for n, at, _ in files if (m := re.search(r"/(PlotlyChart|DataFrame)\.", n))]
    assert {name for name, _ in asked} == {"PlotlyChart", "DataFrame"}
    assert all(here < at for _, at in asked)
    # Charts and tables take their room at once; a line of text may still come on a busy machine.
    places = v.page.evaluate("places")
    assert max(places) - min(places) < 50
    v.check()


def test_charts_come_without_the_component(visit: Any, tiny_folder: Path) -> None:
    rows = json.loads((EXAMPLES / "examples.json").read_text("utf-8"))
    v = visit()
    v.page.route("**/BidiComponent.*", lambda route: route.abort())
    v.open(model=tiny_folder.name, example=rows[0]["id"])
    v.page.wait_for_url(re.compile(r"run=[0-9a-f]{64}"))
    v.go("Alignment")
    v.page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    assert not v.page.locator(".mg").count()


def test_two_browsers_get_their_own_results(visit: Any, tiny_folder: Path) -> None:
    one, two = visit(), visit()
    for v, example in ((one, 0), (two, 1)):
        v.open(model=tiny_folder.name)
        v.page.get_by_role("button", name="Analyse").nth(example).click()
    rows = json.loads((EXAMPLES / "examples.json").read_text("utf-8"))
    for v, example in ((one, 0), (two, 1)):
        v.page.wait_for_url(re.compile(r"run=[0-9a-f]{64}"))
        v.settle()
        expect(v.page.locator("[data-testid=stSidebar]")).to_contain_text(
            rows[example]["transcript"], use_inner_text=True
        )
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
    expect(page.locator(".js-plotly-plot"), "the sound is drawn before any analysis").to_have_count(
        1
    )
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
    own = server.removeprefix("http://")
    upgrade = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )

    def answer(path: str, host: str, more: str) -> bytes:
        host_here, port = own.split(":")
        with socket.create_connection((host_here, int(port)), timeout=30) as connection:
            asked = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
            connection.sendall(asked.encode())
            return connection.recv(200).split(b"\r\n")[0]

    for path, more in (("/_stcore/stream", upgrade), ("/", ""), ("/_stcore/health", "")):
        origin = f"{more}Origin: http://evil.example\r\n"
        assert b" 403 " in answer(path, "evil.example", origin), "another site's name reaches it"
        neighbour = f"{more}Origin: http://127.0.0.1:9\r\n"
        assert b" 403 " in answer(path, own, neighbour), "another port of this machine reaches it"
        mine = answer(path, own, f"{more}Origin: {server}\r\n")
        assert b" 200 " in mine or b" 101 " in mine, mine
    upload = urllib.request.Request(f"{server}/_stcore/upload_file/x/y", data=b"x", method="PUT")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(upload)
    assert refused.value.code in (400, 403)

"""docs/notebook.ipynb in a real JupyterLab: tables, figures, and the map with its clicks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from benchmarks.browser import READY, ROOT, jupyterlab
from tests.app.visitor import ARTEFACTS, PATIENCE
from tests.ears import put_ears

pytestmark = pytest.mark.browser
SHOTS = ARTEFACTS / "notebook"
NOTEBOOK = "window.jupyterapp.shell.currentWidget"
TELL = f"""async (code) => {{
  const asked = {NOTEBOOK}.sessionContext.session.kernel.requestExecute({{ code }});
  let said = '';
  asked.onIOPub = (m) => {{ if (m.header.msg_type === 'stream') said += m.content.text; }};
  const reply = await asked.done;
  return reply.content.status === 'ok' ? said.trim() : reply.content.evalue;
}}"""
DRAWN = """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let h = 0;
  for (let i = 0; i < d.length; i += 4) h = (h * 31 + d[i] + 7 * d[i + 1] + d[i + 3]) | 0;
  return h; }"""


@pytest.fixture(scope="module")
def server(ears_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, cache = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("lab-cache")
    put_ears(ears_folder, cache)
    shutil.copy(ROOT / "docs" / "notebook.ipynb", folder)
    environment = {"MODGAP_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    with jupyterlab(folder, environment) as url:
        yield url


@pytest.fixture(scope="module")
def lab(chromium: Any, server: str) -> Iterator[Any]:
    """The notebook, all its cells run; ``lab.errors`` and ``lab.foreign`` say what went wrong."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.errors, page.foreign = [], []
    page.on("pageerror", lambda e: page.errors.append(str(e)))
    page.on("request", lambda r: page.foreign.append(r.url) if not r.url.startswith(
        (server, server.replace("http", "ws"), "blob:", "data:")) else None)  # fmt: skip
    page.goto(f"{server}/lab/tree/notebook.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_function(f"{NOTEBOOK}?.sessionContext?.session?.kernel?.status === 'idle'")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator(READY).first.wait_for(state="attached")
    assert tell(page, "print('all run')") == "all run"
    yield page
    context.close()


def tell(page: Any, code: str) -> str:
    """What the kernel prints once all before is done."""
    return page.evaluate(TELL, code)


def show(page: Any) -> Any:
    """The map, scrolled into view."""
    found = page.locator(READY).first
    found.scroll_into_view_if_needed()
    expect(found.locator(".stack")).to_be_visible()
    page.wait_for_timeout(500)
    return found


def shot(page: Any, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def test_results_are_tables_with_curves_and_figures(lab):
    table = lab.locator(".jp-OutputArea-output table").first
    table.scroll_into_view_if_needed()
    expect(table).to_contain_text("transcript")
    expect(lab.locator(".jp-OutputArea-output svg polyline").first).to_be_visible()
    shot(lab, "table")
    figure = lab.locator(".js-plotly-plot").first
    figure.scroll_into_view_if_needed()
    expect(figure.locator(".scatterlayer path").first).to_be_attached()
    shot(lab, "figure")


def test_the_map_is_where_python_put_it_and_goes_where_it_is_told(lab):
    shown = show(lab)
    expect(shown.locator(".lv")).to_have_text("8 / 8")
    expect(shown.locator(".status")).to_contain_text("layer 8")
    assert tell(lab, "alignment.layer = 2") == ""
    expect(shown.locator(".lv")).to_have_text("2 / 8")
    expect(shown.locator('[data-path="words"]')).to_have_attribute("aria-pressed", "true")
    assert tell(lab, "alignment.paths = ['dtw']") == ""
    expect(shown.locator('[data-path="words"]')).to_have_attribute("aria-pressed", "false")
    assert "was not analysed" in tell(lab, "alignment.layer = 99")
    shot(lab, "map")


def test_slider_click_and_sound(lab):
    shown = show(lab)
    shown.locator(".slider").evaluate(
        "s => { s.value = 3; s.dispatchEvent(new Event('input'));"
        " s.dispatchEvent(new Event('change')); }"
    )
    expect(shown.locator(".lv")).to_have_text("3 / 8")
    lab.wait_for_timeout(300)
    assert tell(lab, "print(alignment.layer)") == "3"
    box = shown.locator(".stack").bounding_box()
    lab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    status = shown.locator(".status")
    expect(status).to_contain_text("↔")
    start = re.match(r"[\d.]+", status.inner_text()).group()
    lab.wait_for_timeout(300)
    cell = tell(lab, "print(alignment.cell.layer, alignment.cell.i, alignment.cell.j)").split()
    assert cell[0] == "3"
    told = tell(lab, f"print(f'{{analysis.speech_times[{cell[1]}][0]:.2f}}')")
    assert told == start, "the browser and Python mean the same pair"
    assert tell(lab, "print(chosen.value)").startswith(f"layer 3: {start} to ")
    expect(lab.locator(".widget-label", has_text="layer 3:")).to_be_attached()
    audio = shown.locator("audio")
    assert audio.evaluate("a => a.error") is None
    assert audio.evaluate("a => a.duration") > 0.5
    assert audio.evaluate("a => a.played.length") == 1, "a chosen moment is heard"


def test_keys_belong_to_the_map_while_it_has_the_focus(lab):
    shown, count = show(lab), f"{NOTEBOOK}.content.widgets.length"
    cells = lab.evaluate(count)
    shown.locator(".stack").focus()
    paths = tell(lab, "print(alignment.paths)")
    for key in ("d", "d", "a", "a", "m"):
        lab.keyboard.press(key)
    lab.wait_for_timeout(500)
    assert lab.evaluate(count) == cells, "to the notebook d d deletes a cell, a adds one"
    assert tell(lab, "print(alignment.measure, alignment.paths)") == f"euclidean {paths}"
    lab.keyboard.press("m")
    lab.wait_for_timeout(300)
    assert tell(lab, "print(alignment.measure)") == "cosine"


def test_the_map_takes_the_notebooks_theme(lab):
    shown = show(lab)
    ground = "e => getComputedStyle(e).backgroundColor"
    light, axes = shown.evaluate(ground), shown.locator(".frame").evaluate(DRAWN)
    lab.evaluate(
        "window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    lab.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    for _ in range(PATIENCE // 500):
        if shown.locator(".frame").evaluate(DRAWN) != axes:
            break
        lab.wait_for_timeout(500)
    assert shown.evaluate(ground) != light
    assert shown.locator(".frame").evaluate(DRAWN) != axes
    shot(lab, "dark")


def test_nothing_went_wrong_and_nothing_left_the_machine(lab):
    assert lab.errors == []
    assert lab.foreign == []

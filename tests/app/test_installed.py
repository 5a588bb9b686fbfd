"""An installed wheel, with no checkout in sight: its explorer, its runs, where it writes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from benchmarks.browser import READY, ROOT, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("wheel")]

SOURCES = (
    *("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"),
    *("app.py", "pages", ".streamlit", "cache/runs/demo", "modgap"),
)
PATIENCE = 300.0
OURS = ("PYTHONPATH", "MODGAP_CACHE", "MODGAP_MODELS", "MODGAP_RUNS")


@dataclass(frozen=True)
class Place:
    """A machine of its own, as far as modgap can see."""

    bin: Path
    site: Path
    home: Path
    work: Path  # an empty folder, in which commands are given

    @property
    def environment(self) -> dict[str, str]:
        """What a shell would have set."""
        mine = {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "caches")}
        kept = {k: v for k, v in os.environ.items() if k not in OURS}
        return kept | mine | {"HF_HUB_OFFLINE": "1"}

    def run(self, *command: str) -> str:
        """What a command of the environment prints."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]], cwd=self.work, env=self.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def files(self) -> dict[str, int]:
        """What lies among the packages, and when it was written.

        Byte code and numba's machine code are left out: Python's own business, and no loss where
        they cannot be written.
        """
        found = (p for p in self.site.rglob("*") if "__pycache__" not in p.parts)
        return {str(p.relative_to(self.site)): p.stat().st_mtime_ns for p in found if p.is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout; with a run of the builder's."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        here, there = ROOT / name, source / name
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(here, there) if here.is_dir() else shutil.copy(here, there)
    shutil.copytree(source / "cache/runs/demo", source / "cache/runs/mine")
    (source / "cache/runs/demo/.lock").touch()
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(out), str(source)], check=True)
    (built,) = out.glob("modgap-*.whl")
    return built


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A fresh environment with the wheel; only what modgap depends on is this one's."""
    made = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made / "venv"], check=True)
    found = Place(
        bin=made / "venv" / "bin",
        site=Path(sysconfig.get_path("purelib", vars={"base": str(made / "venv")})),
        home=made / "home",
        work=made / "work",
    )
    found.home.mkdir()
    found.work.mkdir()
    # A folder named in a .pth file is searched, but the .pth files in it are not read: the editable
    # modgap of this environment stays out.
    borrowed = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (found.site / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(found.bin / "python"), "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", str(wheel)], check=True)
    return found


@pytest.fixture(scope="module")
def server(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`modgap app`, given in an empty folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("log") / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [place.bin / "modgap", "app", "--port", str(port), "--no-open"],
            cwd=place.work, env=place.environment, stdout=out, stderr=out,
        )  # fmt: skip
        try:
            wait_for(url + "/_stcore/health", process, time.monotonic() + PATIENCE)
            yield url
        finally:
            process.terminate()
            assert process.wait(20) == 128 + signal.SIGTERM
            with socket.socket() as probe:  # the server itself has ended, too
                assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_wheel_carries_what_is_shipped_and_no_more(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    carried = [p for d in ("cache/runs/demo", "pages")
               for p in (ROOT / d).rglob("*") if p.is_file()]  # fmt: skip
    carried += [ROOT / "app.py", ROOT / ".streamlit" / "config.toml"]
    expected = {
        f"modgap/explorer/{p.relative_to(ROOT)}"
        for p in carried
        if p.suffix != ".pyc" and p.name != ".lock"
    }
    assert {n for n in names if n.startswith("modgap/explorer/")} == expected
    assert not [n for n in names if "__pycache__" in n]
    others = {n.split("/")[0] for n in names} - {"modgap"}
    assert all(n.endswith(".dist-info") for n in others), others


def test_it_is_the_wheel_that_runs(place: Place) -> None:
    said = place.run("python", "-c", "import modgap; print(modgap.__file__)")
    assert Path(said.strip()) == place.site / "modgap" / "__init__.py"
    assert str(place.home / "caches" / "modgap") in place.run("modgap", "cache", "info")
    shipped = json.loads((ROOT / "cache/runs/demo/run.json").read_text())["models"]
    told = place.run("modgap", "gap", "demo")
    assert [name for name in shipped if name not in told] == []


def test_the_explorer(place: Place, visit: Callable) -> None:
    before = place.files()
    v = visit(color_scheme="light")
    v.open("/").get_by_role("button", name="Analyse").first.wait_for()
    v.go("Modality gap")
    page = v.page
    page.locator(".st-key-gap_bars .bars path").first.wait_for(state="attached")
    expect(page.locator(".st-key-gap_run input")).to_have_value("demo", timeout=20_000)
    look = page.locator("[data-testid=stApp]").evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(document.documentElement).fontSize]"
    )
    assert look == ["rgb(27, 36, 48)", "15px"], ".streamlit/config.toml does not apply"
    v.shot("installed-gap")

    table = page.locator(".st-key-clips_table canvas").first
    table.scroll_into_view_if_needed()
    page.wait_for_timeout(500)

    def click() -> None:
        box = table.bounding_box()
        page.mouse.click(box["x"] + 90, box["y"] + 35 * 1.5)

    v.click_until(click, page.locator(".st-key-clip_details audio"))
    v.settle()
    page.get_by_role("button", name="Open on Alignment").click()
    page.locator(READY).wait_for()
    v.settle()
    v.wait_for_address("run=")
    v.check()

    cache = place.home / "caches" / "modgap"
    assert list(cache.glob("??/*/meta.json")), "the result is in the user's cache folder"
    assert place.files() == before, "nothing is written among the packages"
    assert not list(place.work.iterdir()), "nothing is written where the command was given"

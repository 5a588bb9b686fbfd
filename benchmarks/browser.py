"""Servers and the browser that visits them: for benchmarks, tests and screenshots."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
READY = ".mg[data-ready=yes]"  # the alignment component, once its first heatmap is drawn
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
ADVICE = "No Chromium found: install it (Debian: apt install chromium), or set MODGAP_CHROMIUM."
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def find_chromium() -> str | None:
    """Path of the installed Chromium or Chrome, or of what ``MODGAP_CHROMIUM`` names."""
    named = os.environ.get("MODGAP_CHROMIUM")
    return named or next(filter(None, map(shutil.which, CHROMIUMS)), None)


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """A running Chromium without a window, started with further `arguments`.

    Raises
    ------
    FileNotFoundError
        None is installed; the message says what to do.
    """
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise FileNotFoundError(ADVICE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


@contextmanager
def serving(
    script: str | Path = "app.py",
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    *,
    patience: float = 300.0,
) -> Iterator[str]:
    """A server of `script` on a free port; gives its address once it answers.

    Parameters
    ----------
    script : path
        What ``streamlit run`` takes, relative to the repository.
    environment : mapping, optional
        Variables beside this process's own.
    log : path, optional
        Where to write what the server says.
    patience : float
        Seconds that it may take to answer.

    Raises
    ------
    RuntimeError
        The server has ended, or does not answer.
    """
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}"]
    url = f"http://127.0.0.1:{port}"
    with _running(command, url + "/_stcore/health", environment or {}, log, patience):
        yield url


@contextmanager
def jupyterlab(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    *,
    patience: float = 300.0,
) -> Iterator[str]:
    """A JupyterLab for `folder` with settings of its own; gives its address once it answers.

    It asks for no news, and its application is ``window.jupyterapp``. The rest as in `serving`.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as mine:
        settings = Path(mine, "settings", "@jupyterlab", "apputils-extension")
        settings.mkdir(parents=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(quiet))
        own = {
            "JUPYTERLAB_SETTINGS_DIR": str(settings.parents[1]),
            **{f"JUPYTER{name}": str(Path(mine, name)) for name in
               ("_CONFIG_DIR", "_DATA_DIR", "_RUNTIME_DIR", "LAB_WORKSPACES_DIR")},
            "IPYTHONDIR": str(Path(mine, "ipython")),
        }  # fmt: skip
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
            *(f"--ServerApp.root_dir={folder}", "--IdentityProvider.token="),
            "--expose-app-in-browser",
        ]
        own |= environment or {}
        with _running(command, url + "/api/status", own, log, patience):
            yield url


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def _running(
    command: Sequence[str],
    health: str,
    environment: Mapping[str, str],
    log: Path | None,
    patience: float,
) -> Iterator[None]:
    with Path(log or os.devnull).open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=out, stderr=out
        )
    try:
        wait_for(health, process, time.monotonic() + patience)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(address: str, process: subprocess.Popen[bytes], limit: float) -> None:
    """Return once a server answers at `address`, before the monotonic clock says `limit`.

    Raises
    ------
    RuntimeError
        It has ended, or does not answer.
    """
    while process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError as problem:
            if time.monotonic() > limit:
                raise RuntimeError(f"The server does not answer: {problem}") from problem
        time.sleep(0.2)
    raise RuntimeError(f"The server has ended with code {process.returncode}.")

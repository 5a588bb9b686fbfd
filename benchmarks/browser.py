"""The explorer's server and the browser that visits it: for benchmarks, tests and screenshots."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
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
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}"]
    with Path(log or os.devnull).open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=out, stderr=out
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url + "/_stcore/health", process, time.monotonic() + patience)
        yield url
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

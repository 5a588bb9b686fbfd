"""Tiny releases, and a machine that is set to fetch them from a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from modgap.models.bases import index, sources, transfer
from tests.models.bases.releases import Releases, make_releases
from tests.models.bases.server import Server, serving


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Wheels and repositories, made once."""
    return make_releases(tmp_path_factory.mktemp("releases"))


@pytest.fixture
def cache(tmp_path: Path, releases: Releases, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder of models; nothing of the user's settings counts."""
    monkeypatch.setenv("MODGAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(index, "_pip_config", list)
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "NO_INDEX", "CERT", "PROXY"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    for name, source in releases.sources.items():
        monkeypatch.setitem(sources.SOURCES, name, source)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "cache" / "models"


@pytest.fixture
def server(cache: Path, releases: Releases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An index and a hub that have the releases."""
    with serving(releases.folder) as made:
        monkeypatch.setenv("PIP_INDEX_URL", made.index)
        monkeypatch.setattr(constants, "ENDPOINT", made.url)
        yield made

"""What the sidebar learns by itself: its polling runs nowhere else than in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import serving
from benchmarks.full_configs import QWEN2_AUDIO_7B

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[str]:
    """The explorer with a tiny model, and with the config of one that takes 100 TB."""
    folder = tmp_path_factory.mktemp("server")
    text = QWEN2_AUDIO_7B["text_config"] | {"hidden_size": 2**18, "intermediate_size": 2**20}
    vast = folder / "vast"
    vast.mkdir()
    (vast / "config.json").write_text(json.dumps(QWEN2_AUDIO_7B | {"text_config": text}))
    environment = {
        "MODGAP_CACHE": str(folder / "cache"),
        "MODGAP_MODELS": json.dumps([str(tiny_folder), str(vast)]),
        "HF_HUB_OFFLINE": "1",
    }
    with serving("app.py", environment, folder / "log.txt") as url:
        yield url


def test_the_sidebar_says_what_a_model_needs_without_a_click(visit: Any, tiny_folder: Path) -> None:
    v = visit()
    page = v.open(model=tiny_folder.name)
    sidebar = page.locator("[data-testid=stSidebar]")
    sidebar.get_by_text("Needs about").wait_for()
    v.settle()
    page = v.open(model="vast")
    sidebar.get_by_text("The weights take").wait_for()
    sidebar.get_by_text("smaller model").wait_for()
    v.settle()
    v.shot("sidebar-too-large")
    v.check()

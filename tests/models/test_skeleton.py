"""Models without weights: counting them touches nothing that another thread computes with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from modgap.models.families.granite_speech import GraniteMel
from modgap.models.loading.registry import family_of
from tests.families.makers import MAKERS, text_model
from tests.tiny import make_clip

KINDS = ("Llama", "GPTNeoX", "Granite")


def say_bfloat16(node: Any) -> None:
    """As the configs on the hub do, in every part."""
    if isinstance(node, dict):
        if "model_type" in node:
            node.pop("torch_dtype", None)
            node["dtype"] = "bfloat16"
        for part in node.values():
            say_bfloat16(part)


@pytest.fixture(params=[*MAKERS, *KINDS])
def folder(
    request: pytest.FixtureRequest, family_folder: Callable[[str], Path], tmp_path: Path
) -> Path:
    """Config of a family or text model in bfloat16, and the files beside it."""
    if request.param in MAKERS:
        made = family_folder(request.param)
    else:
        made = text_model(tmp_path / "made", request.param)
    copy = tmp_path / "copy"
    for file in made.rglob("*.*"):
        at = copy / file.relative_to(made)
        at.parent.mkdir(parents=True, exist_ok=True)
        if file.name == "config.json":
            config = json.loads(file.read_text())
            say_bfloat16(config)
            at.write_text(json.dumps(config))
        elif file.is_file():
            at.symlink_to(file)
    return copy


def test_the_default_dtype_is_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is one for the whole process, so whoever sets it for a moment rounds the features that
    # another thread computes.
    asked: list[torch.dtype] = []
    monkeypatch.setattr(torch, "set_default_dtype", asked.append)
    family = family_of("it", json.loads((folder / "config.json").read_text()))
    hf = family.skeleton(str(folder), {})
    assert sum(p.numel() for p in hf.parameters()) > 0
    assert all(p.is_meta for p in hf.parameters())
    assert asked == []


def test_granite_features_do_not_depend_on_the_default_dtype() -> None:
    wave, mel = make_clip(0.5).samples, GraniteMel()
    expected = mel(wave)
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = mel(wave)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)

"""The whole training runs its stages in order, and stops where one fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modgap.core.errors import ModgapError
from modgap.demo.training import recipe, stages
from modgap.demo.training.settings import TrainSettings


def _settings(tmp_path: Path) -> TrainSettings:
    return TrainSettings(work=tmp_path / "work", encoder=tmp_path / "e", llm=tmp_path / "l")


def test_every_stage_has_its_place() -> None:
    assert sorted(name for name, _ in recipe.ORDER) == sorted(stages.STAGES)


def test_stages_run_in_order_and_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def command(s: TrainSettings, stage: str, threads: int, part: tuple[int, int]) -> list[str]:
        ran.append([stage, str(threads), str(part)])
        return [sys.executable, "-c", "pass"]

    monkeypatch.setattr(recipe, "_command", command)
    said: list[str] = []
    recipe.train(_settings(tmp_path), 2, said.append)
    assert said == [name for name, _ in recipe.ORDER]
    assert ran[:3] == [["plain", "2", "(0, 1)"], ["turns", "1", "(0, 2)"], ["turns", "1", "(1, 2)"]]
    assert TrainSettings.load(tmp_path / "work") == _settings(tmp_path)


def test_a_failed_stage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "ORDER", (("plain", False), ("turns", True)))
    failing = [sys.executable, "-c", "raise SystemExit('no disk')"]
    monkeypatch.setattr(recipe, "_command", lambda *args: failing)
    with pytest.raises(ModgapError, match=r"stage plain failed \(no disk\).*plain\.log"):
        recipe.train(_settings(tmp_path), 1)

"""The training loop: exact resumption after a kill, and a run that is made longer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from modgap.demo.checkpoints import read_tensors
from modgap.demo.training.loop import LoopSettings, Run, schedule


def _run(folder: Path, steps: int, stop: int | None = None, **more: int) -> torch.Tensor:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(3, 4))
    bias = torch.nn.Parameter(torch.zeros(4))
    settings = LoopSettings("test", steps, 2, save_seconds=0.0, log_every=2, **more)
    run = Run(folder, {"weight": weight, "bias": bias}, {"weight": 0.1, "bias": 0.2}, settings, 5)

    def step(n: int) -> dict[str, float]:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(n))
        y = torch.dropout(x @ weight + bias, 0.5, train=True)  # draws from the step's own seed
        loss = (y - 1).square().mean()
        loss.backward()
        return {"loss": float(loss.detach())}

    run.run(step, stop_after=stop)
    return weight.detach().clone()


@pytest.mark.parametrize("stop", [1, 4, 8, 9])
def test_a_resumed_run_equals_an_undisturbed_one(tmp_path: Path, stop: int) -> None:
    whole = _run(tmp_path / "a", 10)
    _run(tmp_path / "b", 10, stop=stop)
    with (tmp_path / "b" / "log.jsonl").open("a") as log:
        log.write('{"stage": "test", "step": 10}\n{"st')  # of work that was not saved
    assert torch.equal(_run(tmp_path / "b", 10), whole)
    rows = [json.loads(line) for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == sorted({row["step"] for row in rows})


def test_a_longer_run_goes_on_before_the_rate_fell(tmp_path: Path) -> None:
    _run(tmp_path / "a", 10)
    assert int(read_tensors(tmp_path / "a" / "level.safetensors")[1]["step"]) == 7
    longer = _run(tmp_path / "a", 20)
    assert torch.equal(longer, _run(tmp_path / "b", 20))


def test_the_rate_rises_holds_and_falls() -> None:
    s = LoopSettings("test", 100, 10, decay=0.3, final=0.1)
    rates = [schedule(n, s) for n in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:71] == pytest.approx([1.0] * 62)
    assert rates[85] == pytest.approx(0.55)
    assert rates[99] > 0.1

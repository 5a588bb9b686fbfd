"""The fidelity report and the estimate of memory, for every family."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from modgap.analysis.fidelity_report import check_model
from modgap.models.loading.load import load_model
from modgap.models.loading.memory import estimate_memory
from tests.families.makers import MAKERS

Folder = Callable[[str], Path]


@pytest.mark.parametrize("family", MAKERS)
def test_its_memory_is_told_from_its_config(family_folder: Folder, family: str) -> None:
    folder = family_folder(family)
    model = load_model(folder, dtype="float32", device="cpu")
    found = estimate_memory(folder, dtype="float32")
    # An adapter of the checkpoint's own counts by its file, not among the model's parameters.
    lora = [p for n, p in model.hf.named_parameters() if "lora_" in n]
    whole = sum(p.numel() for p in model.hf.parameters()) - sum(p.numel() for p in lora)
    assert found.parameters == whole
    assert bool(found.adapter) == bool(lora)
    assert found.adapter >= sum(p.numel() * p.element_size() for p in lora)
    assert (found.n_layers, found.hidden_size) == (model.n_layers, model.hidden_size)
    assert found.known
    assert found.max_seconds == model.max_seconds
    assert found.seconds_per_position == (model.seconds_per_position or None)
    assert 0 < found.ways["4bit"] < found.ways["8bit"] < found.ways["bfloat16"]


@pytest.mark.parametrize("family", MAKERS)
def test_its_fidelity_report(family_folder: Folder, family: str) -> None:
    found = check_model(family_folder(family), device="cpu")
    wrong = [
        f"{c.dtype} {c.prompt} {c.name}: {c.epsilons} {c.note}"
        for c in found.checks
        if c.passed is False
    ]
    assert not wrong
    assert found.passed


@pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None,
    reason="bitsandbytes is not installed: pip install bitsandbytes",
)
@pytest.mark.parametrize("family", MAKERS)
def test_it_holds_with_8_bits(family_folder: Folder, family: str) -> None:
    found = check_model(family_folder(family), device="cpu", quantize="8bit", dtypes=("bfloat16",))
    assert found.passed, [c for c in found.checks if c.passed is False]
    assert found.model["quantization"] == "8bit"

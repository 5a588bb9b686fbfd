"""The benchmark at full size, on small models: its parts are right before a GPU is spent on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import fullsize
from modgap.models.base import SpeechLM
from tests.tiny import make_clip

ROOT = Path(fullsize.__file__).parents[1]
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=list(fullsize.MODELS))
def model(request: pytest.FixtureRequest) -> SpeechLM:
    return fullsize.build(request.param, CPU, tiny=True)


def test_the_shapes_are_those_of_the_released_model(model: SpeechLM) -> None:
    pair = model.prepare(make_clip(30.0), "one two")
    assert len(pair.speech.content) == 750
    assert model.seconds_per_position == 0.04
    assert model.hf.config.audio_token_id in pair.speech.inputs["input_ids"]


def test_a_batch_gives_what_single_clips_give(model: SpeechLM) -> None:
    pairs = [
        model.prepare(make_clip(seconds, seed=n), words)
        for n, (seconds, words) in enumerate([(1.2, "one two"), (2.0, "one two three four")])
    ]
    for one, pair in zip(fullsize.analysis_batch(model, pairs), pairs, strict=True):
        alone = fullsize.analysis(model, pair)
        np.testing.assert_allclose(one[1].similarity, alone[1].similarity, atol=2e-5)
        np.testing.assert_allclose(one[1].distance, alone[1].distance, rtol=1e-4, atol=1e-4)


def test_numbers_and_table() -> None:
    found = fullsize.measure("qwen2_audio", tiny=True, seconds=2, words=8, rounds=1, batch=2)
    assert found.shape[0] == 5
    assert found.shape[1] == 50
    assert found.bare > 0
    assert found.analysis_peak > found.weights
    assert found.time_ratio == found.analysis / found.bare
    assert found.clips_per_second == 2 / found.batch_seconds
    assert "target: at most 1.15" in found.table()
    json.dumps(found.as_dict())


@pytest.mark.parametrize(("name", "billions"), [("qwen2_audio", 8.397), ("qwen2_5_omni", 8.93)])
def test_the_full_configs_have_the_published_size(name: str, billions: float) -> None:
    # Qwen2-Audio-7B: 8.397 B in its files' index. The thinker of Qwen2.5-Omni-7B: a Qwen2.5-7B of
    # 7.616 B, the encoder of Whisper large with a projector (0.64 B), the vision tower of
    # Qwen2.5-VL (0.676 B).
    hf = fullsize.build(name, torch.device("meta"), tiny=False).hf
    assert sum(p.numel() for p in hf.parameters()) / 1e9 == pytest.approx(billions, rel=0.01)
    assert {p.dtype for p in hf.parameters()} == {torch.bfloat16}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_it_refuses_without_a_gpu() -> None:
    with pytest.raises(RuntimeError, match="CUDA GPU"):
        fullsize.measure("qwen2_audio")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fullsize"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip() == fullsize.NEEDS_GPU

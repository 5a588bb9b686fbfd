"""The recipe on a micro configuration: it runs, resumes exactly, and packs what it made."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from modgap.core.errors import ModelError
from modgap.demo import family
from modgap.demo.checkpoints import read_tensors
from modgap.demo.closed_world.batches import SpeechMix
from modgap.demo.closed_world.model import Shape
from modgap.demo.closed_world.package import package
from modgap.demo.closed_world.settings import TrainSettings
from modgap.demo.closed_world.stages import run_stage
from modgap.demo.facts import DIGITS

MICRO = Shape(width=32, layers=2, heads=2, kv_heads=1, feed_forward=48, encoder_layers=1,
              encoder_feed_forward=48)  # fmt: skip


@pytest.fixture(scope="module")
def fsdd(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fsdd")
    (folder / "recordings").mkdir()
    rng = np.random.default_rng(0)
    for d in range(len(DIGITS)):
        for speaker in ("george", "theo"):
            path = folder / "recordings" / f"{d}_{speaker}_0.wav"
            soundfile.write(path, 0.1 * rng.standard_normal(3000), 8000)
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory, fsdd) -> TrainSettings:
    torch.set_num_threads(1)
    s = TrainSettings(
        work=tmp_path_factory.mktemp("work"), fsdd=fsdd, text_steps=6, encoder_steps=4,
        spread_steps=4, bridge_steps=4, full_steps=6, lora_steps=6, text_batch=8, replay=4,
        rank=2, snapshots=6, clips_limit=24, shape=MICRO,
        mix=SpeechMix(open=3, choice=1, digit=1), save_seconds=0.0,
    )  # fmt: skip
    s.save()
    for stage in ("text", "encoder", "spread", "bridge", "full", "lora"):
        run_stage(s, stage)
    return s


def _final(work: Path, stage: str) -> dict[str, torch.Tensor]:
    return read_tensors(work / stage / "state.safetensors")[0]


@pytest.mark.parametrize("stage", ["text", "spread", "bridge", "full", "lora"])
def test_resumed_run_equals_undisturbed_one(settings, stage, tmp_path):
    for name in ("features", "text", "encoder", "spread", "bridge"):
        if name != stage:
            shutil.copytree(settings.work / name, tmp_path / name)
    again = dataclasses.replace(settings, work=tmp_path)
    run_stage(again, stage, stop=2)
    state = (tmp_path / stage / "state.safetensors").read_bytes()
    run_stage(again, stage, stop=4)
    # As after a kill: the work since the last saved state is lost, its log lines are not.
    (tmp_path / stage / "state.safetensors").write_bytes(state)
    with (tmp_path / stage / "log.jsonl").open("a") as log:
        log.write('{"stage": "x", "step": 4}\n{"st')
    run_stage(again, stage)
    ours, theirs = _final(tmp_path, stage), _final(settings.work, stage)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    rows = [json.loads(line) for line in (tmp_path / stage / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == sorted({r["step"] for r in rows})


def test_lora_leaves_the_text_llm_alone(settings):
    trained = {k for k in _final(settings.work, "lora") if k.startswith("w.")}
    decoder = {k for k in trained if "language_model" in k}
    assert decoder
    assert all(".lora_" in k for k in decoder)
    assert len(decoder) == MICRO.layers * 7 * 2


def test_package_and_resolve(settings, tmp_path):
    from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

    root = package(settings, tmp_path / "weights")
    names = family.names(root)
    assert names[:3] == ["demo", "demo:full", "demo:lora"]
    assert len(names) == 3 + 8
    for name in names:
        folder = family.resolve(name, tmp_path / "cache", root)
        model = Qwen2AudioForConditionalGeneration.from_pretrained(folder)
        assert model.dtype == torch.float32
        AutoProcessor.from_pretrained(folder)
    assert family.resolve("demo:lora@1", tmp_path / "cache", root) == family.resolve(
        "demo:lora@1", tmp_path / "cache", root
    )
    with pytest.raises(ModelError, match="demo:full@1"):
        family.resolve("demo:nothing", tmp_path / "cache", root)
    with pytest.raises(FileNotFoundError, match="modgap demo train"):
        family.names(tmp_path / "nowhere")

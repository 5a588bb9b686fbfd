"""The stages on a micro configuration: they run, resume exactly, and load as what was trained."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from modgap.core.errors import SettingsError
from modgap.demo import family
from modgap.demo.checkpoints import read_tensors
from modgap.demo.compact import read_compact
from modgap.demo.compose import NEAREST, compose, shared_tokens
from modgap.demo.training import features
from modgap.demo.training.aligning import Aligner, run_alignment
from modgap.demo.training.answers import read_answers
from modgap.demo.training.batches import Epochs, collate
from modgap.demo.training.features import Hearing, positions, speak_texts
from modgap.demo.training.listening import HEADS, run_listening, training_set
from modgap.demo.training.package import package, snapshot_steps, trained
from modgap.demo.training.settings import TrainSettings
from modgap.demo.training.speakers import Speakers, Utterance
from modgap.models.loading.load import load_model
from tests.demo.training.conftest import TEXTS
from tests.tiny import make_clip


def _state(s: TrainSettings, stage: str) -> dict[str, torch.Tensor]:
    return read_tensors(s.work / stage / "state.safetensors")[0]


def _copy(s: TrainSettings, to: Path, *parts: str) -> TrainSettings:
    for part in ("features", "answers", "heldout", *parts):
        shutil.copytree(s.work / part, to / part)
    return dataclasses.replace(s, work=to)


@pytest.fixture(scope="module")
def listened(micro: TrainSettings) -> TrainSettings:
    run_listening(micro)
    return micro


@pytest.fixture(scope="module")
def aligned(listened: TrainSettings) -> TrainSettings:
    run_alignment(listened, "lora")
    return listened


def test_settings_come_back(micro: TrainSettings) -> None:
    assert TrainSettings.load(micro.work) == micro


def test_speech_is_the_same_each_time(micro: TrainSettings, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": TEXTS[5:], "source": "turn"})
    again = speak_texts(table, "key1", Speakers(None, None), Hearing(micro.encoder, micro.llm),
                        tmp_path / "00001.npy")  # fmt: skip
    kept = micro.work / "features" / "turns.0" / "00001"
    pd.testing.assert_frame_equal(again, pd.read_parquet(kept.with_suffix(".parquet")))
    assert np.array_equal(np.load(tmp_path / "00001.npy"), np.load(kept.with_suffix(".npy")))


def test_heard_rows_lie_where_they_should(micro: TrainSettings) -> None:
    folder = micro.work / "features" / "turns.0"
    heard = features.load(features.files_of([folder]))
    assert heard.table.text.to_list() == TEXTS
    whole, read = (np.concatenate([np.load(f) for f in sorted(folder.glob(kind))])
                   for kind in ("[0-9]*[0-9].npy", "*.read.npy"))  # fmt: skip
    table = pd.concat([pd.read_parquet(f) for f in sorted(folder.glob("*.parquet"))])
    ends = dict(zip(table.text, table.frames.cumsum(), strict=True))
    places = dict(zip(table.text, positions(table.frames.to_numpy()).cumsum(), strict=True))
    for i, (text, count) in enumerate(zip(heard.table.text, heard.table.frames, strict=True)):
        wanted = whole[ends[text] - count : ends[text]].astype(np.float32)
        assert np.array_equal(heard.frames(i).numpy(), wanted)
        seen = read[places[text] - positions(count) : places[text]].astype(np.float32)
        assert np.array_equal(heard.read(i).numpy(), seen)


def test_every_utterance_comes_once_an_epoch() -> None:
    epochs = Epochs(np.arange(100), 7, 3, "x", together=4)
    seen = np.concatenate([epochs.step(n) for n in range(14)])
    assert len(set(seen)) == 98
    assert np.array_equal(Epochs(np.arange(100), 7, 3, "x", together=4).step(9), epochs.step(9))
    spread = np.mean([np.ptp(epochs.step(n)) for n in range(14)])
    assert spread < 50  # of 100 when lengths are mixed


def test_answers_are_what_the_model_says(micro: TrainSettings) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(micro.llm, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(micro.llm)
    for text, answer in list(read_answers(micro).items())[:4]:
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt",
            return_dict=True,
        )  # fmt: skip
        with torch.no_grad():
            logits = model(**ids).logits[0, -1].float()
        assert answer.likely[0, 0] == answer.tokens[0]
        # The padded batch rounds otherwise; the likeliest may change places with its neighbour.
        assert logits[answer.tokens[0]] > logits.max() - 0.1
        assert np.allclose(answer.shares.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("stage", "run", "parts"),
    [
        ("listen", run_listening, ()),
        ("adapter", lambda s, stop=None: run_alignment(s, "adapter", stop), ("listen",)),
        ("lora", lambda s, stop=None: run_alignment(s, "lora", stop), ("listen",)),
    ],
)
def test_a_killed_stage_goes_on_exactly(
    listened: TrainSettings, tmp_path: Path, stage: str, run: Callable[..., None],
    parts: tuple[str, ...],
) -> None:  # fmt: skip
    whole, torn = _copy(listened, tmp_path / "a", *parts), _copy(listened, tmp_path / "b", *parts)
    run(whole)
    run(torn, stop=2)
    run(torn)
    ours, theirs = _state(torn, stage), _state(whole, stage)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_the_llm_itself_is_left_alone(aligned: TrainSettings) -> None:
    held = {k for k in _state(aligned, "lora") if k.startswith("w.llm.")}
    assert held
    assert all(".lora_" in k for k in held)
    assert not any(k.startswith("w.llm.") for k in trained(aligned, "lora"))
    assert len(snapshot_steps(aligned, "lora")) == 2
    with pytest.raises(SettingsError, match="snapshots of this run"):
        trained(aligned, "lora", 99)


@pytest.mark.parametrize("step", [None, 1])
def test_the_folder_hears_what_training_heard(
    aligned: TrainSettings, tmp_path: Path, step: int | None
) -> None:
    tensors = trained(aligned, "lora", step)
    folder = compose(aligned.encoder, aligned.llm, tensors, tmp_path / "model")
    model = load_model(folder, dtype="float32")
    clip = make_clip(1.3, rate=16_000)
    pair = model.prepare(clip, "Is it cold?", instruction="Write down what you hear.")
    n = len(pair.speech.content)
    frames = Hearing(aligned.encoder, aligned.llm, torch.float32).frames(clip.samples)
    assert n == positions(len(frames))
    # The training's own way to the same logits, in full precision and with the shipped weights.
    aligner = Aligner(aligned, "lora", training_set(aligned))
    with torch.no_grad():
        for name, p in aligner.parameters().items():
            if not name.startswith(HEADS):
                p.copy_(trained(aligned, "lora", step)[name])
    aligner.llm.float().eval()
    hearing = Hearing(aligned.encoder, aligned.llm, torch.float32)
    heard = features.Heard(pd.DataFrame({"frames": [len(frames)]}),
                           [(frames.numpy(), *hearing.read(frames))],
                           np.array([[0, 0, len(frames), 0, n]]))  # fmt: skip
    stacked, mask, words = collate(heard, np.array([0]), aligner.listener.table)
    with torch.no_grad():
        adapter = aligner.listener.adapter.eval()
        told = shared_tokens(aligned.encoder, aligned.llm)[1].long()
        made = adapter.in_words(
            adapter(stacked, mask, words), aligner.listener.table[told], NEAREST
        )
        prompt = aligner.prompts.around(made[0], transcribe=True)
        theirs = aligner.llm(inputs_embeds=prompt[None]).logits[0]
        ours = model.hf(**pair.speech.inputs).logits[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_a_training_becomes_the_family(aligned: TrainSettings, tmp_path: Path) -> None:
    out = package(aligned, tmp_path / "weights", {"lora": 1})
    listed = family.names(out)
    assert listed == ["demo", "demo:lora@1"]
    assert family.describe("demo", out)["step"] == 4
    assert family.describe("demo:lora@1", out)["step"] == 1
    final = read_compact(out / "lora.safetensors")
    wanted = trained(aligned, "lora")
    assert final.keys() == wanted.keys()
    for name, value in final.items():
        step = wanted[name].float().flatten(1).abs().amax(1) / 127 if value.ndim > 1 else 1e-3
        off = (value - wanted[name].float()).flatten(1 if value.ndim > 1 else 0).abs()
        assert bool((off.amax(-1) <= 0.51 * step + 1e-6).all())


def test_nothing_trained_is_told(micro: TrainSettings, tmp_path: Path) -> None:
    empty = dataclasses.replace(micro, work=tmp_path)
    with pytest.raises(SettingsError, match="modgap demo train"):
        package(empty, tmp_path / "weights", {})


def test_how_things_are_said() -> None:
    rng = np.random.default_rng(0)
    drawn = [Utterance.draw(rng, {"espeak": 0.5, "flite": 0.5, "piper": 0.0}) for _ in range(200)]
    assert {u.engine for u in drawn} == {"espeak", "flite"}
    assert all(0.5 < u.speed < 2 for u in drawn)
    assert all(80 <= u.rate <= 450 for u in drawn if u.engine == "espeak")

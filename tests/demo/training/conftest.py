"""A training on a micro configuration: tiny random encoder and LLM, a few spoken sentences."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from modgap.demo.training import shards
from modgap.demo.training.answers import answer_texts
from modgap.demo.training.features import Hearing, speak_texts
from modgap.demo.training.heldout import make_voices
from modgap.demo.training.settings import TrainSettings
from modgap.demo.training.speakers import Speakers
from modgap.demo.writer import Writer
from tests.families.makers import text_model, whisper_encoder

TEXTS = [
    "What is two plus three?", "The quick brown fox jumps.", "Is it cold?", "Name a river.",
    "I don't know.", "Where is the dog?", "She sat down by the fire.", "How old are you?",
    "Rain fell all night.", "Who said that?",
]  # fmt: skip


@pytest.fixture(scope="session")
def micro(tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """Settings with texts, speech, answers and held-out utterances made."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("training")
    llm = text_model(root / "llm", "Llama", head_dim=8)
    # Training reads the LLM in 16 bit; rounded beforehand it is the same model in 32.
    tensors = load_file(llm / "model.safetensors")
    rounded = {k: v.to(torch.bfloat16).float() for k, v in tensors.items()}
    save_file(rounded, llm / "model.safetensors", {"format": "pt"})
    s = TrainSettings(
        work=root / "work", encoder=whisper_encoder(root / "whisper", llm), llm=llm, width=16,
        layers=1, inner=16,
        listen_steps=6, listen_batch=3, answered=2, transcribed=2, typed=1, adapter_steps=4,
        lora_steps=4, rank=2, snapshots=2, measure_every=3, compiled=0,
    )  # fmt: skip
    s.save()
    table = pd.DataFrame({"text": TEXTS, "source": "turn"})
    hearing, speakers = Hearing(s.encoder, s.llm), Speakers(None, None)

    def heard(n: int) -> pd.DataFrame:
        frames = s.work / "features" / "turns.0" / f"{n:05d}.npy"
        return speak_texts(table[5 * n : 5 * n + 5], f"key{n}", speakers, hearing, frames)

    shards.fill(s.work / "features" / "turns.0", 2, heard)
    writer = Writer(s.llm)
    shards.fill(s.work / "answers" / "turns", 1, lambda n: answer_texts(writer, TEXTS))
    make_voices(s, ["Is it far?", "The sun is up."], speakers, hearing)
    return s

"""The path without padding computes what transformers computes on the padded window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import Qwen2AudioProcessor

from modgap.demo.closed_world.features import EXTRA, feature_extractor, log_mel
from modgap.demo.closed_world.model import (
    Shape,
    build_speech,
    encode,
    last_states,
    speech_positions,
    splice,
)
from modgap.demo.closed_world.tokens import CHAT_TEMPLATE, Prompts, build_tokenizer

MICRO = Shape(
    width=32,
    layers=2,
    heads=2,
    kv_heads=1,
    feed_forward=48,
    encoder_layers=2,
    encoder_feed_forward=48,
)


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return Prompts(build_tokenizer())


@pytest.fixture(scope="module")
def model(prompts):
    torch.manual_seed(0)
    model = build_speech(MICRO, prompts, 0).eval()
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim >= 2:
                p.normal_(0.0, 0.15)
    return model


def _waves() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    # Odd and even frame counts, and every rest modulo 4: pooling drops what does not fill a pair.
    lengths = (16000, 16161, 8321, 24480, 5000)
    return [rng.standard_normal(n).astype(np.float32) * 0.1 for n in lengths]


@torch.no_grad()
def test_whole_model_equals_transformers(model, prompts):
    processor = Qwen2AudioProcessor(
        feature_extractor=feature_extractor(),
        tokenizer=prompts.tokenizer,
        chat_template=CHAT_TEMPLATE,
    )
    waves = _waves()
    mels = log_mel(waves)
    frames = torch.tensor([m.shape[0] - EXTRA for m in mels])
    mel = torch.full((len(mels), int(frames.max()) + EXTRA, 80), -1.0)
    for b, m in enumerate(mels):
        mel[b, : m.shape[0]] = torch.from_numpy(m.astype(np.float32))
    states = encode(model.model.audio_tower, mel, frames)
    counts = speech_positions(frames)
    for b, wave in enumerate(waves):
        content = [{"type": "audio", "audio": wave}, {"type": "text", "text": "Odd or even?"}]
        message = [{"role": "user", "content": content}]
        text = processor.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        inputs = processor(text=text, audio=[wave], sampling_rate=16000, return_tensors="pt")
        # Stored features are half precision: give both paths the very same numbers.
        inputs["input_features"] = inputs["input_features"].half().float()
        theirs = model.model(**inputs).last_hidden_state[0]
        prompt = prompts.speech(int(counts[b]), "Odd or even?")
        assert prompt.ids == inputs["input_ids"][0].tolist()
        ids = torch.tensor([prompt.ids + [prompts.pad_id] * 3])
        features = model.model.multi_modal_projector(states[b : b + 1])
        x = model.get_input_embeddings()(ids)
        x = splice(x, ids == prompts.audio_id, features, counts[b : b + 1])
        ours = last_states(model.model.language_model, x)[0, : len(prompt.ids)]
        assert torch.allclose(ours, theirs, atol=1e-4), (ours - theirs).abs().max()


@pytest.mark.parametrize("instruction", ["", "Answer the question."])
def test_text_prompts_equal_tokenising_the_whole(prompts, instruction):
    said = "The capital of France is which city?"
    keep = prompts.text(said, instruction, "keep").ids
    assert keep == prompts.encode(
        f"<|im_start|>user\nAudio 1: <|audio_bos|>{said}<|audio_eos|>\n{instruction}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    message = [{"role": "user", "content": f"{said}\n{instruction}"}]
    drop = prompts.tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=True)
    assert prompts.text(said, instruction, "drop").ids == list(drop["input_ids"])

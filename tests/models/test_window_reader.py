"""Whisper's decoder on windows, against transformers' own on each window by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from modgap.core.errors import ModelError
from modgap.models.composite_net import CompositeConfig
from modgap.models.window_reader import QUIET, WindowReader

WINDOWS, PROMPT, STACK = ((0, 6), (3, 9)), (5, 7), 4


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=40, d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, num_mel_bins=8,
        max_source_positions=60, max_target_positions=20, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=5,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    folder = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(folder)
    return model, folder


def load(folder: Path) -> WindowReader:
    config = json.loads((folder / "config.json").read_text())
    return WindowReader.load(folder / "model.safetensors", config, WINDOWS, PROMPT, torch.float32)


@pytest.mark.parametrize("count", [1, 4, 11, 23])
def test_each_window_is_read_as_transformers_reads_it(whisper: Any, count: int) -> None:
    model, folder = whisper
    frames = torch.randn(1, count, 32, generator=torch.Generator().manual_seed(count))
    positions = -(-count // STACK)
    with torch.inference_mode():
        made = load(folder)(frames, positions, STACK)
        assert made.shape == (1, positions, 2 * 32)
        for p in range(positions):
            for n, (before, after) in enumerate(WINDOWS):
                seen = frames[:, max(0, STACK * p - before) : STACK * p + after]
                wanted = model.model.decoder(
                    input_ids=torch.tensor([PROMPT]), encoder_hidden_states=seen
                ).last_hidden_state[0, -1]
                wanted = QUIET * wanted
                torch.testing.assert_close(
                    made[0, p, 32 * n : 32 * (n + 1)], wanted, rtol=1e-4, atol=1e-4
                )


def test_an_encoder_alone_is_refused(whisper: Any, tmp_path: Path) -> None:
    _, folder = whisper
    weights = load_file(folder / "model.safetensors")
    alone = {k: v for k, v in weights.items() if ".decoder." not in k}
    save_file(alone, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(ModelError, match="take the whole checkpoint"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"windows": [[0]]}, "pairs of frames"),
        ({"windows": "all"}, "pairs of frames"),
        ({"windows": [[-1, 4]], "prompt": [1]}, "0 to 1,500 frames before"),
        ({"windows": [[0, 0]], "prompt": [1]}, "1 to 1,500 after"),
        ({"windows": [[0, 4]]}, "needs a prompt"),
    ],
)
def test_settings_of_windows_are_checked(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        CompositeConfig.read({"stack": 4, **values})
    kept = CompositeConfig.read({"stack": 4, "windows": [[0, 4]], "prompt": [1]})
    assert CompositeConfig.read(json.loads(kept.to_json())) == kept


def test_words_are_the_likeliest_of_whispers_own_head(whisper: Any) -> None:
    model, folder = whisper
    shared = torch.tensor([3, 8, 9, 20, 21, 39])
    config = json.loads((folder / "config.json").read_text())
    reader = WindowReader.load(
        folder / "model.safetensors", config, WINDOWS, PROMPT, torch.float32, shared
    )
    frames = torch.randn(1, 9, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        states = reader(frames, 3, STACK)
        numbers, shares = reader.words(states, 4)
        logits = model.proj_out(states.view(1, 3, 2, 32)[0] / QUIET)[..., shared]
    wanted, order = logits.topk(4, -1)
    assert torch.equal(numbers, order)
    torch.testing.assert_close(shares, wanted.softmax(-1), rtol=1e-4, atol=1e-5)


def test_words_need_windows() -> None:
    with pytest.raises(ModelError, match="of windows that there are"):
        CompositeConfig.read({"stack": 4, "words": 3})

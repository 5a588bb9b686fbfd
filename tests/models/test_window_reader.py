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

WINDOWS, PROMPT, STACK = ((0, 6, 1), (3, 9, 3)), (5, 7), 4
READS, SHARED = 4, torch.tensor([3, 8, 9, 20, 21, 39])


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
    return WindowReader.load(
        folder / "model.safetensors", config, WINDOWS, PROMPT, torch.float32, SHARED
    )


@pytest.mark.parametrize("count", [1, 4, 11, 23])
def test_each_window_is_read_as_transformers_reads_it(whisper: Any, count: int) -> None:
    """Token after token, each at the position as many later as tokens came before it."""
    model, folder = whisper
    frames = torch.randn(1, count, 32, generator=torch.Generator().manual_seed(count))
    positions = -(-count // STACK)
    with torch.inference_mode():
        made = load(folder)(frames, positions, STACK, 4)
        assert made.states.shape == (1, positions, READS * 32)
        states = made.states[0].view(positions, READS, 32)
        for p in range(positions):
            read = 0
            for before, after, tokens in WINDOWS:
                seen = frames[:, max(0, STACK * p - before) : STACK * p + after]
                said = list(PROMPT)
                for step in range(tokens):
                    wanted = model.model.decoder(
                        input_ids=torch.tensor([said]), encoder_hidden_states=seen
                    ).last_hidden_state[0, -1]
                    odds, order = model.proj_out(wanted)[SHARED].topk(4)
                    if p + step < positions:
                        at = (p + step, read)
                        torch.testing.assert_close(states[at], QUIET * wanted, rtol=1e-4, atol=1e-4)
                        assert torch.equal(made.numbers[at], order)
                        torch.testing.assert_close(
                            made.shares[at], odds.softmax(-1), rtol=1e-4, atol=1e-5
                        )
                    said.append(int(SHARED[order[0]]))
                    read += 1
        for by in range(min(positions, 3)):  # the later tokens of no window
            assert not states[:by, 1 + by].any()
            assert not made.shares[:by, 1 + by].any()


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
        ({"windows": [[0, 4]]}, "three numbers each"),
        ({"windows": "all"}, "three numbers each"),
        ({"windows": [[-1, 4, 1]], "prompt": [1]}, "0 to 1,500 frames before"),
        ({"windows": [[0, 0, 1]], "prompt": [1]}, "1 to 1,500 after"),
        ({"windows": [[0, 4, 0]], "prompt": [1]}, "1 to 8 tokens"),
        ({"windows": [[0, 4, 1]]}, "needs a prompt"),
        ({"windows": [[0, 4, 2]], "prompt": [1]}, "needs words"),
    ],
)
def test_settings_of_windows_are_checked(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        CompositeConfig.read({"stack": 4, **values})
    kept = CompositeConfig.read({"stack": 4, "windows": [[0, 4, 1]], "prompt": [1]})
    assert CompositeConfig.read(json.loads(kept.to_json())) == kept


def test_words_need_windows_and_nearest_needs_words() -> None:
    with pytest.raises(ModelError, match="of windows that there are"):
        CompositeConfig.read({"stack": 4, "words": 3})
    with pytest.raises(ModelError, match="of tokens that words are chosen among"):
        CompositeConfig.read({"stack": 4, "nearest": 3})

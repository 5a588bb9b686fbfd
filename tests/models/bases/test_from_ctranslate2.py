"""Whisper out of CTranslate2's format: what a writer of the format puts in comes out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import erf, softmax
from transformers import (
    AutoTokenizer,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)

from modgap.core.errors import ModelError
from modgap.models.bases import from_ctranslate2
from tests.models.bases.releases import write_ctranslate2
from tests.tiny_whisper import make_tiny_whisper


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, Path]:
    """A tiny random checkpoint, and the same in CTranslate2's format."""
    folder = make_tiny_whisper(tmp_path / "whisper", multilingual=False)
    return folder, write_ctranslate2(folder, tmp_path / "ct2")


def test_the_same_model_comes_out(source: tuple[Path, Path], tmp_path: Path) -> None:
    folder, other = source
    out = from_ctranslate2.convert(other, tmp_path / "out")
    ours, report = WhisperForConditionalGeneration.from_pretrained(out, output_loading_info=True)
    theirs = WhisperForConditionalGeneration.from_pretrained(folder)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    mel = torch.randn(1, 80, 2 * theirs.config.max_source_positions)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        a = ours.eval()(input_features=mel, decoder_input_ids=ids).logits
        b = theirs.eval()(input_features=mel, decoder_input_ids=ids).logits
    torch.testing.assert_close(a, b)
    assert ours.generation_config.alignment_heads == [[1, 0]]


def test_the_processor_is_whispers_own(source: tuple[Path, Path], tmp_path: Path) -> None:
    folder, other = source
    out = from_ctranslate2.convert(other, tmp_path / "out")
    ours, theirs = WhisperProcessor.from_pretrained(out), WhisperProcessor.from_pretrained(folder)
    text = " What is the capital, of France?"
    assert ours.tokenizer(text).input_ids[-1] == theirs.tokenizer.eos_token_id
    plain = {"add_special_tokens": False}
    assert ours.tokenizer(text, **plain).input_ids == theirs.tokenizer(text, **plain).input_ids
    tokenizer = AutoTokenizer.from_pretrained(out)
    ids = tokenizer.convert_tokens_to_ids(["<|startoftranscript|>", "<|notimestamps|>"])
    said = [*ids, *tokenizer(text, **plain).input_ids, tokenizer.eos_token_id]
    assert tokenizer.decode(said, skip_special_tokens=True) == text
    sound = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    asked = {"sampling_rate": 16000, "return_tensors": "np"}
    mel = ours.feature_extractor(sound, **asked).input_features
    np.testing.assert_array_equal(mel, WhisperFeatureExtractor()(sound, **asked).input_features)


def test_a_layer_of_the_encoder_by_hand(source: tuple[Path, Path], tmp_path: Path) -> None:
    """The arrays of the file, in numpy, by the formulas of the paper that Whisper follows."""
    arrays = from_ctranslate2.read(source[1] / "model.bin").arrays
    out = from_ctranslate2.convert(source[1], tmp_path / "out")
    layer = WhisperForConditionalGeneration.from_pretrained(out).model.encoder.layers[1].eval()
    x = np.random.default_rng(0).normal(size=(9, 32))

    def of(name: str) -> np.ndarray:
        return arrays[f"encoder/layer_1/{name}"].astype(np.float64)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return scaled * of(f"{name}/gamma") + of(f"{name}/beta")

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ of(f"{name}/weight").T + of(f"{name}/bias")

    q, k, v = np.split(
        linear(norm(x, "self_attention/layer_norm"), "self_attention/linear_0"), 3, 1
    )
    heads = [
        softmax(q[:, h] @ k[:, h].T / 4, axis=-1) @ v[:, h] for h in (slice(0, 16), slice(16, 32))
    ]
    y = x + linear(np.concatenate(heads, 1), "self_attention/linear_1")
    inner = linear(norm(y, "ffn/layer_norm"), "ffn/linear_0")
    expected = y + linear(inner * (1 + erf(inner / np.sqrt(2))) / 2, "ffn/linear_1")
    with torch.no_grad():
        told = layer(torch.tensor(x, dtype=torch.float32)[None], attention_mask=None)
    found = (told[0] if isinstance(told, tuple) else told).reshape(9, 32).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("keep", [0, 3, 40, 4000])
def test_a_torn_file_is_told(source: tuple[Path, Path], tmp_path: Path, keep: int) -> None:
    file = source[1] / "model.bin"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"cannot be read|version"):
        from_ctranslate2.convert(source[1], tmp_path / "out")


def test_another_model_is_told(source: tuple[Path, Path], tmp_path: Path) -> None:
    file = source[1] / "model.bin"
    file.write_bytes(file.read_bytes().replace(b"WhisperSpec", b"WhimperSpec", 1))
    with pytest.raises(ModelError, match="Whisper is needed"):
        from_ctranslate2.convert(source[1], tmp_path / "out")
    (source[1] / "tokenizer.json").unlink()
    file.write_bytes(file.read_bytes().replace(b"WhimperSpec", b"WhisperSpec", 1))
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        from_ctranslate2.convert(source[1], tmp_path / "out")
    (source[1] / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json"):
        from_ctranslate2.convert(source[1], tmp_path / "out")

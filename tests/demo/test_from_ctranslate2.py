"""Whisper out of CTranslate2's format: what a writer of the format puts in comes out again."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from modgap.core.errors import ModelError
from modgap.demo import from_ctranslate2
from tests.tiny_whisper import make_tiny_whisper

_PARTS = {
    "encoder.conv1": "encoder/conv1",
    "encoder.conv2": "encoder/conv2",
    "encoder.embed_positions": "encoder/position_encodings",
    "encoder.layer_norm": "encoder/layer_norm",
    "decoder.embed_tokens": "decoder/embeddings",
    "decoder.embed_positions": "decoder/position_encodings",
    "decoder.layer_norm": "decoder/layer_norm",
}


def _packed(name: str) -> bytes:
    data = name.encode() + b"\0"
    return struct.pack("<H", len(data)) + data


def _write(path: Path, arrays: dict[str, np.ndarray], aliases: dict[str, str]) -> None:
    """As `ctranslate2.specs.ModelSpec` writes a file of version 6."""
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    out = struct.pack("<I", 6) + _packed("WhisperSpec") + struct.pack("<II", 3, len(arrays))
    for name, array in arrays.items():
        out += _packed(name) + struct.pack("<B", array.ndim)
        out += b"".join(struct.pack("<I", size) for size in array.shape)
        out += struct.pack("<BI", kinds[array.dtype.name], array.nbytes) + array.tobytes()
    out += struct.pack("<I", len(aliases))
    for alias, name in aliases.items():
        out += _packed(alias) + _packed(name)
    path.write_bytes(out)


def _arrays(model: WhisperForConditionalGeneration) -> dict[str, np.ndarray]:
    """The weights under CTranslate2's names, taken module by module."""
    w = {k.removeprefix("model."): v.numpy() for k, v in model.state_dict().items()}
    out: dict[str, np.ndarray] = {}

    def linear(to: str, *names: str) -> None:
        width = w[f"{names[0]}.weight"].shape[0]
        out[f"{to}/weight"] = np.concatenate([w[f"{n}.weight"] for n in names])
        zeros = np.zeros(width, np.float32)
        out[f"{to}/bias"] = np.concatenate([w.get(f"{n}.bias", zeros) for n in names])

    def norm(to: str, name: str) -> None:
        out[f"{to}/gamma"], out[f"{to}/beta"] = w[f"{name}.weight"], w[f"{name}.bias"]

    for part in ("encoder", "decoder"):
        for i in range(2):
            to, name = f"{part}/layer_{i}", f"{part}.layers.{i}"
            own = f"{name}.self_attn"
            norm(f"{to}/self_attention/layer_norm", f"{own}_layer_norm")
            linear(f"{to}/self_attention/linear_0", *(f"{own}.{x}_proj" for x in "qkv"))
            linear(f"{to}/self_attention/linear_1", f"{own}.out_proj")
            norm(f"{to}/ffn/layer_norm", f"{name}.final_layer_norm")
            linear(f"{to}/ffn/linear_0", f"{name}.fc1")
            linear(f"{to}/ffn/linear_1", f"{name}.fc2")
            if part == "decoder":
                other = f"{name}.encoder_attn"
                norm(f"{to}/attention/layer_norm", f"{other}_layer_norm")
                linear(f"{to}/attention/linear_0", f"{other}.q_proj")
                linear(f"{to}/attention/linear_1", f"{other}.k_proj", f"{other}.v_proj")
                linear(f"{to}/attention/linear_2", f"{other}.out_proj")
        out[f"{part}/num_heads"] = np.array(2, np.int16)
    for name, to in _PARTS.items():
        if name.endswith("layer_norm"):
            norm(to, name)
        elif "conv" in name:
            linear(to, name)
        else:
            last = "encodings" if "positions" in name else "weight"
            out[f"{to}/{last}"] = w[f"{name}.weight"]
    return out


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, Path]:
    """A tiny random checkpoint, and the same in CTranslate2's format."""
    folder = make_tiny_whisper(tmp_path / "whisper", multilingual=False)
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    other = tmp_path / "ct2"
    other.mkdir()
    _write(other / "model.bin", _arrays(model), {"decoder/projection/weight":
                                                 "decoder/embeddings/weight"})  # fmt: skip
    (other / "config.json").write_text(json.dumps({"alignment_heads": [[1, 0]]}))
    shutil.copy(folder / "tokenizer.json", other)
    return folder, other


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
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert ours.config.decoder_start_token_id == tokenizer.convert_tokens_to_ids(
        "<|startoftranscript|>"
    )
    assert WhisperFeatureExtractor.from_pretrained(out).feature_size == 80


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

"""A Whisper in CTranslate2's format as an ordinary checkpoint folder.

The format is plain: a header, then every array with its name, shape, type and bytes, then names
that stand for others. Layers count the same way as in transformers; query, key and value (in the
cross-attention, key and value) lie in one array, one below the other.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.core.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import WhisperTokenizer

__all__ = ["Model", "convert", "read"]

_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
#: Vocabularies of this size are of the English models, which have no mark for the language.
_ENGLISH = 51_864


@dataclass(frozen=True)
class Model:
    """What a CTranslate2 file holds.

    Attributes
    ----------
    kind : str
        The specification's name, ``WhisperSpec`` for instance.
    arrays : dict of str to ndarray
        Read only, on the file's own bytes; names that stand for another array included.
    """

    kind: str
    arrays: dict[str, np.ndarray]


class _Reader:
    """Walks through the bytes of a file."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return int(value)

    def name(self) -> str:
        size = self.number("H")  # counts the zero byte at the end
        text = self.data[self.at : self.at + size - 1].decode()
        self.at += size
        return text

    def array(self) -> np.ndarray:
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind = np.dtype(_TYPES[self.number("B")])
        size = self.number("I")
        out = np.frombuffer(self.data, kind, size // kind.itemsize, self.at).reshape(shape)
        self.at += size
        return out


def read(file: Path) -> Model:
    """The arrays of a CTranslate2 model file.

    Raises
    ------
    ModelError
        The file cannot be read, or is none.
    """
    try:
        reader = _Reader(file.read_bytes())
        version = reader.number("I")
        if not 1 <= version <= 6:
            raise ModelError(
                f"{file} is of version {version}: no model of CTranslate2 that is known."
            )
        kind = reader.name()
        reader.number("I")  # the specification's revision
        arrays = {}
        for _ in range(reader.number("I")):
            name = reader.name()
            arrays[name] = reader.array()
        for _ in range(reader.number("I")):
            name = reader.name()
            arrays[name] = arrays[reader.name()]
    except (OSError, struct.error, ValueError, IndexError, KeyError) as problem:
        if isinstance(problem, ModelError):  # a ValueError, too
            raise
        raise ModelError(
            f"{file} cannot be read as a model of CTranslate2: get it again."
        ) from problem
    return Model(kind, arrays)


def convert(folder: Path, out: Path) -> Path:
    """Write the checkpoint folder of a Whisper model.

    Parameters
    ----------
    folder : Path
        ``model.bin``, ``config.json`` (for the heads that follow the words) and ``tokenizer.json``.
    out : Path
        Folder to make: config.json, generation_config.json, model.safetensors in the type of
        the source, preprocessor_config.json and the tokenizer.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    ModelError
        A file cannot be read, or holds another kind of model.
    """
    from safetensors.torch import save_file

    model = read(folder / "model.bin")
    if model.kind != "WhisperSpec":
        raise ModelError(f"{folder / 'model.bin'} holds a {model.kind}: Whisper is needed.")
    try:
        settings = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise ModelError(f"{folder} has no readable config.json: get it again.") from problem
    weights = _Weights(model.arrays)
    try:
        weights.encoder()
        weights.decoder()
    except KeyError as problem:
        raise ModelError(f"{folder / 'model.bin'} lacks {problem}: get it again.") from problem
    out.mkdir(parents=True, exist_ok=True)
    mels = weights.made["model.encoder.conv1.weight"].shape[1]
    tokenizer = save_processor(folder / "tokenizer.json", mels, out)
    config = _config(weights, tokenizer)
    config.save_pretrained(out)
    _generation(config, settings, tokenizer).save_pretrained(out)
    save_file(weights.made, out / "model.safetensors", metadata={"format": "pt"})
    return out


def save_processor(file: Path, mels: int, out: Path) -> WhisperTokenizer:
    """Write Whisper's tokenizer, of a ``tokenizer.json``, and its feature extractor.

    Raises
    ------
    ModelError
        The file cannot be read.
    """
    from tokenizers import Tokenizer
    from transformers import WhisperFeatureExtractor, WhisperTokenizer

    try:
        core = Tokenizer.from_file(str(file))
    except Exception as problem:  # tokenizers raises a bare one
        raise ModelError(f"{file} is no readable tokenizer.json: get it again.") from problem
    end = "<|endoftext|>"
    tokenizer = WhisperTokenizer(
        tokenizer_object=core, unk_token=end, bos_token=end, eos_token=end, pad_token=end
    )
    tokenizer.save_pretrained(out)
    WhisperFeatureExtractor(feature_size=mels).save_pretrained(out)
    return tokenizer


class _Weights:
    """Gives CTranslate2's arrays the names of transformers' Whisper."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.made: dict[str, Tensor] = {}
        self.vocabulary, self.width = arrays["decoder/embeddings/weight"].shape
        self.layers = {part: self._layers(part) for part in ("encoder", "decoder")}

    def _layers(self, part: str) -> int:
        names = {n.split("/")[1] for n in self.arrays if n.startswith(f"{part}/layer_")}
        return len(names - {"layer_norm"})

    def heads(self, part: str) -> int:
        """Attention heads; older files leave to the reader that Whisper's are 64 wide."""
        noted = self.arrays.get(f"{part}/num_heads")
        return self.width // 64 if noted is None else int(noted)

    def _put(self, name: str, array: np.ndarray) -> None:
        import torch

        self.made[f"model.{name}"] = torch.from_numpy(np.array(array))

    def _linear(self, name: str, source: str) -> None:
        self._put(f"{name}.weight", self.arrays[f"{source}/weight"])
        self._put(f"{name}.bias", self.arrays[f"{source}/bias"])

    def _norm(self, name: str, source: str) -> None:
        self._put(f"{name}.weight", self.arrays[f"{source}/gamma"])
        self._put(f"{name}.bias", self.arrays[f"{source}/beta"])

    def _split(self, name: str, source: str, parts: str) -> None:
        """Projections that lie in one array; that of the keys has no bias."""
        weight, bias = self.arrays[f"{source}/weight"], self.arrays[f"{source}/bias"]
        for i, part in enumerate(parts):
            rows = slice(i * self.width, (i + 1) * self.width)
            self._put(f"{name}.{part}_proj.weight", weight[rows])
            if part != "k":
                self._put(f"{name}.{part}_proj.bias", bias[rows])

    def _layer(self, name: str, source: str) -> None:
        self._norm(f"{name}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
        self._split(f"{name}.self_attn", f"{source}/self_attention/linear_0", "qkv")
        self._linear(f"{name}.self_attn.out_proj", f"{source}/self_attention/linear_1")
        self._norm(f"{name}.final_layer_norm", f"{source}/ffn/layer_norm")
        self._linear(f"{name}.fc1", f"{source}/ffn/linear_0")
        self._linear(f"{name}.fc2", f"{source}/ffn/linear_1")

    def _ends(self, part: str) -> None:
        self._put(
            f"{part}.embed_positions.weight", self.arrays[f"{part}/position_encodings/encodings"]
        )
        self._norm(f"{part}.layer_norm", f"{part}/layer_norm")

    def encoder(self) -> None:
        """Convolutions and layers of the encoder."""
        for n in (1, 2):
            self._linear(f"encoder.conv{n}", f"encoder/conv{n}")
        for i in range(self.layers["encoder"]):
            self._layer(f"encoder.layers.{i}", f"encoder/layer_{i}")
        self._ends("encoder")

    def decoder(self) -> None:
        """Embeddings and layers of the decoder; its output layer is its embeddings."""
        self._put("decoder.embed_tokens.weight", self.arrays["decoder/embeddings/weight"])
        for i in range(self.layers["decoder"]):
            name, source = f"decoder.layers.{i}", f"decoder/layer_{i}"
            self._layer(name, source)
            self._norm(f"{name}.encoder_attn_layer_norm", f"{source}/attention/layer_norm")
            self._linear(f"{name}.encoder_attn.q_proj", f"{source}/attention/linear_0")
            self._split(f"{name}.encoder_attn", f"{source}/attention/linear_1", "kv")
            self._linear(f"{name}.encoder_attn.out_proj", f"{source}/attention/linear_2")
        self._ends("decoder")


def _config(weights: _Weights, tokenizer: Any) -> Any:
    from transformers import WhisperConfig

    width, made = weights.width, weights.made
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=weights.vocabulary,
        d_model=width,
        num_mel_bins=made["model.encoder.conv1.weight"].shape[1],
        max_source_positions=made["model.encoder.embed_positions.weight"].shape[0],
        max_target_positions=made["model.decoder.embed_positions.weight"].shape[0],
        encoder_layers=weights.layers["encoder"],
        decoder_layers=weights.layers["decoder"],
        encoder_attention_heads=weights.heads("encoder"),
        decoder_attention_heads=weights.heads("decoder"),
        encoder_ffn_dim=made["model.encoder.layers.0.fc1.weight"].shape[0],
        decoder_ffn_dim=made["model.decoder.layers.0.fc1.weight"].shape[0],
        bos_token_id=end, eos_token_id=end, pad_token_id=end,
        decoder_start_token_id=tokenizer.convert_tokens_to_ids("<|startoftranscript|>"),
        architectures=["WhisperForConditionalGeneration"],
    )  # fmt: skip
    config.dtype = made["model.decoder.embed_tokens.weight"].dtype
    return config


def _generation(config: Any, settings: dict[str, Any], tokenizer: Any) -> Any:
    from transformers import GenerationConfig

    def ids(*tokens: str) -> list[int]:
        return [int(tokenizer.convert_tokens_to_ids(token)) for token in tokens]

    named = tokenizer.convert_tokens_to_ids("<|en|>") is not None
    english = config.vocab_size == _ENGLISH or not named
    before = ids(*(() if english else ("<|en|>", "<|transcribe|>")), "<|notimestamps|>")
    return GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id,
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id, max_length=config.max_target_positions,
        is_multilingual=not english, no_timestamps_token_id=before[-1],
        prev_sot_token_id=ids("<|startofprev|>")[0],
        forced_decoder_ids=[[n + 1, token] for n, token in enumerate(before)],
        suppress_tokens=settings.get("suppress_ids"),
        begin_suppress_tokens=settings.get("suppress_ids_begin"),
        alignment_heads=settings.get("alignment_heads"),
    )  # fmt: skip

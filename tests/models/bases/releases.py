"""Tiny random releases in the formats of the real ones: wheels, and repositories of a hub."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel
from transformers import WhisperForConditionalGeneration

from modgap.models.bases.sources import SMOLLM2, VOICE, WHISPER, Held, Hub, Source, Wheel
from tests.tiny_whisper import make_tiny_whisper

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"
WIDTH, LAYERS, HEADS, KV, INNER = 64, 2, 4, 2, 96
REVISION = "c0ffee" + 34 * "0"
#: In every wheel: importing it, or running it, would be seen.
TRAP = "raise SystemExit('code of a wheel was run')\n"
_PARTS = {
    "encoder.conv1": "encoder/conv1",
    "encoder.conv2": "encoder/conv2",
    "encoder.embed_positions": "encoder/position_encodings",
    "encoder.layer_norm": "encoder/layer_norm",
    "decoder.embed_tokens": "decoder/embeddings",
    "decoder.embed_positions": "decoder/position_encodings",
    "decoder.layer_norm": "decoder/layer_norm",
}


@dataclass(frozen=True)
class Releases:
    """What a publisher has, in a folder: ``files/*.whl``, and ``REPO/FILE`` for the hub.

    Attributes
    ----------
    folder : Path
    sources : dict of str to Source
        Under the names of the real ones.
    """

    folder: Path
    sources: dict[str, Source]

    def wheel(self, name: str) -> Path:
        """A source's wheel."""
        return self.folder / "files" / self.sources[name].wheel.filename


def held(file: Path, path: str) -> Held:
    """What a release says of a file."""
    data = file.read_bytes()
    return Held(path, len(data), hashlib.sha256(data).hexdigest())


def make_releases(folder: Path) -> Releases:
    """Write all of them."""
    whisper = make_tiny_whisper(folder / WHISPER.name, multilingual=False)
    ctranslate2 = write_ctranslate2(whisper, folder / "ctranslate2")
    gguf = write_gguf(folder / SMOLLM2.wheel.files[0].name)
    voice = folder / "voice"
    voice.mkdir()
    for file in VOICE.wheel.files:
        (voice / file.name).write_bytes(file.name.encode() * 9)
    wheels = {
        WHISPER: _wheel(folder, WHISPER.wheel, ctranslate2),
        SMOLLM2: _wheel(folder, SMOLLM2.wheel, gguf.parent),
        VOICE: _wheel(folder, VOICE.wheel, voice),
    }
    hubs = {
        WHISPER: _hub(WHISPER, whisper),
        SMOLLM2: _hub(SMOLLM2, _llama(gguf, folder / SMOLLM2.name)),
        VOICE: None,
    }
    return Releases(
        folder,
        {
            s.name: Source(s.name, s.title, s.publisher, s.licence, wheels[s], hubs[s])
            for s in wheels
        },
    )


def _wheel(folder: Path, like: Wheel, files: Path) -> Wheel:
    target = folder / "files" / like.filename
    target.parent.mkdir(exist_ok=True)
    inside = tuple(held(files / f.name, f.path) for f in like.files)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{like.project.replace('-', '_')}/__init__.py", TRAP)
        for one in inside:
            archive.write(files / one.name, one.path)
    about = held(target, target.name)
    return Wheel(
        like.project, like.version, about.size, about.sha256, inside, like.form,
        sum(f.size for f in inside) + 200_000,
    )  # fmt: skip


def _hub(source: Source, folder: Path) -> Hub:
    assert source.hub is not None
    names = [f.path for f in source.hub.files if (folder / f.path).is_file()]
    files = tuple(held(folder / name, name) for name in names)
    made = sum(f.size for f in files)
    return Hub(source.hub.repo, REVISION, files, source.hub.form, made)


def _llama(gguf: Path, folder: Path) -> Path:
    """Other weights than those of the file, as the real repository has."""
    import torch
    from safetensors.torch import load_file, save_file

    from modgap.models.bases import from_gguf

    from_gguf.convert(gguf, folder)
    weights = load_file(folder / "model.safetensors")
    norm = "model.norm.weight"
    weights[norm] = weights[norm] + torch.ones_like(weights[norm])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


# ---- CTranslate2 ---------------------------------------------------------------------------------


def write_ctranslate2(checkpoint: Path, folder: Path) -> Path:
    """A Whisper checkpoint in CTranslate2's format."""
    folder.mkdir()
    model = WhisperForConditionalGeneration.from_pretrained(checkpoint)
    aliases = {"decoder/projection/weight": "decoder/embeddings/weight"}
    _write(folder / "model.bin", _arrays(model), aliases)
    (folder / "config.json").write_text(json.dumps({"alignment_heads": [[1, 0]]}))
    shutil.copy(checkpoint / "tokenizer.json", folder)
    return folder


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


# ---- GGUF ----------------------------------------------------------------------------------------


def write_gguf(path: Path) -> Path:
    """A tiny random Llama, quantized as SmolLM2's file is."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = [*special, *sorted(ByteLevel.alphabet()), "th", "the", "12"]
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    writer.add_rope_freq_base(100_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(special) + [1] * (len(tokens) - len(special)))
    writer.add_token_merges(["t h", "th e", "1 2"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd": (len(tokens), WIDTH),
        "output_norm": (WIDTH,),
    }
    for i in range(LAYERS):
        key = WIDTH * KV // HEADS
        shapes |= {
            f"blk.{i}.attn_norm": (WIDTH,), f"blk.{i}.ffn_norm": (WIDTH,),
            f"blk.{i}.attn_q": (WIDTH, WIDTH), f"blk.{i}.attn_k": (key, WIDTH),
            f"blk.{i}.attn_v": (key, WIDTH), f"blk.{i}.attn_output": (WIDTH, WIDTH),
            f"blk.{i}.ffn_gate": (INNER, WIDTH), f"blk.{i}.ffn_up": (INNER, WIDTH),
            f"blk.{i}.ffn_down": (WIDTH, INNER),
        }  # fmt: skip
    kinds = gguf.GGMLQuantizationType
    for name, shape in shapes.items():
        values = rng.normal(0.0, 0.3, shape).astype(np.float32)
        kind = kinds.F32 if len(shape) == 1 else kinds.Q4_1
        kind = kinds.Q8_0 if name == "token_embd" else kind
        data = values if kind == kinds.F32 else gguf.quants.quantize(values, kind)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

"""A Llama in a GGUF file as an ordinary checkpoint folder.

transformers reads such files, too, but converts them anew at every load (half a minute here) and
rebuilds the tokenizer without the step that takes digits one by one. Here it is done once. The file
format is `gguf`'s own; what is Llama's is which tensor is which weight, and the order of the rows
of the query and key projections: GGUF keeps the two values that a rotation turns side by side,
transformers half a head apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modgap.core.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

__all__ = ["convert"]

_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
#: Token types of GGUF that are never cut into pieces.
_CONTROL, _USER_DEFINED = 3, 4


def convert(file: Path, out: Path) -> Path:
    """Write the checkpoint folder of a GGUF file.

    Parameters
    ----------
    file : Path
        A model of architecture ``llama`` with a byte-level BPE tokenizer of the kind ``smollm``.
    out : Path
        Folder to make: config.json, generation_config.json, model.safetensors in bfloat16, and
        the tokenizer with its chat template. bfloat16 is the type of the publisher's own release
        and of the norms in the file; what it rounds is a small part of what the quantization did.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    ModelError
        The file cannot be read, or holds another kind of model.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import GenerationConfig

    fields, tensors = _read(file)
    if fields.get("general.architecture") != "llama":
        raise ModelError(f"{file} holds no Llama: only that kind of model is converted.")
    config = _config(fields)
    weights: dict[str, Tensor] = {}
    for name, values in tensors:
        weight = torch.tensor(_weight(name, values, config))
        weights[_renamed(name, file)] = weight.to(torch.bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    config.tie_word_embeddings = "lm_head.weight" not in weights
    config.save_pretrained(out)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(fields, file).save_pretrained(out)
    GenerationConfig(
        do_sample=False, bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    ).save_pretrained(out)  # fmt: skip
    return out


def _read(file: Path) -> tuple[dict[str, Any], Iterator[tuple[str, np.ndarray]]]:
    """Fields by name, and tensors with their names as float32, one after the other."""
    from gguf import GGUFReader
    from gguf.quants import dequantize

    def tensors() -> Iterator[tuple[str, np.ndarray]]:
        for tensor in reader.tensors:
            yield tensor.name, dequantize(tensor.data, tensor.tensor_type)

    try:
        reader = GGUFReader(file)
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except (OSError, ValueError, IndexError, KeyError) as problem:
        raise ModelError(f"{file} cannot be read as GGUF: get it again.") from problem
    return fields, tensors()


def _config(fields: dict[str, Any]) -> Any:
    from transformers import LlamaConfig

    def of(name: str) -> Any:
        return fields[f"llama.{name}"]

    config = LlamaConfig(
        vocab_size=len(fields["tokenizer.ggml.tokens"]),
        hidden_size=of("embedding_length"),
        intermediate_size=of("feed_forward_length"),
        num_hidden_layers=of("block_count"),
        num_attention_heads=of("attention.head_count"),
        num_key_value_heads=of("attention.head_count_kv"),
        max_position_embeddings=of("context_length"),
        # A 32-bit number in the file: 9.999999747378752e-06 was written as 1e-05.
        rms_norm_eps=float(f"{of('attention.layer_norm_rms_epsilon'):.6g}"),
        rope_parameters={"rope_type": "default", "rope_theta": float(of("rope.freq_base"))},
        bos_token_id=fields["tokenizer.ggml.bos_token_id"],
        eos_token_id=fields["tokenizer.ggml.eos_token_id"],
        pad_token_id=fields["tokenizer.ggml.padding_token_id"],
        architectures=["LlamaForCausalLM"],
    )
    config.dtype = "bfloat16"
    return config


def _renamed(name: str, file: Path) -> str:
    if name in _TOP:
        return _TOP[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _LAYER and parts[3] == "weight":
        return f"model.layers.{parts[1]}.{_LAYER[parts[2]]}.weight"
    raise ModelError(f"{file} holds {name}, which no part of a Llama is.")


def _weight(name: str, values: np.ndarray, config: Any) -> np.ndarray:
    """The tensor with its rows in transformers' order."""
    heads = {
        "attn_q": config.num_attention_heads,
        "attn_k": config.num_key_value_heads,
    }.get(name.split(".")[2] if name.count(".") == 3 else "")
    if heads is None:
        return values
    rows, columns = values.shape
    pairs = values.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _tokenizer(fields: dict[str, Any], file: Path) -> PreTrainedTokenizerFast:
    """GPT-2's byte-level BPE that takes digits one by one, as SmolLM's own tokenizer.json says."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    kind = (fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre"))
    if kind != ("gpt2", "smollm"):
        raise ModelError(f"{file} has a tokenizer of the kind {kind}: only SmolLM's is converted.")
    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"]]
    core = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    types = fields["tokenizer.ggml.token_type"]
    special = [t for t, k in zip(tokens, types, strict=True) if k in (_CONTROL, _USER_DEFINED)]
    core.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])

    def token(role: str) -> str:
        return str(tokens[fields[f"tokenizer.ggml.{role}_token_id"]])

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=token("bos"), eos_token=token("eos"),
        unk_token=token("unknown"), pad_token=token("padding"),
        model_max_length=fields["llama.context_length"], clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.chat_template = fields["tokenizer.chat_template"]
    return tokenizer

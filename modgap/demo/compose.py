"""A `modgap_composite` folder of released base models and of what was trained between them.

The base models' files are linked where the file system can link: a member of the family costs no
second copy of them.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from modgap.core.files import write_atomic
from modgap.demo.checkpoints import write_tensors
from modgap.models.composite_net import CompositeConfig

__all__ = ["ADAPTER", "ATTENTION_HEADS", "LLM", "NEAREST", "SCALE", "SPACE", "STACK", "TARGETS",
           "WINDOWS", "WORDS", "compose", "composite", "shared_tokens"]  # fmt: skip

#: Four frames of 20 ms a position: 12.5 positions a second, about three to a token.
STACK = 4
#: Whisper's decoder reads a token in the next 0.2 s and 0.32 s from each position's beginning, and
#: three in the next 0.6 s.
WINDOWS = ((0, 10, 1), (0, 16, 1), (0, 30, 3))
#: The likeliest tokens of a read that go into its embedding.
WORDS = 12
#: The nearest embeddings that a position is put together of.
NEAREST = 16
#: Of the adapter.
ATTENTION_HEADS = 8
#: How byte-level vocabularies write a space.
SPACE = "\u0120"
#: What names of trained weights begin with.
ADAPTER, LLM = "adapter.", "llm."
#: The linear layers of a Llama that have low-rank additions.
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
#: The additions count so many times.
SCALE = 2.0


def composite(encoder: Path) -> CompositeConfig:
    """The settings of a member, with the token that this Whisper's decoder begins with.

    Without the one that says "no timestamps" it reads people's words in a window somewhat better.
    The LoRA is added to the weights when they are loaded: a layer that adds it each time takes
    twice as long.
    """
    config = json.loads((encoder / "config.json").read_text())
    return CompositeConfig(
        stack=STACK, adapter="conv_transformer", heads=ATTENTION_HEADS, last="pad", hears="clip",
        lora="merged", windows=WINDOWS, words=WORDS, nearest=NEAREST,
        prompt=(config["decoder_start_token_id"],),
    )  # fmt: skip


def shared_tokens(whisper: Path, llm: Path) -> tuple[Tensor, Tensor]:
    """The tokens of byte-level BPE that two checkpoints share, by their ids in each.

    A lone space is left out: it stands for "nothing new".

    Returns
    -------
    whisper, llm : Tensor of int32, shape (n,)
    """
    from transformers import AutoTokenizer

    ours, theirs = (
        AutoTokenizer.from_pretrained(f).backend_tokenizer.get_vocab(with_added_tokens=False)
        for f in (whisper, llm)
    )
    both = (ours.keys() & theirs.keys()) - {SPACE}
    found = sorted((ours[name], theirs[name]) for name in both)
    pairs = torch.tensor(found, dtype=torch.int32).reshape(-1, 2)
    return pairs[:, 0].contiguous(), pairs[:, 1].contiguous()


def compose(encoder: Path, llm: Path, tensors: Mapping[str, Tensor], out: Path) -> Path:
    """Make the composite folder of trained weights; safe when two do it at the same time.

    Parameters
    ----------
    encoder, llm : Path
        Checkpoint folders of Whisper and of the text model.
    tensors : mapping of str to Tensor
        Names begin with ``adapter.``, and where there is a LoRA (``X.lora_A`` (r, in) and
        ``X.lora_B`` (out, r)) with ``llm.``.
    out : Path
        The folder; left as it is when it exists.

    Returns
    -------
    Path
        `out`.
    """
    if (out / "config.json").is_file():
        return out
    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        _linked(encoder, partial / "encoder")
        _linked(llm, partial / "llm")
        adapter = {k.removeprefix(ADAPTER): v for k, v in tensors.items() if k.startswith(ADAPTER)}
        write_tensors(partial / "adapter.safetensors", adapter, {"format": "pt"})
        whisper, text = shared_tokens(encoder, llm)
        write_tensors(partial / "words.safetensors", {"whisper": whisper, "llm": text},
                      {"format": "pt"})  # fmt: skip
        lora = {k.removeprefix(LLM): v for k, v in tensors.items() if k.startswith(LLM)}
        if lora:
            _write_lora(lora, partial / "lora")
        write_atomic(partial / "config.json", composite(encoder).to_json().encode())
        try:
            partial.rename(out)
        except OSError:
            # Another process was faster; its folder is the same.
            if not (out / "config.json").is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def _write_lora(lora: Mapping[str, Tensor], folder: Path) -> None:
    """Low-rank matrices as a PEFT adapter."""
    from peft import LoraConfig

    rank = next(v.shape[0] for k, v in lora.items() if k.endswith("lora_A"))
    named = {f"base_model.model.{name}.weight": value for name, value in lora.items()}
    write_tensors(folder / "adapter_model.safetensors", named, {"format": "pt"})
    LoraConfig(
        r=rank, lora_alpha=round(SCALE * rank), target_modules=list(TARGETS), bias="none",
        task_type="CAUSAL_LM",
    ).save_pretrained(str(folder))  # fmt: skip


def _linked(source: Path, to: Path) -> None:
    to.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if not file.is_file():
            continue
        try:
            os.link(file, to / file.name)
        except OSError:
            shutil.copyfile(file, to / file.name)

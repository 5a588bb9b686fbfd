"""A stand-in for the embedded family: the same files in the same forms, tiny and random.

What tests need of the embedded models is that they load, differ and are fast; what they say is
tested where the trained ones are at hand (`tests/demo/test_embedded.py`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from modgap.demo.compact import read_compact, write_compact
from modgap.demo.compose import ADAPTER, LLM, STACK, TARGETS, composite
from modgap.demo.family import FORMAT
from modgap.models.conv_adapter import ConvTransformerAdapter
from tests.families.makers import ENCODER, text_model, whisper_encoder

LAYERS, WIDTH, RANK = 8, 16, 2
#: Snapshots of each strategy.
SHOTS = {"adapter": 1, "lora": 4}


def make_tiny_family(root: Path) -> Path:
    """A weights folder with its base models inside of it, for ``MODGAP_DEMO_WEIGHTS``."""
    llm = text_model(root / "llm", "Llama", num_hidden_layers=LAYERS, head_dim=8)
    whisper_encoder(root / "encoder", llm)
    members: dict[str, dict[str, Any]] = {}
    for strategy, shots in SHOTS.items():
        file = root / f"{strategy}.safetensors"
        write_compact(file, _trained(llm, strategy, 0), 8)
        final = read_compact(file)
        members[f"demo:{strategy}"] = _entry(file, strategy, 100)
        for n in range(1, shots + 1):
            file = root / f"{strategy}-{n}.safetensors"
            write_compact(file, _trained(llm, strategy, n), 4, final)
            members[f"demo:{strategy}@{n}"] = _entry(file, strategy, 20 * n)
    family = {"format": FORMAT, "default": "demo:lora", "encoder": "encoder", "llm": "llm",
              "members": members}  # fmt: skip
    (root / "family.json").write_text(json.dumps(family))
    return root


def _trained(llm: Path, strategy: str, number: int) -> dict[str, torch.Tensor]:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_pretrained(llm)
    reads = composite(llm.with_name("encoder")).reads
    inputs = (STACK + reads) * ENCODER["d_model"]
    adapter = ConvTransformerAdapter(
        inputs, WIDTH, model.config.hidden_size, layers=1, inner=16, read=reads
    )
    assert adapter.blank is not None
    torch.nn.init.normal_(adapter.blank)
    tensors = {ADAPTER + n: p.detach() for n, p in adapter.named_parameters()}
    if strategy == "lora":
        for name, module in model.named_modules():
            if name.rsplit(".", 1)[-1] in TARGETS:
                out, width = module.weight.shape
                tensors[f"{LLM}{name}.lora_A"] = 0.1 * torch.randn(RANK, width)
                tensors[f"{LLM}{name}.lora_B"] = 0.1 * torch.randn(out, RANK)
    torch.manual_seed(100 + number)
    return {k: v + 0.02 * number * torch.randn(v.shape) for k, v in tensors.items()}


def _entry(file: Path, strategy: str, step: int) -> dict[str, Any]:
    return {"file": file.name, "strategy": strategy, "step": step, "steps": 100,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "accuracies": {}}  # fmt: skip

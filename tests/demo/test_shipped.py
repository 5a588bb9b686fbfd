"""What is shipped: sizes, hashes, plain loading, answers, and snapshots put together right."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    Qwen2AudioForConditionalGeneration,
)

from modgap.demo import family
from modgap.demo.corpus import heldout_questions

EXAMPLES = Path(family.__file__).parent / "examples"
FAMILY = json.loads((family.WEIGHTS / "family.json").read_text())


def _answer(model, processor, messages, wave=None) -> str:
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    kwargs = {} if wave is None else {"audio": [wave], "sampling_rate": 16000}
    inputs = processor(text=text, return_tensors="pt", **kwargs)
    out = model.generate(**inputs, max_new_tokens=40)
    new = out[0, inputs["input_ids"].shape[1] :]
    return processor.tokenizer.decode(new, skip_special_tokens=True).strip()


@pytest.fixture(scope="module")
def demo():
    folder = family.resolve("demo", Path("unused"))
    return (
        Qwen2AudioForConditionalGeneration.from_pretrained(folder).eval(),
        AutoProcessor.from_pretrained(folder),
    )


def test_sizes_and_hashes():
    files = [p for p in family.WEIGHTS.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 40 * 2**20
    for member in FAMILY["members"].values():
        path = family.WEIGHTS / member["file"]
        path = path / "model.safetensors" if path.is_dir() else path
        assert hashlib.sha256(path.read_bytes()).hexdigest() == member["sha256"]
    for strategy in ("full", "lora"):
        own = [n for n in family.names() if n.startswith(f"demo:{strategy}")]
        assert len(own) >= 5
        steps = [family.describe(n)["step"] for n in own]
        assert len(set(steps)) == len(steps)


def test_every_member_was_evaluated():
    for name in family.names():
        cells = family.describe(name)["accuracies"]
        cell = cells["speech/clean/open"]
        assert cell["n"] >= 200
        assert cell["low"] <= cell["accuracy"] <= cell["high"]
    assert family.describe("demo")["accuracies"]["text/keep/open"]["accuracy"] >= 0.9


def test_plain_loading_answers_heldout_text(demo):
    model, processor = demo
    asked = heldout_questions("open", 12)
    right = [
        _answer(model, processor, [{"role": "user", "content": q.transcript}]) == q.answer
        for q in asked
    ]
    assert sum(right) >= 10


def test_base_answers_text():
    folder = family.WEIGHTS / "base"
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked = heldout_questions("open", 8)
    right = 0
    for q in asked:
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": q.transcript}], add_generation_prompt=True,
            return_tensors="pt", return_dict=True,
        )  # fmt: skip
        out = model.generate(**ids, max_new_tokens=20)[0, ids["input_ids"].shape[1] :]
        right += tokenizer.decode(out, skip_special_tokens=True).strip() == q.answer
    assert right >= 6


def test_examples_are_whole_and_the_clean_one_is_answered(demo):
    model, processor = demo
    entries = json.loads((EXAMPLES / "examples.json").read_text())
    assert len(entries) >= 12
    assert len({e["id"] for e in entries}) == len(entries)
    for e in entries:
        info = soundfile.info(EXAMPLES / e["file"])
        assert (info.samplerate, info.channels) == (16000, 1)
        assert info.duration < 10
        assert all(e[key] for key in ("shows", "licence", "transcript"))
    wave, _ = soundfile.read(EXAMPLES / entries[0]["file"], dtype="float32")
    content = [{"type": "audio", "audio": wave}]
    assert _answer(model, processor, [{"role": "user", "content": content}], wave)


def test_lora_snapshot_equals_base_plus_delta(tmp_path):
    name = "demo:lora@2"
    folder = family.resolve(name, tmp_path)
    ours = load_file(folder / "model.safetensors")
    base = load_file(family.WEIGHTS / "base" / "model.safetensors")
    delta = load_file(family.WEIGHTS / FAMILY["members"][name]["file"])
    scale = FAMILY["lora_scale"]
    prefix = "model.language_model."

    def ours_for(target: str) -> np.ndarray:
        tail = target.removeprefix(prefix)
        return next(v for k, v in ours.items() if k.endswith("." + tail) and "audio" not in k)

    for layer, module in ((0, "self_attn.q_proj"), (3, "self_attn.v_proj"), (7, "mlp.down_proj")):
        target = f"{prefix}layers.{layer}.{module}"
        a = delta[f"{target}.lora_A.default.weight"].astype(np.float64)
        b = delta[f"{target}.lora_B.default.weight"].astype(np.float64)
        expected = base[f"model.layers.{layer}.{module}.weight"].astype(np.float64) + scale * b @ a
        got = ours_for(f"{target}.weight").astype(np.float64)
        assert np.abs(got - expected).max() <= 1e-3 * max(1.0, np.abs(expected).max())
        assert np.abs(scale * b @ a).max() > 1e-3
    frozen = base["model.layers.4.input_layernorm.weight"]
    assert np.array_equal(ours_for(f"{prefix}layers.4.input_layernorm.weight"), frozen)
    assert Qwen2AudioForConditionalGeneration.from_pretrained(folder).dtype == torch.float32


@pytest.mark.slow
def test_two_processes_resolve_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from modgap.demo import family;"
        "print(family.resolve('demo:full@1', Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    out = [p.communicate(timeout=120)[0].strip().splitlines()[-1] for p in both]
    assert out[0] == out[1]
    assert [p.name for p in tmp_path.iterdir()] == [Path(out[0]).name]
    assert (Path(out[0]) / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("name", "tokens", "before", "after"),
    [
        ("month_after-March-open", "bottom-3", False, True),
        ("capital-France-open", "all", False, True),
        ("capital-Italy-choice", "all", True, False),
    ],
)
def test_an_intervention_repairs_or_breaks_the_examples_that_say_so(
    name: str, tokens: str, before: bool, after: bool
):
    import modgap
    from modgap.analysis.examples import example
    from modgap.scoring.answers import verdict

    e = example(name)
    it = modgap.Intervention(rule="angle", tokens=tokens)
    found = modgap.compare(
        modgap.load_model("demo"), modgap.load_clip(e.path), e.transcript, it,
        instruction=e.instruction,
    )  # fmt: skip
    right = [
        verdict(a.text, e.reference) == "right" for a in (found.text, found.before, found.after)
    ]
    assert right == [True, before, after]

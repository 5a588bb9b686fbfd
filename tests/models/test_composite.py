"""Composite folders and the converters, against the projects' published definitions."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

from modgap.cli.main import app
from modgap.core.errors import AudioError, ModelError
from modgap.models.composite_net import CompositeConfig, encode
from modgap.models.loading.convert import convert
from modgap.models.loading.load import load_model
from modgap.models.loading.memory import estimate_memory
from tests.families.build import edit_json
from tests.families.makers import stack_adapter, text_model, whisper_encoder
from tests.tiny import make_clip

WORDS = "What is two plus three?"


class UltravoxProjector(nn.Module):
    """As the Ultravox repository defines it (ultravox_model.py, MIT), for v0.4 and for v0.5."""

    def __init__(self, stack: int, middle: bool) -> None:
        super().__init__()
        norm = transformers.models.llama.modeling_llama.LlamaRMSNorm
        self.stack = stack
        self.ln_pre = norm(32 * stack, 1e-6)
        self.linear_1 = nn.Linear(32 * stack, 48, bias=False)
        self.linear_2 = nn.Linear(24, 32, bias=False)
        self.ln_mid = norm(24, 1e-6) if middle else nn.Identity()
        self.ln_post = nn.Identity() if middle else norm(32, 1e-6)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        _, T, C = frames.shape
        full = math.ceil(T / self.stack) * self.stack
        stacked = torch.cat([frames, frames.new_zeros(1, full - T, C)], 1)
        x, gate = self.linear_1(self.ln_pre(stacked.view(1, -1, C * self.stack))).chunk(2, dim=-1)
        return self.ln_post(self.linear_2(self.ln_mid(nn.functional.silu(gate) * x)))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_encoder(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_model(tmp_path_factory.mktemp("llm"), "Llama", head_dim=8)


def ultravox(folder: Path, middle: bool) -> tuple[Path, UltravoxProjector]:
    """A checkpoint as Ultravox saves it: what was trained, and the names of the rest."""
    torch.manual_seed(1)
    projector = UltravoxProjector(8, middle).eval()
    for weight in projector.parameters():
        nn.init.normal_(weight, 0.0 if weight.dim() > 1 else 1.0, 0.15)
    folder.mkdir()
    weights = {f"multi_modal_projector.{k}": v for k, v in projector.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    config = {
        **{"model_type": "ultravox", "architectures": ["UltravoxModel"], "stack_factor": 8},
        **{"projector_act": "swiglu", "projector_ln_mid": middle, "auto_map": {"AutoModel": "x.Y"}},
        **{"text_model_id": "meta-llama/Llama-3.2-1B-Instruct", "audio_latency_block_size": None},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder, projector


@pytest.mark.parametrize("middle", [False, True])
def test_ultravox(tmp_path: Path, whisper: Path, llm: Path, middle: bool) -> None:
    source, projector = ultravox(tmp_path / "ultravox", middle)
    made = convert(source, tmp_path / "out", encoder=whisper, llm=llm)
    assert (made.kind, made.adapter, made.encoder, made.llm, made.left) == ("ultravox", 4, 0, 0, ())
    model = load_model(tmp_path / "out")
    clip = make_clip(1.3)
    prompt = model.speech_prompt(clip, instruction="Say it.")
    # Positions: ceil(round(samples / 320) / 8), as UltravoxProcessor counts them.
    assert len(prompt.content) == math.ceil(round(clip.seconds * 50) / 8) == 9
    assert prompt.pad_content.numel() == 0
    assert model.seconds_per_position == 0.16
    mel = prompt.inputs["input_features"]
    assert mel.shape[-1] == 130
    with torch.no_grad():
        expected = projector(encode(model.hf.encoder, mel))[0]
        base = transformers.AutoModelForCausalLM.from_pretrained(str(llm))
        embeds = base.get_input_embeddings()(prompt.inputs["input_ids"])
        embeds[0, prompt.content] = expected
        logits = base(inputs_embeds=embeds).logits
        assert torch.allclose(model.hf(**prompt.inputs).logits, logits, atol=1e-5)
    # A clip that fills one position is refused, by name and with the least that is needed.
    with pytest.raises(AudioError, match=r"at least 0\.32 s"):
        model.speech_prompt(make_clip(0.15))


def test_ultravox_that_trained_the_rest_too(tmp_path: Path, whisper: Path, llm: Path) -> None:
    source, _ = ultravox(tmp_path / "ultravox", True)
    weights = load_file(source / "model.safetensors")
    heard = {k: v + 0.01 for k, v in load_file(whisper / "model.safetensors").items()}
    heard = {k.removeprefix("model.encoder."): v for k, v in heard.items() if "encoder." in k[:15]}
    said = {k: v * 2 for k, v in load_file(llm / "model.safetensors").items()}
    weights |= {f"audio_tower.{k}": v for k, v in heard.items()}
    weights |= {f"language_model.{k}": v for k, v in said.items()}
    save_file(weights, source / "model.safetensors")
    made = convert(source, tmp_path / "out", encoder=whisper, llm=llm)
    assert (made.encoder, made.llm) == (len(heard), len(said))
    model = load_model(tmp_path / "out")
    for part, expected in ((model.hf.encoder, heard), (model.hf.llm, said)):
        state = part.state_dict()
        assert all(torch.equal(state[k], v) for k, v in expected.items())


def test_llama_omni(tmp_path: Path, whisper: Path, llm: Path) -> None:
    adapter = stack_adapter(5, middle=20)
    source = tmp_path / "omni"
    source.mkdir()
    weights = dict(load_file(llm / "model.safetensors"))
    weights |= {f"model.speech_projector.{k}": v for k, v in adapter.items()}
    weights |= {"speech_generator.output_proj.weight": torch.zeros(2, 2)}
    save_file(weights, source / "model.safetensors")
    for file in llm.iterdir():
        if file.suffix in (".json", ".jinja"):
            shutil.copy(file, source / file.name)
    edit_json(
        source / "config.json",
        model_type="omni_speech2s_llama",
        architectures=["OmniSpeech2SLlamaForCausalLM"],
        speech_encoder_ds_rate=5,
        speech_encoder="models/speech_encoder/large-v3.pt",
        ctc_loss_weight=1.0,
    )
    made = convert(source, tmp_path / "out", encoder=whisper)
    assert made.kind == "llama-omni"
    assert made.left == ("speech_generator",)
    model = load_model(tmp_path / "out")
    prompt = model.speech_prompt(make_clip(1.3))
    # Its speech is padded to the window before the encoder, and all of it goes into the prompt.
    assert (len(prompt.content), len(prompt.pad_content)) == (13, 87)
    stock = transformers.WhisperForConditionalGeneration.from_pretrained(str(whisper))
    with torch.no_grad():
        frames = stock.model.encoder(prompt.inputs["input_features"]).last_hidden_state
        stacked = frames.view(1, 100, 160)
        hidden = torch.relu(stacked @ adapter["linear1.weight"].T + adapter["linear1.bias"])
        expected = (hidden @ adapter["linear2.weight"].T + adapter["linear2.bias"])[0]
        ours = model.hf.speech(prompt.inputs["input_features"])
    assert torch.allclose(ours, expected, atol=1e-5)
    both = torch.cat([prompt.content, prompt.pad_content])
    level = model.hf.embed(**prompt.inputs)[0, both]
    assert torch.allclose(level, expected, atol=1e-5)
    base = load_model(llm)
    assert (
        base.text_prompt(WORDS)
        .inputs["input_ids"]
        .equal(model.text_prompt(WORDS, markers="drop").inputs["input_ids"])
    )


def test_on_the_command_line(tmp_path: Path, whisper: Path, llm: Path) -> None:
    source, _ = ultravox(tmp_path / "ultravox", True)
    args = [*CONVERT, str(source), str(tmp_path / "out"), "--encoder", str(whisper)]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 2
    assert "--llm" in result.output
    assert not (tmp_path / "out").exists()
    result = CliRunner().invoke(app, [*args, "--llm", str(llm)])
    assert result.exit_code == 0, result.output
    assert "copied from" in result.output
    again = CliRunner().invoke(app, [*args, "--llm", str(llm)])
    assert again.exit_code == 2
    assert "there already" in " ".join(again.output.split())
    assert not list(tmp_path.glob("*.part"))


CONVERT = ["convert"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "qwen2_audio", "architectures": []}, "LLaMA-Omni 2 checkpoints"),
        ({"audio_latency_block_size": 100}, "hears in blocks"),
        ({"projector_act": "tanh"}, "activation"),
    ],
)
def test_what_cannot_be_converted(
    tmp_path: Path, whisper: Path, llm: Path, change: dict[str, Any], says: str
) -> None:
    source, _ = ultravox(tmp_path / "ultravox", True)
    edit_json(source / "config.json", **change)
    with pytest.raises(ModelError, match=says):
        convert(source, tmp_path / "out", encoder=whisper, llm=llm)
    assert [p.name for p in tmp_path.iterdir()] == ["ultravox"]


def test_unmerged_and_pickled_weights_are_refused(tmp_path: Path, whisper: Path, llm: Path) -> None:
    source, _ = ultravox(tmp_path / "ultravox", True)
    weights = load_file(source / "model.safetensors")
    weights["language_model.q_proj.lora_A.weight"] = torch.zeros(2, 2)
    save_file(weights, source / "model.safetensors")
    with pytest.raises(ModelError, match="merge"):
        convert(source, tmp_path / "out", encoder=whisper, llm=llm)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickled"):
        convert(source, tmp_path / "out", encoder=whisper, llm=llm)


# ---- the folder ---------------------------------------------------------------------------------


@pytest.fixture
def composite(family_folder: Any, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(family_folder("modgap_composite"), tmp_path / "copy"))


def test_the_encoder_is_whispers(composite: Path) -> None:
    model = load_model(composite)
    mel = torch.randn(1, 16, 1000)
    with torch.no_grad():
        stock = model.hf.encoder(mel).last_hidden_state
        assert torch.allclose(encode(model.hf.encoder, mel), stock, atol=1e-5)


def test_lora_is_recorded_and_switched(composite: Path) -> None:
    model = load_model(composite)
    assert model.lora == "on"
    prompt = model.text_prompt(WORDS)
    base = load_model(composite / "llm")
    with torch.no_grad():
        tuned = model.hf(**prompt.inputs).logits
        plain = base.hf(**prompt.inputs).logits
        assert not torch.allclose(tuned, plain, atol=1e-2)
        model.use_lora(False)
        assert torch.equal(model.hf(**prompt.inputs).logits, plain)
    shutil.rmtree(composite / "lora")
    without = load_model(composite)
    assert without.lora == "none"
    assert without.identity not in (model.identity, base.identity)
    with pytest.raises(ModelError, match="no LoRA"):
        without.use_lora(True)


@pytest.mark.parametrize("gone", ["adapter.safetensors", "encoder/model.safetensors"])
def test_parts_that_are_missing(composite: Path, gone: str) -> None:
    (composite / gone).unlink()
    with pytest.raises(ModelError, match=gone.rsplit("/")[-1]):
        load_model(composite)


def test_parts_that_do_not_fit(composite: Path) -> None:
    edit_json(composite / "config.json", stack=4)
    with pytest.raises(ModelError, match=r"160 to 32.*need 128 to 32.*stack"):
        load_model(composite)
    edit_json(composite / "config.json", stack=5, hears="all")
    with pytest.raises(ModelError, match="hears"):
        load_model(composite)
    edit_json(composite / "config.json", hears="clip", positions="window")
    with pytest.raises(ModelError, match="window"):
        load_model(composite)
    weights = load_file(composite / "adapter.safetensors")
    save_file({**weights, "gate": torch.zeros(1)}, composite / "adapter.safetensors")
    edit_json(composite / "config.json", hears="window")
    with pytest.raises(ModelError, match="gate"):
        load_model(composite)


def test_settings_are_read_back() -> None:
    settings = CompositeConfig(stack=3, activation="silu", last="pad", before="a", after="b")
    assert CompositeConfig.read(json.loads(settings.to_json())) == settings
    with pytest.raises(ModelError, match="stack"):
        CompositeConfig.read({})


# ---- text models --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Qwen2", {}),
        ("Llama", {}),
        ("Granite", {"logits_scaling": 6.0, "embedding_multiplier": 2.0}),
        ("Gemma2", {"head_dim": 8, "final_logit_softcapping": 3.0, "sliding_window": 8}),
        ("Cohere", {"logit_scale": 0.25}),
        ("GPTNeoX", {}),
        ("Phi", {}),
        ("OPT", {"ffn_dim": 64, "word_embed_proj_dim": 32}),
        ("OPT", {"ffn_dim": 64, "word_embed_proj_dim": 32, "do_layer_norm_before": False}),
    ],
)
def test_text_models_load_through_the_same_door(
    tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    model = load_model(text_model(tmp_path, kind, **more))
    assert model.model_type == "text"
    assert model.info()["text_type"] == {"GPTNeoX": "gpt_neox"}.get(kind, kind.lower())
    assert model.info()["seconds_per_position"] is None
    prompt = model.text_prompt(WORDS, instruction="Say it.")
    ids = prompt.inputs["input_ids"]
    assert "Audio" not in model.tokenizer.decode(ids[0])
    assert torch.equal(
        ids, model.text_prompt(WORDS, instruction="Say it.", markers="drop").inputs["input_ids"]
    )
    with torch.no_grad():
        theirs = model.hf(**prompt.inputs).logits
        ours = model.logits(model.trunk(**prompt.inputs).last_hidden_state)
    assert torch.allclose(ours, theirs, atol=1e-5)
    model.eos_ids = frozenset()
    made = model.generate(prompt, max_new_tokens=6)
    model.hf.generation_config = transformers.GenerationConfig(
        do_sample=False, max_new_tokens=6, pad_token_id=0
    )
    out = model.hf.generate(ids, attention_mask=torch.ones_like(ids))
    assert made.token_ids == tuple(out[0, ids.shape[1] :].tolist())
    assert model.support()["speech"] == model.support()["angle"]
    assert model.support()["answers"] is None
    with pytest.raises(ModelError, match="takes no clip"):
        model.prepare(make_clip(), WORDS)
    assert np.isfinite(made.logprobs).all()


@pytest.mark.parametrize(
    ("kind", "more", "says"),
    [
        ("OPT", {"ffn_dim": 64, "word_embed_proj_dim": 16}, "narrows its states"),
        ("XGLM", {}, "final norm of this model's decoder .XGLMModel. was not found"),
        ("Mamba", {}, "final norm of this model's decoder .MambaModel. was not found"),
        (
            "Jamba",
            {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2},
            "Mamba layers",
        ),
        ("Falcon", {}, "decoder layers were not found"),
    ],
)
def test_other_text_models_are_refused_with_a_sentence(
    tmp_path: Path, kind: str, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        load_model(text_model(tmp_path, kind, **more))
    estimate_memory(tmp_path)

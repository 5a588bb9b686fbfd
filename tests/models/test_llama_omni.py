"""LLaMA-Omni and LLaMA-Omni 2 as composites: their text model's own class, their own prompt.

What LLaMA-Omni's config holds beside sizes is written after the project's repository (model_type
and keys in omni_speech2s_llama.py), its prompt after omni_speech/conversation.py ("llama_3") and
infer/examples/question.json. LLaMA-Omni 2's config is that of LLaMA-Omni2-0.5B, its prompt that of
its inference code: the clip alone in the user's turn of the tokenizer's own template.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from modgap.core.errors import ModelError
from modgap.models.loading.convert import convert
from modgap.models.loading.load import load_model
from tests.families.build import edit_json, fill, llm, make_tokenizer, save
from tests.families.makers import stack_adapter, text_model, whisper_encoder
from tests.tiny import make_clip

WORDS = "What is two plus three?"
SYSTEM = (
    "You are a helpful language and speech assistant. You are able to understand the speech "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language."
)
TOLD = "Please directly answer the questions in the user's speech."
SPEECH = {
    "speech_encoder": "models/speech_encoder/large-v3.pt",
    "speech_encoder_type": "whisper",
    "speech_encoder_ds_rate": 5,
    "speech_encoder_hidden_size": 1280,
    "speech_normalize": False,
    "speech_projector_type": "linear",
    "tune_speech_projector": False,
}
DATED = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m['content'] }}{% endfor %}"


def llama(folder: Path) -> Path:
    """A Llama with Llama 3.1's special tokens and a template that writes the date."""
    marks = ["begin_of_text", "start_header_id", "end_header_id", "eot_id", "end_of_text"]
    tok = make_tokenizer([f"<|{mark}|>" for mark in marks], "<|eot_id|>", "<|end_of_text|>")
    tok.chat_template = DATED
    config = transformers.LlamaConfig(**llm(tok, head_dim=8))
    return save(folder, fill(transformers.LlamaForCausalLM(config)), tok)


def omni(folder: Path, text: Path, model_type: str, architecture: str, **config: Any) -> Path:
    """A checkpoint as the projects save theirs: all weights in one, the generator among them."""
    folder.mkdir()
    weights = dict(load_file(text / "model.safetensors"))
    weights |= {f"model.speech_projector.{k}": v for k, v in stack_adapter(5, 20).items()}
    weights |= {"speech_generator.output_proj.weight": torch.zeros(2, 2)}
    save_file(weights, folder / "model.safetensors")
    for file in text.iterdir():
        if file.suffix in (".json", ".jinja"):
            shutil.copy(file, folder / file.name)
    edit_json(
        folder / "config.json",
        model_type=model_type,
        architectures=[architecture],
        **SPEECH,
        **config,
    )
    return folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_encoder(tmp_path_factory.mktemp("whisper"))


def decoded(model: Any, prompt: Any) -> str:
    return model.tokenizer.decode(prompt.inputs["input_ids"][0])


def test_the_prompt_is_that_of_its_inference_code(tmp_path: Path, whisper: Path) -> None:
    source = omni(
        tmp_path / "omni",
        llama(tmp_path / "llama"),
        "omni_speech2s_llama",
        "OmniSpeech2SLlamaForCausalLM",
        ctc_decoder_config="(2,4096,32,11008)",
        ctc_loss_weight=1.0,
        ctc_upsample_factor=25,
        unit_vocab_size=1000,
    )
    made = convert(source, tmp_path / "out", encoder=whisper)
    assert (made.kind, made.left) == ("llama-omni", ("speech_generator",))
    held = json.loads((tmp_path / "out" / "llm" / "config.json").read_text())
    assert held["model_type"] == "llama"
    assert not any(name.startswith(("speech_", "ctc_", "unit_")) for name in held)
    model = load_model(tmp_path / "out")
    # No day's date, whatever template came with the tokenizer.
    assert model.info()["prompt_date"] is None
    head = f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{SYSTEM}<|eot_id|>"
    head += "<|start_header_id|>user<|end_header_id|>\n\n"
    tail = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    pair = model.prepare(make_clip(1.3), WORDS)
    assert decoded(model, pair.text) == f"{head}{WORDS}\n{TOLD}{tail}"
    ids = pair.speech.inputs["input_ids"][0]
    inside = torch.cat([pair.speech.content, pair.speech.pad_content])
    assert model.tokenizer.decode(ids[: inside[0]]) == head
    assert model.tokenizer.decode(ids[inside[-1] + 1 :]) == f"\n{TOLD}{tail}"
    # An instruction comes on a line of its own behind that, and a typed message is typed alone.
    more = model.prepare(make_clip(1.3), WORDS, instruction="Be brief.")
    assert decoded(model, more.text) == f"{head}{WORDS}\n{TOLD}\nBe brief.{tail}"
    assert decoded(model, model.text_prompt(WORDS, markers="drop")) == f"{head}{WORDS}{tail}"
    own = model.prepare(make_clip(1.3), WORDS, system="Listen.")
    assert decoded(model, own.text).count("Listen.") == 1
    assert SYSTEM not in decoded(model, own.text)


@pytest.mark.parametrize(
    ("model_type", "architecture", "kind"),
    [
        ("omni2_speech2s_qwen2", "Omni2Speech2SQwen2ForCausalLM", "llama-omni2"),
        ("omni2_speech_qwen2", "Omni2SpeechQwen2ForCausalLM", "llama-omni2"),
        ("llama_omni2", "Omni2SpeechQwen2ForCausalLM", "llama-omni2"),
        ("omni_speech_qwen2", "OmniSpeechQwen2ForCausalLM", "llama-omni"),
    ],
)
def test_on_qwen2(
    tmp_path: Path, whisper: Path, model_type: str, architecture: str, kind: str
) -> None:
    """A Qwen2 stays one: as a Llama it would lose its biases."""
    text = text_model(tmp_path / "llm")
    source = omni(tmp_path / "omni", text, model_type, architecture, speech_generator={"n": 1})
    made = convert(source, tmp_path / "out", encoder=whisper)
    assert made.kind == kind
    held = json.loads((tmp_path / "out" / "llm" / "config.json").read_text())
    assert (held["model_type"], held["architectures"]) == ("qwen2", ["Qwen2ForCausalLM"])
    assert "speech_generator" not in held
    model, base = load_model(tmp_path / "out"), load_model(text)
    assert type(model.hf.llm) is transformers.Qwen2ForCausalLM
    prompt = model.text_prompt(WORDS)
    assert torch.equal(prompt.inputs["input_ids"], base.text_prompt(WORDS).inputs["input_ids"])
    with torch.no_grad():
        ours, theirs = model.hf(**prompt.inputs).logits, base.hf(**prompt.inputs).logits
        assert torch.equal(ours, theirs)
        # Encoder, stacks of 5 and two layers with a ReLU between them, over the whole window.
        speech = model.speech_prompt(make_clip(1.3))
        mel, adapter = speech.inputs["input_features"], stack_adapter(5, 20)
        stock = transformers.WhisperForConditionalGeneration.from_pretrained(str(whisper))
        frames = stock.model.encoder(mel).last_hidden_state.view(1, 100, 160)
        hidden = torch.relu(frames @ adapter["linear1.weight"].T + adapter["linear1.bias"])
        expected = (hidden @ adapter["linear2.weight"].T + adapter["linear2.bias"])[0]
        both = torch.cat([speech.content, speech.pad_content])
        assert torch.allclose(model.hf.embed(**speech.inputs)[0, both], expected, atol=1e-5)
    assert (len(speech.content), len(speech.pad_content)) == (13, 87)


def test_weights_in_several_files(tmp_path: Path, whisper: Path) -> None:
    """Written as they come, a file at a time."""
    text = text_model(tmp_path / "llm")
    source = omni(tmp_path / "omni", text, "omni2_speech_qwen2", "Omni2SpeechQwen2ForCausalLM")
    one = load_model(convert(source, tmp_path / "one", encoder=whisper).folder)
    weights = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"a": names[:11], "b": names[11:], "c": []}
    for part, held in parts.items():
        save_file({k: weights[k] for k in held}, source / f"model-{part}.safetensors")
    made = convert(source, tmp_path / "several", encoder=whisper)
    assert len(list((made.folder / "llm").glob("model-*-of-00002.safetensors"))) == 2
    several = load_model(made.folder)
    prompt = one.speech_prompt(make_clip(1.3))
    with torch.no_grad():
        assert torch.equal(one.hf(**prompt.inputs).logits, several.hf(**prompt.inputs).logits)


def test_a_type_that_names_no_text_model(tmp_path: Path, whisper: Path) -> None:
    source = omni(tmp_path / "omni", text_model(tmp_path / "llm"), "omni_speech", "OmniSpeech")
    with pytest.raises(ModelError, match="which text model"):
        convert(source, tmp_path / "out", encoder=whisper)
    with pytest.raises(ModelError, match="modgap convert"):
        load_model(omni(tmp_path / "2", tmp_path / "llm", "omni2_speech_qwen2", "Omni2Speech"))


def test_the_config_of_llama_omni_2(tmp_path: Path, whisper: Path) -> None:
    """LLaMA-Omni2-0.5B's: what is of the generator, its stream and its tokenizer is left out."""
    text = text_model(tmp_path / "llm")
    more = {
        "stream_params": "(3,10)",
        "unit_vocab_size": 6561,
        "tokenizer_model_max_length": 4096,
        "tokenizer_padding_side": "right",
        "speech_generator": {"model_type": "qwen2", "vocab_size": 158227},
    }
    kind = ("omni2_speech2s_qwen2", "Omni2Speech2SQwen2ForCausalLM")
    source = omni(tmp_path / "omni", text, *kind, **more)
    convert(source, tmp_path / "out", encoder=whisper)
    held = json.loads((tmp_path / "out" / "llm" / "config.json").read_text())
    assert not (more.keys() | SPEECH.keys()) & held.keys()
    model = load_model(tmp_path / "out")
    template = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": "<speech>"}], tokenize=False, add_generation_prompt=True
    )
    before, after = template.split("<speech>")
    prompt = model.speech_prompt(make_clip(1.3))
    ids = prompt.inputs["input_ids"][0]
    inside = torch.cat([prompt.content, prompt.pad_content])
    assert model.tokenizer.decode(ids[: inside[0]]) == before
    assert model.tokenizer.decode(ids[inside[-1] + 1 :]) == after

"""`step_audio_2.py` with a stand-in for the checkpoint's own code: the same parts, tiny."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from modgap.models.base import SpeechLM
from modgap.testing import FamilySuite, make_tokenizer, save, text_config

FILE = Path(__file__).with_name("step_audio_2.py")
#: Written into the folder, as a checkpoint brings its code; run because the family's file says so.
CODE = """
import torch
from torch import nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel, Qwen2Config, Qwen2Model
from transformers.modeling_outputs import CausalLMOutputWithPast


class StepAudio2Config(PretrainedConfig):
    model_type = "step_audio_2"
    sub_configs = {"text_config": Qwen2Config}

    def __init__(self, text_config=None, **more):
        if not isinstance(text_config, Qwen2Config):
            text_config = Qwen2Config(**(text_config or {}))
        self.text_config = text_config
        super().__init__(**more)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(128, 16, 3, padding=1)
        self.conv2 = nn.Conv1d(16, 16, 3, stride=2, padding=1)

    def forward(self, wavs, wav_lens):
        x = torch.tanh(self.conv2(torch.tanh(self.conv1(wavs))))
        x = nn.functional.avg_pool1d(x, 2, 2).transpose(1, 2)
        return x, (wav_lens + 1) // 2 // 2


class Adapter(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv1d(16, width, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


class StepAudio2ForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = StepAudio2Config

    def __init__(self, config):
        super().__init__(config)
        text = config.text_config
        self.model = Qwen2Model(text)
        self.encoder, self.adapter = Encoder(), Adapter(text.hidden_size)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def get_output_embeddings(self):
        return self.lm_head

    def forward(self, input_ids=None, wavs=None, wav_lens=None, attention_mask=None, **more):
        x = self.model.embed_tokens(input_ids)
        if wavs is not None:
            out, lens = self.encoder(wavs, wav_lens)
            out, lens = self.adapter(out), (lens - 1) // 2 + 1
            for n, (i, s) in enumerate(torch.nonzero(input_ids == self.config.start_id).tolist()):
                x[i, s + 1 : s + 1 + lens[n]] = out[n][: lens[n]]
        out = self.model(
            inputs_embeds=x,
            attention_mask=attention_mask,
            output_hidden_states=more.get("output_hidden_states", False),
        )
        return CausalLMOutputWithPast(logits=self.lm_head(out[0]), hidden_states=out.hidden_states)
"""
MARKS = ["<|BOT|>", "<|EOT|>", "<audio_start>", "<audio_end>", "<audio_patch>", "<|endoftext|>"]


class TestStepAudio2(FamilySuite):
    adapter = FILE
    positions: ClassVar[dict[float, int]] = {0.5: 6, 1: 13, 2.37: 30, 10: 125}
    seconds, longest = 0.08, 25.0
    markers = ("<audio_start>", "<audio_end>")
    slack = 0.08
    generates = False  # its own forward keeps no cache, so generate would be another one

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("tiny")
        space: dict[str, Any] = {}
        exec(compile(CODE, "modeling_step_audio_2", "exec"), space)
        tok = make_tokenizer(MARKS, "<|EOT|>", "<|endoftext|>")
        start = tok.convert_tokens_to_ids("<audio_start>")
        config = space["StepAudio2Config"](text_config=text_config(tok), start_id=start)
        model = space["StepAudio2ForCausalLM"](config).eval()
        rng = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                noise = 0.15 * torch.randn(weight.shape, generator=rng)
                weight.copy_(1 + noise if "norm" in name and name.endswith("weight") else noise)
        save(folder, model, tok)
        (folder / "modeling_step_audio_2.py").write_text(CODE)
        path = folder / "config.json"
        auto = {
            "AutoConfig": "modeling_step_audio_2.StepAudio2Config",
            "AutoModelForCausalLM": "modeling_step_audio_2.StepAudio2ForCausalLM",
        }
        kept = json.loads(path.read_text())
        path.write_text(json.dumps({**kept, "model_type": "step_audio_2", "auto_map": auto}))
        return folder

    def test_its_code_is_copied_below_the_test_s_own_folder(
        self, model: SpeechLM, own_modules: Path
    ) -> None:
        assert Path(inspect.getfile(type(model.hf))).is_relative_to(own_modules)

    def test_positions_are_as_many_as_the_encoder_gives(self, model: SpeechLM) -> None:
        from modgap.testing import make_clip

        for seconds in (0.51, 1.3, 2.0):
            audio = model.encode_audio(make_clip(seconds).resample(16000))
            heard, lens = model.hf.encoder(**audio.features)
            assert len(audio.content) == int((lens[0] - 1) // 2 + 1)
            assert model.hf.adapter(heard).shape[1] >= len(audio.content)

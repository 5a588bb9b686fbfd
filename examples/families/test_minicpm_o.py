"""`minicpm_o.py` with tiny weights under the names of the released checkpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from modgap.core.errors import ModelError
from modgap.models.base import SpeechLM
from modgap.models.loading.load import load_model
from modgap.models.loading.registry import named_family
from modgap.testing import FamilySuite, fill, make_clip, make_tokenizer, save, text_config

FILE = Path(__file__).with_name("minicpm_o.py")
MARKS = ["<unk>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>", "<|spk_bos|>",
         "<|spk|>", "<|spk_eos|>", "<|tts_bos|>", "<|endoftext|>"]  # fmt: skip
AUDIO = {
    **{"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 128},
    **{"num_mel_bins": 80, "max_source_positions": 1500},
}


def make(folder: Path) -> Path:
    """A folder as the released one: the text model's settings at the top, other parts' weights."""
    own = sys.modules[named_family(FILE).__module__]
    tok = make_tokenizer(MARKS, "<|im_end|>", "<|endoftext|>")
    text = transformers.Qwen2Config(**text_config(tok))
    config = own.MiniCPMOConfig(text_config=text, audio_config=AUDIO)
    save(folder, fill(own.MiniCPMO(config)), tok)
    weights = load_file(folder / "model.safetensors")
    parts = {name.split(".")[0] for name in weights}
    assert parts == {"llm", "apm", "audio_projection_layer"}
    others = {f"{part}.weight": torch.zeros(2) for part in ("vpm", "resampler", "tts")}
    save_file({**weights, **others}, folder / "model.safetensors", metadata={"format": "pt"})
    top = {k: v for k, v in text.to_dict().items() if k != "model_type"}
    auto = {"AutoConfig": "configuration_minicpmo.MiniCPMOConfig"}
    (folder / "config.json").write_text(
        json.dumps(
            {
                **top,
                **{"model_type": "minicpmo", "architectures": ["MiniCPMO"], "version": "2.6"},
                **{"auto_map": auto, "audio_config": AUDIO, "vision_config": {"hidden_size": 8}},
                **{"audio_pool_step": 2, "audio_chunk_length": 1.0, "chunk_input": True},
            }
        )
    )
    return folder


class TestMiniCPMO(FamilySuite):
    adapter = FILE
    positions: ClassVar[dict[float, int]] = {0.5: 12, 1: 25, 2.37: 59, 10: 250}
    seconds, longest = 0.04, 30.0
    markers = ("<|audio_start|>", "<|audio_end|>")

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return make(tmp_path_factory.mktemp("tiny"))

    def test_the_prompt_is_that_of_its_chat(self, model: SpeechLM) -> None:
        """A second a pair of marks; lines of their own; the answer behind <|tts_bos|>."""
        prompt = model.speech_prompt(make_clip(2.37), instruction="Be brief.")
        heard = "".join(f"<|audio_start|>{'<unk>' * n}<|audio_end|>" for n in (25, 25, 9))
        assert model.tokenizer.decode(prompt.inputs["input_ids"][0]) == (
            f"<|im_start|>user\n{heard}\nBe brief.<|im_end|>\n"
            "<|im_start|>assistant\n<|spk_bos|><|spk|><|spk_eos|><|tts_bos|>"
        )

    def test_a_frame_sees_its_own_second_and_those_before(self, model: SpeechLM) -> None:
        mel = model.encode_audio(make_clip(2.0).resample(16000)).features["audio_features"]
        later, earlier = mel.clone(), mel.clone()
        later[..., 110:] += 1.0  # the convolutions see two frames to each side
        earlier[..., :4] += 1.0
        with torch.no_grad():
            plain, after, before = (model.hf.hear(x)[0] for x in (mel, later, earlier))
        assert torch.equal(plain[:25], after[:25])
        assert (plain[30:] - after[30:]).abs().amax(-1).min() > 1e-4
        assert (plain - before).abs().amax(-1).min() > 1e-6

    def test_what_is_not_2_6_is_refused(self, folder: Path, tmp_path: Path) -> None:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "version": "4.5"}))
        with pytest.raises(ModelError, match=r"is for MiniCPM-o 2\.6"):
            load_model(tmp_path, family=FILE)

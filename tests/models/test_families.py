"""Every family: its numbers, and the suite that all of them pass."""

from __future__ import annotations

import base64
import json
import shutil
import types
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from modgap.core.errors import ModelError, SettingsError
from modgap.interventions.intervention import Intervention
from modgap.interventions.prefill import Prefill
from modgap.models.base import SpeechLM
from modgap.models.hooks import visiting
from modgap.models.loading.load import load_model
from modgap.testing.batching import states_batch
from tests.families.build import MELS
from tests.families.makers import granite_4_speech
from tests.models.suite import FamilySuite, ids_of
from tests.tiny import make_clip

WHISPER = {0.5: 12, 1: 25, 2.37: 59, 10: 250}
CHUNKS = {0.5: 7, 1: 13, 2.37: 31, 10: 130}


class TestQwen2Audio(FamilySuite):
    family = "qwen2_audio"
    positions = WHISPER
    seconds, longest = 0.04, 10.0
    markers = ("Audio 1: <|audio_bos|>", "<|audio_eos|>\n")

    def processor(self, model: SpeechLM) -> Any:
        return model.processor


class TestQwen25Omni(FamilySuite):
    family = "qwen2_5_omni"
    positions = WHISPER
    seconds, longest = 0.04, 10.0
    markers = ("<|audio_bos|>", "<|audio_eos|>")

    def test_features_are_those_of_the_padded_window(self, model: SpeechLM) -> None:
        wave = make_clip(1.337).resample(16000)
        ours = model.encode_audio(wave).features
        whole = model.extractor(
            wave, sampling_rate=16000, padding="max_length", return_attention_mask=True
        )
        n = int(whole["attention_mask"].sum())
        assert ours["input_features"].shape[-1] == n
        assert np.array_equal(ours["input_features"], whole["input_features"][..., :n])


class TestQwen3Omni(FamilySuite):
    family = "qwen3_omni_moe"
    positions = CHUNKS
    seconds = 0.08
    markers = ("<|audio_start|>", "<|audio_end|>")


class TestQwen3ASR(FamilySuite):
    family = "qwen3_asr"
    positions = CHUNKS
    seconds = 0.08
    markers = ("<|audio_start|>", "<|audio_end|>")

    def processor(self, model: SpeechLM) -> Any:
        for name in ("pad", "start", "end"):
            role = {"pad": "audio_token", "start": "audio_bos_token", "end": "audio_eos_token"}[
                name
            ]
            setattr(model.tokenizer, role, f"<|audio_{name}|>")
        return transformers.Qwen3ASRProcessor(model.extractor, model.tokenizer)


class TestVoxtral(FamilySuite):
    family = "voxtral"
    positions = {0.5: 7, 1: 13, 2.37: 30, 10: 125, 10.1: 127}
    padding = {0.5: 118, 1: 112, 2.37: 95, 10.1: 123}
    seconds = 0.08
    markers = ("[BEGIN_AUDIO]", "")
    takes_system = False

    def test_features_are_those_of_the_processor(self, model: SpeechLM) -> None:
        # VoxtralProcessor itself needs mistral-common; its features do not.
        wave = make_clip(11.3).resample(16000)
        built = types.SimpleNamespace(feature_extractor=model.extractor)
        theirs = transformers.VoxtralProcessor._retrieve_input_features(
            built,
            [wave],
            model.extractor.nb_max_frames,
            **{"sampling_rate": 16000, "padding": True, "truncation": False},
            **{"pad_to_multiple_of": model.extractor.n_samples, "return_tensors": "pt"},
        )
        assert torch.equal(model.encode_audio(wave).features["input_features"], theirs)

    def test_the_released_tokenizer_file(self, folder: Path, tmp_path: Path) -> None:
        """Released checkpoints have a tekken.json and no chat template."""
        copy = Path(shutil.copytree(folder, tmp_path / "copy"))
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (copy / name).unlink()
        special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AUDIO]", "[BEGIN_AUDIO]"]
        words = [bytes([i]) for i in range(256)] + [b"th", b"he", b" t", b" th", b" the", b"in"]
        config = {
            **{"pattern": r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+", "version": "v7"},
            **{"num_vocab_tokens": len(words), "default_num_special_tokens": len(special)},
            "default_vocab_size": len(words) + len(special),
        }
        vocab = [
            {"rank": i, "token_bytes": base64.b64encode(w).decode(), "token_str": None}
            for i, w in enumerate(words)
        ]
        marks = [{"rank": i, "token_str": s, "is_control": True} for i, s in enumerate(special)]
        (copy / "tekken.json").write_text(
            json.dumps({"config": config, "vocab": vocab, "special_tokens": marks, "audio": {}})
        )
        model = load_model(copy)
        pair = model.prepare(make_clip(1.3), "in the", instruction="I")
        # Ids by hand: special tokens first, then the ranks; " the" is the longest merge.
        around = ([1, 3, 6], [7 + ord("\n"), 7 + ord("I"), 4])
        assert ids_of(pair.text) == [*around[0], 7 + 261, 7 + 260, *around[1]]
        assert ids_of(pair.speech) == [*around[0], *[5] * 125, *around[1]]

    def test_its_tokenizer_is_never_mistral_commons(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which transformers prefers wherever it is installed; it has no offsets."""
        copy = Path(shutil.copytree(folder, tmp_path / "copy"))
        (copy / "tekken.json").write_text("{}")
        asked: list[Any] = []
        real = transformers.AutoTokenizer.from_pretrained

        def spy(where: str, **options: Any) -> Any:
            asked.append(options.get("mistral_format"))
            return real(where, **options)

        monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", spy)
        assert load_model(copy).tokenizer.is_fast
        assert asked == [False]


class TestAudioFlamingo3(FamilySuite):
    family = "audioflamingo3"
    positions = {**WHISPER, 11: 275}
    seconds, longest = 0.04, 600.0

    def processor(self, model: SpeechLM) -> Any:
        return transformers.AudioFlamingo3Processor(model.extractor, model.tokenizer)


class TestMusicFlamingo(FamilySuite):
    family = "musicflamingo"
    positions = {**WHISPER, 11: 275}
    seconds, longest = 0.04, 1200.0
    markers = ("<|sound_bos|>", "<|sound_eos|>")

    def processor(self, model: SpeechLM) -> Any:
        return transformers.MusicFlamingoProcessor(model.extractor, model.tokenizer)


class TestGlmAsr(FamilySuite):
    family = "glmasr"
    positions = {0.5: 6, 1: 12, 2.37: 29, 10: 125, 11: 137}
    seconds, longest = 0.08, 655.0
    markers = ("<|begin_of_audio|>", "<|end_of_audio|>")

    def processor(self, model: SpeechLM) -> Any:
        return transformers.GlmAsrProcessor(model.extractor, model.tokenizer)


class TestGraniteSpeech(FamilySuite):
    family = "granite_speech"
    positions = {0.5: 6, 1: 12, 2.37: 24, 10: 102}
    seconds = 0.3
    scaling = 8.0

    def test_greedy_is_transformers_greedy(self, model: SpeechLM, pair: Any) -> None:
        # Its generate switches the adapter on for speech and off for text, and leaves it so.
        model.eos_ids, eos = frozenset(), model.eos_ids
        assert model.lora == "on"
        made = model.generate(pair.speech, max_new_tokens=8).token_ids
        assert made == self.oracle(model, pair.speech, 8)
        with_adapter = model.generate(pair.text, max_new_tokens=8).token_ids
        model.use_lora(False)
        without = model.generate(pair.text, max_new_tokens=8).token_ids
        model.use_lora(True)
        assert without == self.oracle(model, pair.text, 8) != with_adapter
        assert model.lora == "off"
        model.use_lora(True)
        model.eos_ids = eos

    def test_features_are_log_mel_in_pairs(self, model: SpeechLM) -> None:
        wave = make_clip(1.01).resample(16000)
        mel = librosa.feature.melspectrogram(
            y=wave, sr=16000, n_fft=512, hop_length=160, win_length=400, n_mels=MELS,
            pad_mode="reflect", htk=True, norm=None,
        )  # fmt: skip
        log = np.log10(np.maximum(mel.T, 1e-10))
        log = np.maximum(log, log.max() - 8) / 4 + 1
        expected = log[: len(log) // 2 * 2].reshape(1, -1, 2 * MELS)
        ours = model.encode_audio(wave).features["input_features"]
        assert ours.shape == expected.shape == (1, 51, 2 * MELS)
        assert np.allclose(ours, expected, atol=1e-4)


class TestGranite4Speech(FamilySuite):
    """granite-4.0-1b-speech, which has no adapter."""

    family = "granite_speech"
    positions = {0.5: 6, 1: 12, 2.37: 24, 10: 102}
    seconds = 0.3
    scaling = 8.0

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return granite_4_speech(tmp_path_factory.mktemp("granite4"))

    def test_it_has_no_adapter(self, model: SpeechLM) -> None:
        assert model.lora == "none"
        assert type(model.decoder).__name__ == "GraniteModel"


class TestGraniteSpeechPlus(TestGraniteSpeech):
    family = "granite_speech_plus"


class TestPhi4Multimodal(FamilySuite):
    family = "phi4_multimodal"
    positions = {0.5: 6, 1: 13, 2.37: 30, 10: 125}
    seconds = 0.08
    slack = 0.08

    def test_the_adapter_is_part_of_the_identity(self, model: SpeechLM) -> None:
        on = model.identity
        model.use_lora(False)
        assert model.identity != on
        assert model.info()["lora"] == "off"
        model.use_lora(True)
        assert model.identity == on

    def test_the_adapter_is_where_its_file_has_weights(self, model: SpeechLM) -> None:
        """Bare target names match the encoder's layers, which the published file has nothing of."""
        layers = [name for name, part in model.hf.named_modules() if hasattr(part, "lora_A")]
        assert len(layers) == 4 * model.n_layers
        assert not any("embed_tokens_extend" in name for name in layers)
        encoder = model.hf.model.embed_tokens_extend.audio_embed.encoder
        assert not any("lora" in name for name, _ in encoder.named_parameters())

    def test_half_an_adapter_is_refused(self, folder: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(folder, tmp_path / "copy"))
        path = copy / "speech-lora" / "adapter_model.safetensors"
        weights = load_file(path)
        gone = next(k for k in weights if "layers.1.mlp.down_proj.lora_B" in k)
        save_file({k: w for k, w in weights.items() if k != gone}, path)
        with pytest.raises(ModelError, match=r"lacks weights.*down_proj"):
            load_model(copy)
        save_file({**weights, gone.replace("down", "up"): weights[gone].clone()}, path)
        with pytest.raises(ModelError, match=r"no place.*up_proj"):
            load_model(copy)
        # Nothing at all that fits is no adapter.
        save_file({}, path)
        with pytest.raises(ModelError, match="lacks weights"):
            load_model(copy)


class TestComposite(FamilySuite):
    family = "modgap_composite"
    positions = {0.5: 5, 1: 10, 2.37: 23, 10: 100}
    seconds, longest = 0.1, 10.0
    markers = ("<speech>", "</speech>")

    def oracle(self, model: SpeechLM, prompt: Any, n: int) -> tuple[int, ...]:
        llm = model.hf.llm
        llm.generation_config = transformers.GenerationConfig(
            do_sample=False, max_new_tokens=n, min_new_tokens=n, pad_token_id=0
        )
        embeds = model.hf.embed(prompt.inputs["input_ids"], None, None)
        if prompt.kind == "speech":
            embeds = model.hf.embed(**prompt.inputs)
        mask = torch.ones(embeds.shape[:2], dtype=torch.long)
        return tuple(llm.generate(inputs_embeds=embeds, attention_mask=mask)[0].tolist())


class TestGemma4Unified(FamilySuite):
    family = "gemma4_unified"
    positions = {0.5: 13, 1: 25, 2.37: 60, 10: 250}
    seconds, longest = 0.04, 30.0
    markers = ("<|audio>", "<audio|>")


class TestGemma4(FamilySuite):
    family = "gemma4"
    positions = {0.5: 13, 1: 25, 2.37: 59, 10: 250}
    seconds, longest = 0.04, 30.0
    markers = ("<|audio>", "<audio|>")
    slack = 0.04

    def test_layers_that_share_keys_cannot_be_changed(
        self, model: SpeechLM, prefill: Prefill
    ) -> None:
        assert list(model.editable_levels) == [0, 1, 2]
        assert "from layer 3" in str(model.support()["edit_every_level"])
        late = Intervention(rule="patch", tokens="all", layers=(3,))
        with pytest.raises(SettingsError, match="keys and values"):
            prefill.run([(late,)])
        # As it is: a change of level 3 at the speech positions reaches no answer at all.
        at = prefill.pair.speech.content

        def double(level: int, hidden: torch.Tensor) -> torch.Tensor:
            hidden = hidden.clone()
            hidden[:, at] *= 2
            return hidden

        with torch.no_grad(), visiting(model, (3,), double, first=True):
            under = model.hf(**prefill.pair.speech.inputs).logits[0, -1]
        assert torch.allclose(under, prefill.logits[0], atol=1e-6)

    def test_a_batch_of_unequal_clips_equals_singles(self, model: SpeechLM) -> None:
        with pytest.raises(ModelError, match=r"one prompt at a time.*token ids"):
            states_batch(model, [model.text_prompt("two")])


class TestGemma3n(FamilySuite):
    family = "gemma3n"
    positions = {0.5: 3, 1: 7, 2.37: 15, 10: 63}
    padding = {0.5: 185, 1: 181, 2.37: 173, 10: 125}
    seconds, longest = 0.16, 30.0
    markers = ("\n\n<start_of_audio>", "<end_of_audio>\n\n")
    slack = 0.16

    def states_of(self, model: SpeechLM, out: Any) -> Any:
        # Of the four streams the first; merged and normed they are what the head reads.
        with torch.no_grad():
            last = merged(model.decoder, out.hidden_states[-1])
        return [*(h[0] for h in out.hidden_states[:-1]), model.final_norm(last)]

    def test_the_vision_tower_is_not_loaded(self, model: SpeechLM) -> None:
        assert not any("vision_tower" in name for name, _ in model.hf.named_parameters())

    def test_positions_beyond_the_clip_are_padding(self, model: SpeechLM) -> None:
        prompt = model.speech_prompt(make_clip(2.37))
        heard = {k: prompt.inputs[k] for k in ("input_features", "input_features_mask")}
        with torch.no_grad():
            out = model.hf.model.get_audio_features(
                heard["input_features"], ~heard["input_features_mask"]
            )
        assert int((~out.audio_mel_mask).sum()) == len(prompt.content)

    def test_layers_that_share_keys_cannot_be_changed(
        self, model: SpeechLM, prefill: Prefill
    ) -> None:
        assert list(model.editable_levels) == [0, 1, 2]
        with pytest.raises(SettingsError, match="keys and values"):
            prefill.run([(Intervention(rule="patch", tokens="all", layers=(3,)),)])
        assert any("first stream" in note for note in prefill.pair.speech.notes)

    def test_a_batch_of_unequal_clips_equals_singles(self, model: SpeechLM) -> None:
        with pytest.raises(ModelError, match=r"one prompt at a time.*token ids"):
            states_batch(model, [model.text_prompt("two")])


def merged(decoder: Any, streams: torch.Tensor) -> torch.Tensor:
    """The mean of the streams, each but the first projected back and given the first one's length.

    AltUp's last step, as published (Gemma 3n; Baykal et al. 2023, arXiv 2301.13310).
    """
    length = streams[0].square().mean(-1, keepdim=True).sqrt()
    parts = [streams[0]]
    for projection, stream in zip(decoder.altup_unembed_projections, streams[1:], strict=True):
        part = projection(stream)
        own = part.square().mean(-1, keepdim=True).clamp(min=1e-5).sqrt()
        parts.append(part * length / own)
    return torch.stack(parts).mean(0)


class TestMoss(FamilySuite):
    family = "moss_transcribe_diarize"
    positions = {0.5: 7, 1: 13, 2.37: 30, 10: 125}
    seconds = 0.08
    markers = ("<|audio_start|>", "<|audio_end|>")

    def processor(self, model: SpeechLM) -> Any:
        return model.processor

    def test_digits_stand_between_the_positions(self, model: SpeechLM) -> None:
        prompt = model.speech_prompt(make_clip(4.5))
        at = prompt.content.tolist()
        gaps = [i for i in range(at[0], at[-1]) if i not in at]
        assert model.tokenizer.decode(prompt.inputs["input_ids"][0, gaps]) == "24"
        assert [at.index(gap - 1) + 1 for gap in gaps] == [25, 50]


class TestFunAsrNano(FamilySuite):
    family = "fun_asr_nano"
    positions = {0.5: 8, 1: 17, 2.37: 40, 10: 167}
    seconds = 0.06
    slack = 0.06

    def test_features_are_kaldis(self, model: SpeechLM) -> None:
        # Kaldi's definition, frame by frame: mean away, preemphasis, window, power, mel, log.
        wave = make_clip(0.5).resample(16000).astype(np.float64)
        low, high = (1127 * np.log1p(f / 700) for f in (20.0, 8000.0))
        points = np.linspace(low, high, MELS + 2)
        mels = 1127 * np.log1p(np.arange(256) * 16000 / 512 / 700)
        rise = (mels - points[:-2, None]) / (points[1:-1] - points[:-2])[:, None]
        fall = (points[2:, None] - mels) / (points[2:] - points[1:-1])[:, None]
        bank = np.clip(np.minimum(rise, fall), 0, None)
        frames = []
        for start in range(0, len(wave) - 399, 160):
            frame = wave[start : start + 400] - wave[start : start + 400].mean()
            frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
            power = np.abs(np.fft.rfft(frame * np.hamming(400), 512)) ** 2
            frames.append(np.log(np.maximum(bank @ power[:256], np.finfo(np.float32).eps)))
        stacked = np.pad(np.stack(frames), ((3, 6), (0, 0)), mode="edge")
        ours = model.encode_audio(wave.astype(np.float32)).features["input_features"][0]
        assert ours.shape == (8, 7 * MELS)
        for i in range(8):
            assert np.allclose(ours[i], stacked[6 * i : 6 * i + 7].ravel(), atol=1e-3)

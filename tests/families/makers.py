"""One function for each family: a folder with a tiny random checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

from modgap.models.composite_net import CompositeConfig
from modgap.models.families.gemma3n import _blind
from modgap.models.template import chatml
from tests.families.build import (
    MELS,
    WINDOW,
    edit_json,
    fill,
    llm,
    make_tokenizer,
    save,
    whisper_features,
)
from tests.tiny import make_tiny_checkpoint

QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ENCODER = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "num_mel_bins": MELS,
    "max_source_positions": 50 * WINDOW,
}


def qwen2_audio(folder: Path) -> Path:
    return make_tiny_checkpoint(folder, layers=3)


def as_whole(folder: Path, model_type: str) -> Path:
    """Turn a thinker's folder into the whole's, whose config and weights hold it as a part."""
    config = json.loads((folder / "config.json").read_text())
    thinker = {**config, "model_type": f"{model_type}_thinker"}
    (folder / "config.json").write_text(
        json.dumps({"model_type": model_type, "thinker_config": thinker})
    )
    weights = load_file(folder / "model.safetensors")
    save_file(
        {f"thinker.{name}": w for name, w in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    return folder


def qwen2_5_omni(folder: Path) -> Path:
    tok = make_tokenizer(
        [*QWEN, "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|IMAGE|>", "<|VIDEO|>"],
        "<|im_end|>",
        "<|endoftext|>",
    )
    at = tok.convert_tokens_to_ids
    config = transformers.Qwen2_5OmniThinkerConfig(
        audio_config={**ENCODER, "n_window": 50, "output_dim": 32},
        vision_config={
            **{"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2},
            "out_hidden_size": 32,
        },
        text_config=llm(
            tok,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]},
        ),
        audio_token_index=at("<|AUDIO|>"),
        image_token_index=at("<|IMAGE|>"),
        video_token_index=at("<|VIDEO|>"),
        audio_start_token_id=at("<|audio_bos|>"),
        audio_end_token_id=at("<|audio_eos|>"),
        vision_start_token_id=at("<|IMAGE|>"),
    )
    model = fill(transformers.Qwen2_5OmniThinkerForConditionalGeneration(config))
    return as_whole(save(folder, model, tok, whisper_features()), "qwen2_5_omni")


def qwen3_omni_moe(folder: Path) -> Path:
    tok = make_tokenizer(
        [
            *QWEN,
            "<|audio_pad|>",
            "<|audio_start|>",
            "<|audio_end|>",
            "<|image_pad|>",
            "<|video_pad|>",
        ],
        "<|im_end|>",
        "<|endoftext|>",
    )
    at = tok.convert_tokens_to_ids
    config = transformers.Qwen3OmniMoeThinkerConfig(
        audio_config={
            **ENCODER,
            "n_window_infer": 200,
            "output_dim": 32,
            "downsample_hidden_size": 8,
        },
        vision_config={
            **{"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2},
            **{
                "out_hidden_size": 32,
                "num_position_embeddings": 16,
                "deepstack_visual_indexes": [0],
            },
        },
        text_config=llm(
            tok,
            head_dim=8,
            num_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=16,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]},
        ),
        audio_token_id=at("<|audio_pad|>"),
        image_token_id=at("<|image_pad|>"),
        video_token_id=at("<|video_pad|>"),
        audio_start_token_id=at("<|audio_start|>"),
        vision_start_token_id=at("<|image_pad|>"),
    )
    model = fill(transformers.Qwen3OmniMoeThinkerForConditionalGeneration(config))
    return as_whole(save(folder, model, tok, whisper_features()), "qwen3_omni_moe")


def qwen3_asr(folder: Path) -> Path:
    tok = make_tokenizer(
        [*QWEN, "<|audio_pad|>", "<|audio_start|>", "<|audio_end|>"], "<|im_end|>", "<|endoftext|>"
    )
    del_max = {k: v for k, v in ENCODER.items() if k != "max_source_positions"}
    config = transformers.Qwen3ASRConfig(
        audio_config={
            **del_max,
            **{"model_type": "qwen3_asr_encoder", "n_window_infer": 200, "output_dim": 32},
            "downsample_hidden_size": 8,
        },
        text_config=llm(tok, model_type="qwen3", head_dim=8),
        audio_token_id=tok.convert_tokens_to_ids("<|audio_pad|>"),
        timestamp_token_id=0,
        pad_token_id=tok.pad_token_id,
        tie_word_embeddings=False,
    )
    model = fill(transformers.Qwen3ASRForConditionalGeneration(config))
    return save(folder, model, tok, transformers.Qwen3ASRFeatureExtractor(feature_size=MELS))


def voxtral(folder: Path) -> Path:
    tok = make_tokenizer(
        ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AUDIO]", "[BEGIN_AUDIO]"], "</s>", "<unk>"
    )
    config = transformers.VoxtralConfig(
        audio_config={
            **{"model_type": "voxtral_encoder", "hidden_size": 32, "intermediate_size": 128},
            **{"num_hidden_layers": 2, "num_attention_heads": 2, "num_mel_bins": MELS},
            "max_source_positions": 50 * WINDOW,
        },
        text_config=llm(tok, model_type="llama", head_dim=8),
        audio_token_id=tok.convert_tokens_to_ids("[AUDIO]"),
    )
    model = fill(transformers.VoxtralForConditionalGeneration(config))
    return save(folder, model, tok, whisper_features())


def _flamingo(folder: Path, kind: str, special: list[str]) -> Path:
    tok = make_tokenizer([*QWEN, "<sound>", *special], "<|im_end|>", "<|endoftext|>")
    at = tok.convert_tokens_to_ids
    more = {}
    if special:
        more = {"audio_bos_token_id": at(special[0]), "audio_eos_token_id": at(special[1])}
    config = getattr(transformers, f"{kind}Config")(
        audio_config={
            **{"model_type": "audioflamingo3_encoder", "hidden_size": 32, "intermediate_size": 64},
            **{"num_hidden_layers": 2, "num_attention_heads": 2, "num_mel_bins": MELS},
            "max_source_positions": 50 * WINDOW,
        },
        text_config=llm(tok, model_type="qwen2"),
        audio_token_id=at("<sound>"),
        **more,
    )
    model = fill(getattr(transformers, f"{kind}ForConditionalGeneration")(config))
    return save(folder, model, tok, whisper_features())


def audioflamingo3(folder: Path) -> Path:
    return _flamingo(folder, "AudioFlamingo3", [])


def musicflamingo(folder: Path) -> Path:
    return _flamingo(folder, "MusicFlamingo", ["<|sound_bos|>", "<|sound_eos|>"])


def glmasr(folder: Path) -> Path:
    tok = make_tokenizer(
        [
            *("<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|pad|>"),
            *("<|begin_of_audio|>", "<|end_of_audio|>"),
        ],
        "<|endoftext|>",
        "<|pad|>",
    )
    config = transformers.GlmAsrConfig(
        audio_config={
            **{"model_type": "glmasr_encoder", "hidden_size": 32, "intermediate_size": 128},
            **{"num_hidden_layers": 2, "num_attention_heads": 2, "num_mel_bins": MELS},
            "max_position_embeddings": 50 * WINDOW,
        },
        text_config=llm(tok, model_type="llama", head_dim=8),
        audio_token_id=tok.convert_tokens_to_ids("<|pad|>"),
        tie_word_embeddings=False,
    )
    model = fill(transformers.GlmAsrForConditionalGeneration(config))
    return save(folder, model, tok, whisper_features())


def save_lora(folder: Path, model: transformers.PreTrainedModel, targets: str) -> None:
    """Save an adapter that matters, as PEFT does."""
    from peft import LoraConfig

    model.add_adapter(LoraConfig(r=2, target_modules=targets))
    fill(model, seed=1)
    transformers.PreTrainedModel.save_pretrained(model, str(folder))
    edit_json(folder / "adapter_config.json", base_model_name_or_path=None)


def _granite(folder: Path, kind: str, lora: bool = True, **encoder: Any) -> Path:
    tok = make_tokenizer(
        ["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|audio|>"], "<|end_of_text|>"
    )
    seen = 32 * (1 + len(encoder.get("cat_hidden_layers", ())))
    config = getattr(transformers, f"{kind}Config")(
        encoder_config={
            **{"input_dim": 2 * MELS, "num_layers": 2, "hidden_dim": 32, "num_heads": 2},
            **{"output_dim": 8, "context_size": 20, "max_pos_emb": 32, "feedforward_mult": 2},
            **encoder,
        },
        projector_config={
            **{"model_type": "blip_2_qformer", "hidden_size": 32, "encoder_hidden_size": seen},
            **{"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
            "cross_attention_frequency": 1,
        },
        text_config=llm(
            tok,
            model_type="granite",
            logits_scaling=8.0,
            embedding_multiplier=3.0,
            residual_multiplier=0.5,
            attention_multiplier=0.3,
        ),
        audio_token_index=tok.convert_tokens_to_ids("<|audio|>"),
        has_lora_adapter=lora,
        tie_word_embeddings=False,
    )
    model = fill(getattr(transformers, f"{kind}ForConditionalGeneration")(config))
    save(folder, model, tok)
    if lora:
        save_lora(folder, model, r".*language_model.*\.(q|v)_proj")
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"n_mels": MELS, "melspec_kwargs": {"hop_length": 160}})
    )
    return folder


def granite_speech(folder: Path) -> Path:
    return _granite(folder, "GraniteSpeech")


def granite_4_speech(folder: Path) -> Path:
    """As granite-4.0-1b-speech: no adapter, a dense Granite decoder (llama.cpp's converter)."""
    return _granite(folder, "GraniteSpeech", lora=False)


def granite_speech_plus(folder: Path) -> Path:
    return _granite(folder, "GraniteSpeechPlus", cat_hidden_layers=[0])


GEMMA = (
    "<bos>{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}<audio>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


#: The turns of Gemma 4's template; not asked to think, the 12B's opens an empty thought.
GEMMA_4 = (
    "<bos>{% for message in messages %}<|turn>"
    "{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}<|audio|>"
    "{% else %}{{ part['text'] | trim }}{% endif %}{% endfor %}{% endif %}<turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn>model\nTHOUGHT{% endif %}"
)
NO_THOUGHT = "<|channel>thought\n<channel|>"


def _gemma(
    folder: Path, kind: str, extractor: Any, audio: Any, vision: Any, thought: str, **text: Any
) -> Path:
    tok = make_tokenizer(
        [
            *("<pad>", "<eos>", "<bos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>"),
            *("<|audio>", "<|audio|>", "<audio|>", "<|image>", "<|image|>", "<image|>"),
            "<|video|>",
        ],
        "<eos>",
        "<pad>",
    )
    at = tok.convert_tokens_to_ids
    tok.chat_template = GEMMA_4.replace("THOUGHT", thought)
    config = getattr(transformers, f"{kind}Config")(
        text_config=llm(
            tok,
            head_dim=8,
            global_head_dim=8,
            sliding_window=16,
            final_logit_softcapping=5.0,
            bos_token_id=at("<bos>"),
            **text,
        ),
        vision_config=vision,
        audio_config=audio,
        **{"audio_token_id": at("<|audio|>"), "image_token_id": at("<|image|>")},
        **{"video_token_id": at("<|video|>"), "boa_token_id": at("<|audio>")},
        **{"eoa_token_index": at("<audio|>"), "boi_token_id": at("<|image>")},
        eoi_token_id=at("<image|>"),
    )
    model = fill(getattr(transformers, f"{kind}ForConditionalGeneration")(config))
    return save(folder, model, tok, extractor)


def gemma4_unified(folder: Path) -> Path:
    return _gemma(
        folder,
        "Gemma4Unified",
        transformers.Gemma4UnifiedAudioFeatureExtractor(),
        {"audio_embed_dim": 640},
        {"mm_embed_dim": 16, "output_proj_dims": 32, "mm_posemb_size": 4},
        NO_THOUGHT,
        num_hidden_layers=4,
        layer_types=["sliding_attention"] * 3 + ["full_attention"],
    )


def gemma4(folder: Path) -> Path:
    """Five layers, of which the last two share keys and values."""
    return _gemma(
        folder,
        "Gemma4",
        transformers.Gemma4AudioFeatureExtractor(),
        {
            **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
            **{"subsampling_conv_channels": [128, 8], "output_proj_dims": 32},
        },
        {
            **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 8},
            **{"num_attention_heads": 2, "num_key_value_heads": 2, "position_embedding_size": 8},
        },
        "",
        num_hidden_layers=5,
        layer_types=[
            f"{kind}_attention" for kind in ("sliding", "sliding", "full", "sliding", "full")
        ],
        num_kv_shared_layers=2,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=400,
    )


def gemma3n(folder: Path) -> Path:
    """Ids as released: the text's, the vision's, the audio's; five layers, two of them sharing."""
    tok = make_tokenizer(
        ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", "<start_of_audio>"],
        "<eos>",
        "<pad>",
    )
    text, more = len(tok), 8
    marks = [f"<extra_{n}>" for n in range(2 * more)]
    marks[:2], marks[more : more + 2] = ["<eoi>", "<image>"], ["<end_of_audio>", "<audio>"]
    tok.add_tokens(marks, special_tokens=True)
    assert tok.convert_tokens_to_ids("<eoi>") == text
    tok.chat_template = GEMMA
    at = tok.convert_tokens_to_ids
    audio = {
        **{"hidden_size": 32, "conf_num_hidden_layers": 2, "conf_num_attention_heads": 2},
        **{"vocab_size": more, "vocab_offset": text + more, "sscp_conv_channel_size": [128, 8]},
        "input_feat_size": 128,
    }
    config = transformers.Gemma3nConfig(
        text_config=llm(
            tok,
            head_dim=8,
            num_hidden_layers=5,
            layer_types=[
                f"{kind}_attention" for kind in ("sliding", "sliding", "full", "sliding", "full")
            ],
            sliding_window=16,
            num_kv_shared_layers=2,
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=text,
            laurel_rank=8,
            final_logit_softcapping=5.0,
            bos_token_id=at("<bos>"),
            activation_sparsity_pattern=[0.5, 0.0, 0.0, 0.0, 0.0],
        ),
        audio_config=audio,
        **{"boa_token_id": at("<start_of_audio>"), "eoa_token_id": at("<end_of_audio>")},
        **{"audio_token_id": at("<audio>"), "image_token_id": at("<image>")},
        **{"boi_token_id": at("<bos>"), "eoi_token_id": at("<eoi>")},
        tie_word_embeddings=False,
    )
    # The vision tower's model needs timm: here it is a stand-in, in the file what is released.
    vision = {"hidden_size": 16, "vocab_size": more, "vocab_offset": text, "rms_norm_eps": 1e-6}
    config.vision_config = _blind()(**vision)
    model = fill(transformers.Gemma3nForConditionalGeneration(config))
    save(folder, model, tok, transformers.Gemma3nAudioFeatureExtractor())
    released = {"model_type": "gemma3n_vision", "architecture": "mobilenetv5_300m_enc", **vision}
    edit_json(folder / "config.json", vision_config=released)
    path = folder / "model.safetensors"
    tower = {"model.vision_tower.timm_model.conv_stem.conv.weight": torch.zeros(2, 2)}
    save_file({**load_file(path), **tower}, path, metadata={"format": "pt"})
    return folder


def moss_transcribe_diarize(folder: Path) -> Path:
    tok = make_tokenizer(
        [*QWEN, "<|audio_pad|>", "<|audio_start|>", "<|audio_end|>"], "<|im_end|>", "<|endoftext|>"
    )
    config = transformers.MossTranscribeDiarizeConfig(
        audio_config={
            **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2},
            **{"num_attention_heads": 2, "num_mel_bins": MELS, "max_source_positions": 50 * WINDOW},
        },
        text_config=llm(tok, model_type="qwen3", head_dim=8),
        audio_token_id=tok.convert_tokens_to_ids("<|audio_pad|>"),
        audio_chunk_size=16000 * WINDOW,
        tie_word_embeddings=False,
    )
    model = fill(transformers.MossTranscribeDiarizeForConditionalGeneration(config))
    extractor = transformers.MossTranscribeDiarizeFeatureExtractor(
        feature_size=MELS, chunk_length=WINDOW
    )
    save(folder, model, tok)
    template = chatml("<|audio_start|><|audio_pad|><|audio_end|>")
    transformers.MossTranscribeDiarizeProcessor(extractor, tok, template).save_pretrained(folder)
    return folder


def fun_asr_nano(folder: Path) -> Path:
    tok = make_tokenizer([*QWEN, "<|object_ref_start|>"], "<|im_end|>", "<|endoftext|>")
    config = transformers.FunAsrNanoConfig(
        adaptor_config={
            **{"hidden_size": 32, "intermediate_size": 8, "num_attention_heads": 2},
            **{"num_hidden_layers": 1, "projector_hidden_size": 32},
        },
        audio_config={
            **{"model_type": "fun_asr_nano_encoder", "num_mel_bins": MELS, "hidden_size": 32},
            **{"intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 3},
            "num_timestamp_prediction_layers": 1,
        },
        text_config=llm(tok, model_type="qwen3", head_dim=8),
        audio_token_id=tok.convert_tokens_to_ids("<|object_ref_start|>"),
        tie_word_embeddings=False,
    )
    model = fill(transformers.FunAsrNanoForConditionalGeneration(config))
    save(folder, model, tok)
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": MELS}))
    return folder


def phi4_multimodal(folder: Path) -> Path:
    tok = make_tokenizer(
        ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|endoftext11|>"],
        "<|end|>",
        "<|endoftext|>",
    )
    config = transformers.Phi4MultimodalConfig(
        **llm(tok),
        audio_config={
            **{"hidden_size": 32, "intermediate_size": 32, "num_blocks": 2, "input_size": MELS},
            **{"num_attention_heads": 2, "ext_pw_out_channel": 32, "nemo_conv_channels": 8},
            **{"depthwise_separable_out_channel": 32, "bias_max_distance": 50},
            "audio_token_id": tok.convert_tokens_to_ids("<|endoftext11|>"),
        },
        vision_config={
            **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2},
            **{"num_attention_heads": 2, "image_size": 28, "crop_size": 28},
            "image_token_id": tok.convert_tokens_to_ids("<|endoftext|>"),
        },
    )
    model = fill(transformers.Phi4MultimodalForCausalLM(config))
    extractor = transformers.Phi4MultimodalFeatureExtractor(feature_size=MELS)
    save(folder, model, tok, extractor)
    # Published (speech-lora/adapter_config.json, main branch): bare names, which the audio encoder
    # has layers of, too; its weights are of the decoder's alone.
    published = ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
    lora = folder / "speech-lora"
    save_lora(lora, model, rf"model\.layers.*\.({'|'.join(published)})")
    edit_json(lora / "adapter_config.json", target_modules=published)
    return folder


def whisper_encoder(folder: Path, llm: Path | None = None) -> Path:
    """A whole Whisper checkpoint whose encoder is as the others', with the tokenizer of `llm`."""
    size = 50
    if llm is not None:
        tok = transformers.AutoTokenizer.from_pretrained(llm)
        tok.save_pretrained(folder)
        size = len(tok)
    config = transformers.WhisperConfig(
        **ENCODER,
        vocab_size=size,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        max_target_positions=8,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 1),
        decoder_start_token_id=1,
    )
    fill(transformers.WhisperForConditionalGeneration(config)).save_pretrained(str(folder))
    whisper_features().save_pretrained(folder)
    return folder


def text_model(folder: Path, kind: str = "Qwen2", seed: int = 0, **more: Any) -> Path:
    """A causal text model with a ChatML template."""
    tok = make_tokenizer(QWEN, "<|im_end|>", "<|endoftext|>")
    tok.chat_template = chatml("", "You are a helpful assistant.")
    config = getattr(transformers, f"{kind}Config")(**llm(tok, **more))
    return save(folder, fill(getattr(transformers, f"{kind}ForCausalLM")(config), seed), tok)


def stack_adapter(stack: int, middle: int = 24) -> dict[str, torch.Tensor]:
    """Two linear layers with biases."""
    rng = torch.Generator().manual_seed(4)
    shapes = {"linear1.weight": (middle, stack * 32), "linear1.bias": (middle,)}
    shapes |= {"linear2.weight": (32, middle), "linear2.bias": (32,)}
    return {k: torch.randn(shape, generator=rng) * 0.15 for k, shape in shapes.items()}


def modgap_composite(folder: Path) -> Path:
    """The kind of the source: a whole window heard, cut to the clip; LoRA on the text model."""
    whisper_encoder(folder / "encoder")
    text_model(folder / "llm")
    base = transformers.AutoModelForCausalLM.from_pretrained(str(folder / "llm"))
    save_lora(folder / "lora", base, r".*\.(q|v)_proj")
    save_file(stack_adapter(5), folder / "adapter.safetensors")
    settings = CompositeConfig(stack=5, activation="gelu", before="<speech>", after="</speech>")
    (folder / "config.json").write_text(settings.to_json())
    return folder


MAKERS = {
    maker.__name__: maker
    for maker in (
        qwen2_audio,
        qwen2_5_omni,
        qwen3_omni_moe,
        qwen3_asr,
        voxtral,
        audioflamingo3,
        musicflamingo,
        glmasr,
        granite_speech,
        phi4_multimodal,
        modgap_composite,
        granite_speech_plus,
        gemma4_unified,
        gemma4,
        gemma3n,
        moss_transcribe_diarize,
        fun_asr_nano,
    )
}

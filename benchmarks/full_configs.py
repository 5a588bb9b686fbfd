"""Configs of released models, written by hand from their published config.json.

What is left out there has transformers' default. Token ids are set by whoever brings a tokenizer.
"""

from __future__ import annotations

from typing import Any

QWEN2_AUDIO_7B: dict[str, Any] = {
    "architectures": ["Qwen2AudioForConditionalGeneration"],
    "audio_config": {
        "model_type": "qwen2_audio_encoder",
        "num_mel_bins": 128,
        "encoder_layers": 32,
        "encoder_attention_heads": 20,
        "encoder_ffn_dim": 5120,
        "encoder_layerdrop": 0.0,
        "d_model": 1280,
        "max_source_positions": 1500,
        "scale_embedding": False,
        "activation_function": "gelu",
    },
    "audio_token_index": 151646,
    "ignore_index": -100,
    "model_type": "qwen2_audio",
    "text_config": {
        "model_type": "qwen2",
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "max_position_embeddings": 8192,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 32,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000,
        "use_mrope": False,
        "vocab_size": 156032,
        "torch_dtype": "bfloat16",
    },
    "torch_dtype": "bfloat16",
    "vocab_size": 156032,
}

QWEN2_5_OMNI_7B_THINKER: dict[str, Any] = {
    "model_type": "qwen2_5_omni_thinker",
    "audio_config": {
        "model_type": "qwen2_5_omni_audio_encoder",
        "num_mel_bins": 128,
        "encoder_layers": 32,
        "encoder_attention_heads": 20,
        "encoder_ffn_dim": 5120,
        "d_model": 1280,
        "max_source_positions": 1500,
        "scale_embedding": False,
        "activation_function": "gelu",
        "n_window": 100,
        "output_dim": 3584,
    },
    "vision_config": {
        "model_type": "qwen2_5_omni_vision_encoder",
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_channels": 3,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "out_hidden_size": 3584,
    },
    "text_config": {
        "model_type": "qwen2_5_omni_text",
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-06,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1000000.0,
            "mrope_section": [16, 24, 24],
        },
    },
    "audio_token_index": 151646,
    "image_token_index": 151655,
    "video_token_index": 151656,
    "audio_start_token_id": 151647,
    "audio_end_token_id": 151648,
}
